"""`stylebeam grid`: contents x styles x configurations -> a manifest, written in a stream.

Contents, styles and configurations are Arrow arrays, and a row group takes its values from them by number: the cost of
a row does not depend on its content.
"""

import glob
import itertools
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stylecore.config.style_config import StyleConfig, check_field_name, field_kinds
from stylecore.errors import UsageError, hint, one_line
from transforms.output import storage
from transforms.output.paths import PARQUET
from transforms.output.record import arrow_config, config_type

# A job reads a row group as one work item, in about a second; a million rows are a hundred groups.
ROWS_PER_GROUP = 10_000
# YAML aliases can turn a few lines into gigabytes.
MAX_SPEC_VALUES = 1_000_000
MAX_CONFIGS = 10_000_000
_KEYS = ("contents", "styles", "config", "sweep", "configs", "extra")


class SpecError(UsageError, ValueError):
    """A grid specification that cannot be expanded; the message names the file and the key."""


def write_grid(spec_path: str, manifest: str, overrides: Mapping[str, Any] | None = None) -> int:
    """Expands a specification into a manifest.

    Args:
      spec_path: a YAML file, see docs/grid.md; relative paths in it start from its directory.
      manifest: the Parquet file to write, local or gs://.
      overrides: configuration fields that win over the specification in every row.

    Returns:
      The number of rows.

    Raises:
      SpecError: the file cannot be read, has unknown keys, or gives no row.
    """
    spec = _read_spec(spec_path)
    directory = Path(spec_path).resolve().parent
    try:
        spec = _overridden(spec, overrides or {})
        contents = [_relocated(path, manifest) for path in _images("contents", spec.get("contents"), directory)]
        styles = [_relocated_style(style, manifest) for style in _styles(spec.get("styles"), directory)]
        fields, schema = _schema(spec, styles)
        configs = _config_array(spec, fields, schema)
        groups = _row_groups(pa.array(contents), _style_array(styles, schema), configs, _mapping(spec, "extra"), schema)
        return write_manifest(groups, schema, manifest)
    # Arrow refuses values that no column can hold: mixed types, numbers beyond 64 bits, text that is not Unicode.
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise SpecError(f"{spec_path}: {one_line(error)}") from error


def _read_spec(path: str) -> Mapping[str, Any]:
    try:
        # ruamel.yaml reads YAML 1.2, in which 1e5 is a number and `no` is text.
        spec = YAML(typ="safe", pure=True).load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot read it: {error}") from error
    # On foreign text the parser also lets errors of numbers, dates and keys through.
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        raise SpecError(f"{path}: not valid YAML: {one_line(error, 300)}") from error
    try:
        size = _size(spec, {})
    except RecursionError as error:
        raise SpecError(f"{path}: nested too deeply") from error
    if size > MAX_SPEC_VALUES:
        raise SpecError(f"{path}: more than {MAX_SPEC_VALUES} values, aliases written out")
    if not isinstance(spec, Mapping):
        raise SpecError(f"{path}: must be a mapping with the keys {', '.join(_KEYS)}")
    for key in spec:
        if key not in _KEYS:
            raise SpecError(f"{path}: unknown key {key!r}{hint(str(key), _KEYS, 'keys')}")
    return spec


def _size(value: Any, known: dict[int, float]) -> float:
    """Counts the values as if every alias were written out; infinite for a value that contains itself."""
    if not isinstance(value, Mapping | list):
        return 1
    if id(value) not in known:
        known[id(value)] = math.inf
        parts = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(value)]


def _overridden(spec: Mapping[str, Any], overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    """Gives every row the values of `overrides`; rows that differed only in these fields become one."""
    if not overrides:
        return spec
    configs: list[dict[str, Any]] = []
    for entry in _configs(spec):
        rest = {name: value for name, value in entry.items() if name not in overrides}
        if rest not in configs:
            configs.append(rest)
    sweep = {name: values for name, values in _mapping(spec, "sweep").items() if name not in overrides}
    return {**spec, "config": {**_mapping(spec, "config"), **overrides}, "configs": configs, "sweep": sweep}


def _images(key: str, patterns: Any, directory: Path) -> list[str]:
    if isinstance(patterns, str):
        patterns = [patterns]
    if (
        not isinstance(patterns, list)
        or not patterns
        or not all(isinstance(p, str) and p and "\0" not in p for p in patterns)
    ):
        raise SpecError(f"{key} must be a list of paths, globs or URIs")
    return [path for pattern in patterns for path in _expanded(key, pattern, directory)]


def _expanded(key: str, pattern: str, directory: Path) -> list[str]:
    path = storage.resolve(str(directory), pattern)
    if not glob.has_magic(path):
        return [path]
    found = sorted(glob.glob(path, recursive=True)) if storage.is_local(path) else storage.match(path)
    if not found:
        raise SpecError(f"{key}: nothing matches {pattern!r}")
    return found


def _styles(entries: Any, directory: Path) -> list[Any]:
    if not isinstance(entries, list) or not entries:
        raise SpecError("styles must be a list of paths, globs or URIs, or of lists of {uri, weight}")
    styles: list[Any] = []
    for entry in entries:
        if isinstance(entry, list):
            styles.append([_weighted(part, directory) for part in entry])
        else:
            styles += _images("styles", entry, directory)
    return styles


def _weighted(part: Any, directory: Path) -> dict[str, Any]:
    if not isinstance(part, Mapping) or not {"uri"} <= set(part) <= {"uri", "weight"}:
        raise SpecError(f"styles: expected {{uri, weight}}, got {part!r}")
    weight = part.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float):
        raise SpecError(f"styles: weight must be a number, got {weight!r}")
    return {"uri": _images("styles", part["uri"], directory)[0], "weight": float(weight)}


def _relocated(path: str, manifest: str) -> str:
    """Returns the path relative to the manifest, so that a folder with both can be moved."""
    if not (storage.is_local(path) and storage.is_local(manifest)):
        return path
    return os.path.relpath(path, Path(manifest).resolve().parent)


def _relocated_style(style: Any, manifest: str) -> Any:
    if isinstance(style, str):
        return _relocated(style, manifest)
    return [{**part, "uri": _relocated(part["uri"], manifest)} for part in style]


def _schema(spec: Mapping[str, Any], styles: list[Any]) -> tuple[list[str], pa.Schema]:
    used = {*_mapping(spec, "config"), *_mapping(spec, "sweep")}
    for entry in _configs(spec):
        used |= set(entry)
    for name in used:
        check_field_name(name)
    fields = [name for name in field_kinds() if name in used]
    several = any(isinstance(style, list) for style in styles)
    style_type = pa.list_(pa.struct([("uri", pa.string()), ("weight", pa.float64())])) if several else pa.string()
    columns = [("content", pa.string()), ("style", style_type)]
    if fields:
        columns.append(("config", pa.struct([config_type().field(name) for name in fields])))
    extra = _mapping(spec, "extra")
    if clash := set(extra) & {"content", "style", "config"}:
        raise SpecError(f"extra: {min(clash)!r} is a column of its own")
    return fields, pa.schema([*columns, *((str(name), pa.scalar(value).type) for name, value in extra.items())])


def _mapping(spec: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = spec.get(key) or {}
    if not isinstance(value, Mapping):
        raise SpecError(f"{key} must be a mapping, got {value!r:.60}")
    return value


def _configs(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    value = spec.get("configs") or [{}]
    if not isinstance(value, list) or not all(isinstance(entry, Mapping) for entry in value):
        raise SpecError("configs must be a list of mappings")
    return value


def expand_configs(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields `config` updated with each entry of `configs` and each combination of `sweep`."""
    sweep = _mapping(spec, "sweep")
    for name, values in sweep.items():
        if not isinstance(values, list) or not values:
            raise SpecError(f"sweep: {name} must be a list of values, got {values!r:.60}")
    count = len(_configs(spec)) * math.prod(map(len, sweep.values()))
    if count > MAX_CONFIGS:
        raise SpecError(f"sweep: {count:,} configurations, at most {MAX_CONFIGS:,} are expanded")
    for entry in _configs(spec):
        for combination in itertools.product(*sweep.values()):
            yield {**_mapping(spec, "config"), **entry, **dict(zip(sweep, combination, strict=True))}


def _style_array(styles: list[Any], schema: pa.Schema) -> pa.Array:
    kind = schema.field("style").type
    if pa.types.is_list(kind):
        styles = [[{"uri": style, "weight": 1.0}] if isinstance(style, str) else style for style in styles]
    return pa.array(styles, kind)


def _config_array(spec: Mapping[str, Any], fields: list[str], schema: pa.Schema) -> pa.Array:
    """Returns the checked configurations; nulls if the specification sets no field."""
    if not fields:
        return pa.nulls(sum(1 for _ in expand_configs(spec)))
    kind, configs = schema.field("config").type, map(_typed, expand_configs(spec))
    parts = []
    while part := list(itertools.islice(configs, ROWS_PER_GROUP)):
        parts.append(pa.array(part, kind))
    return pa.concat_arrays(parts)


def _row_groups(
    contents: pa.Array, styles: pa.Array, configs: pa.Array, extra: Mapping[str, Any], schema: pa.Schema
) -> Iterator[pa.Table]:
    """Yields the rows: every content with every style with every configuration, which changes fastest."""
    rows = len(contents) * len(styles) * len(configs)
    for first in range(0, rows, ROWS_PER_GROUP):
        pairs, config = np.divmod(np.arange(first, min(first + ROWS_PER_GROUP, rows)), len(configs))
        content, style = np.divmod(pairs, len(styles))
        columns = {"content": contents.take(pa.array(content)), "style": styles.take(pa.array(style))}
        if "config" in schema.names:
            columns["config"] = configs.take(pa.array(config))
        columns |= {str(name): pa.repeat(pa.scalar(value), len(pairs)) for name, value in extra.items()}
        yield pa.table(columns, schema=schema)


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    StyleConfig.from_dict(values)  # One bad field refuses the whole grid, before anything is computed.
    kinds = field_kinds()
    return arrow_config(
        {name: kinds[name].plain(kinds[name].parse(value)) for name, value in values.items() if value is not None}
    )


def write_manifest(groups: Iterable[pa.Table], schema: pa.Schema, manifest: str) -> int:
    """Writes row groups as a manifest, whole or not at all; returns the number of rows.

    Args:
      groups: tables of at most ROWS_PER_GROUP rows.
      schema: theirs.
      manifest: the Parquet file to write, local or gs://.
    """
    if not storage.is_local(manifest):
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "manifest.parquet"
            count = _write_local(groups, schema, part)
            storage.write(manifest, part.read_bytes(), PARQUET)
            return count
    target = Path(manifest)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".grid-") as folder:
        part = Path(folder) / "manifest.parquet"
        count = _write_local(groups, schema, part)
        part.replace(target)
    return count


def _write_local(groups: Iterable[pa.Table], schema: pa.Schema, path: Path) -> int:
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in groups:
            writer.write_table(group)
            count += len(group)
    return count
