"""`stylebeam grid`: contents x styles x configurations -> a manifest, written in a stream.

Contents, styles and configurations are Arrow arrays, and a row group takes its values from them by number: the cost of
a row does not depend on its content.
"""

import dataclasses
import glob
import itertools
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from stylecore.config.style_config import StyleConfig, check_field_name, field_kinds
from stylecore.errors import UsageError, hint, one_line
from transforms.manifest.parse import parse_style
from transforms.output import storage
from transforms.output.paths import PARQUET
from transforms.output.record import arrow_config, config_type, style_type
from transforms.records import MASKS

# A job reads a row group as one work item, in about a second; a million rows are a hundred groups.
ROWS_PER_GROUP = 10_000
# YAML aliases can turn a few lines into gigabytes.
MAX_SPEC_VALUES = 1_000_000
MAX_CONFIGS = 10_000_000
_KEYS = ("contents", "styles", "initials", "config", "sweep", "configs", "extra")
# In the path of a mask or an initial picture it stands for the content's name without its folder and suffix.
_CONTENT = "{content}"


# A path, or entries {uri, weight, ...}.
Style = str | list[dict[str, Any]]


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
        grid = _expanded_grid(_overridden(spec, overrides or {}), directory, manifest)
        return write_manifest(_row_groups(grid), grid.schema, manifest)
    # Arrow refuses values that no column can hold: mixed types, numbers beyond 64 bits, text that is not Unicode.
    except (ValueError, OverflowError, pa.ArrowException) as error:
        raise SpecError(f"{spec_path}: {one_line(error)}") from error


@dataclasses.dataclass(frozen=True)
class _Grid:
    """What a grid multiplies.

    Attributes:
      contents: paths.
      styles: of each content in turn, if their masks depend on it; else once for all contents.
      style_count: the number of styles of a content.
      initials: the picture to start from, of each content; None if there are none.
      configs: nulls if the specification sets no field.
      start_from_initial: whether a configuration starts from such a picture, bool [configs].
      extra: the further columns.
      schema: of the manifest.
    """

    contents: pa.Array
    styles: pa.Array
    style_count: int
    initials: pa.Array | None
    configs: pa.Array
    start_from_initial: np.ndarray
    extra: Mapping[str, Any]
    schema: pa.Schema


def _expanded_grid(spec: Mapping[str, Any], directory: Path, manifest: str) -> _Grid:
    contents = _images("contents", spec.get("contents"), directory)
    styles = _styles(spec.get("styles"), directory)
    initials = _initials(spec.get("initials"), contents, directory)
    fields, schema = _schema(spec, styles, initials is not None)
    has_scale = any(part.get("scale") is not None for style in styles for part in _parts(style))
    configs, start_from_initial = _config_arrays(spec, fields, schema, has_scale)
    if initials is None and start_from_initial.any():
        raise SpecError("initials must be a path, or one for each content, with init image")
    if initials is not None and not start_from_initial.any():
        raise SpecError("config: init must be image with initials in some configuration")
    masks = [part[name] for style in styles for part in _parts(style) for name in MASKS if part.get(name)]
    varied = contents if any(_CONTENT in mask for mask in masks) else contents[:1]
    placed = [_placed(style, content, directory, manifest) for content in varied for style in styles]
    return _Grid(
        contents=pa.array([_relocated(path, manifest) for path in contents]),
        styles=_style_array(placed, schema),
        style_count=len(styles),
        initials=None if initials is None else pa.array([_relocated(path, manifest) for path in initials]),
        configs=configs,
        start_from_initial=start_from_initial,
        extra=_mapping(spec, "extra"),
        schema=schema,
    )


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


def _styles(items: Any, directory: Path) -> list[Style]:
    if not isinstance(items, list) or not items:
        raise SpecError(
            "styles must be a list of paths, globs or URIs, or of entries {uri, weight, ...} or lists of them"
        )
    styles: list[Style] = []
    for item in items:
        if isinstance(item, list | Mapping):
            styles.append(_entries(item if isinstance(item, list) else [item], directory))
        else:
            styles += _images("styles", item, directory)
    return styles


def _entries(entries: list[Any], directory: Path) -> list[dict[str, Any]]:
    for part in entries:
        if not isinstance(part, Mapping) or not all(isinstance(name, str) for name in part):
            raise SpecError(f"styles: expected {{uri, weight, ...}}, got {part!r:.80}")
    parse_style(entries, str(directory))  # It refuses what would be a bad row.
    return [{**part, "uri": _images("styles", part["uri"], directory)[0]} for part in entries]


def _parts(style: Style) -> list[dict[str, Any]]:
    return [] if isinstance(style, str) else style


def _initials(value: Any, contents: list[str], directory: Path) -> list[str] | None:
    """Returns the initial picture of each content."""
    if value is None:
        return None
    if isinstance(value, str):
        return [_of_content(value, content, directory) for content in contents]
    found = _images("initials", value, directory)
    if len(found) != len(contents):
        raise SpecError(f"initials must be one path or as many as contents, got {len(found)} for {len(contents)}")
    return found


def _of_content(path: str, content: str, directory: Path) -> str:
    """Returns a path that may depend on the content's name, made absolute."""
    return storage.resolve(str(directory), path.replace(_CONTENT, PurePath(content).stem))


def _placed(style: Style, content: str, directory: Path, manifest: str) -> Style:
    """Returns a style as the manifest has it beside a content."""
    if isinstance(style, str):
        return _relocated(style, manifest)
    return [_placed_entry(part, content, directory, manifest) for part in style]


def _placed_entry(part: dict[str, Any], content: str, directory: Path, manifest: str) -> dict[str, Any]:
    masks = {name: _of_content(part[name], content, directory) for name in MASKS if part.get(name)}
    paths = {name: _relocated(path, manifest) for name, path in {"uri": part["uri"], **masks}.items()}
    return {"weight": 1.0, **{name: value for name, value in part.items() if value is not None}, **paths}


def _relocated(path: str, manifest: str) -> str:
    """Returns the path relative to the manifest, so that a folder with both can be moved."""
    if not (storage.is_local(path) and storage.is_local(manifest)):
        return path
    return os.path.relpath(path, Path(manifest).resolve().parent)


def _schema(spec: Mapping[str, Any], styles: list[Style], has_initials: bool) -> tuple[list[str], pa.Schema]:
    used = {*_mapping(spec, "config"), *_mapping(spec, "sweep")}
    for entry in _configs(spec):
        used |= set(entry)
    for name in used:
        check_field_name(name)
    fields = [name for name in field_kinds() if name in used]
    columns = [("content", pa.string()), ("style", _style_column(styles))]
    if has_initials:
        columns.append(("initial", pa.string()))
    if fields:
        columns.append(("config", pa.struct([config_type().field(name) for name in fields])))
    extra = _mapping(spec, "extra")
    if clash := set(extra) & {"content", "style", "initial", "config"}:
        raise SpecError(f"extra: {min(clash)!r} is a column of its own")
    return fields, pa.schema([*columns, *((str(name), pa.scalar(value).type) for name, value in extra.items())])


def _style_column(styles: list[Style]) -> pa.DataType:
    """Returns the type of the column: text, or entries with uri, weight and the fields that some style sets."""
    entries = [part for style in styles for part in _parts(style)]
    if not entries:
        return pa.string()
    used = {"uri", "weight", *(name for part in entries for name, value in part.items() if value is not None)}
    return pa.list_(pa.struct([field for field in style_type().value_type if field.name in used]))


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


def _config_arrays(
    spec: Mapping[str, Any], fields: list[str], schema: pa.Schema, has_scale: bool
) -> tuple[pa.Array, np.ndarray]:
    """Returns the checked configurations, and whether each starts from an initial picture."""
    kind = schema.field("config").type if fields else pa.null()
    parts, starts = [], []
    every = expand_configs(spec)
    while part := list(itertools.islice(every, ROWS_PER_GROUP)):
        configs = [_checked(values, has_scale) for values in part]
        starts.append(np.array([config.init == "image" for config in configs]))
        parts.append(pa.array([_typed(values) for values in part] if fields else [None] * len(part), kind))
    return pa.concat_arrays(parts), np.concatenate(starts)


def _checked(values: Mapping[str, Any], has_scale: bool) -> StyleConfig:
    """Returns a configuration; one bad field refuses the whole grid, before anything is computed."""
    config = StyleConfig.from_dict(values)
    if has_scale and config.style_fit != "keep":
        raise SpecError(f"config: style_fit must be keep with the scale of a style, got {config.style_fit}")
    return config


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    kinds = field_kinds()
    return arrow_config(
        {name: kinds[name].plain(kinds[name].parse(value)) for name, value in values.items() if value is not None}
    )


def _row_groups(grid: _Grid) -> Iterator[pa.Table]:
    """Yields the rows: every content with every style with every configuration, which changes fastest."""
    rows = len(grid.contents) * grid.style_count * len(grid.configs)
    for first in range(0, rows, ROWS_PER_GROUP):
        pairs, config = np.divmod(np.arange(first, min(first + ROWS_PER_GROUP, rows)), len(grid.configs))
        content, style = np.divmod(pairs, grid.style_count)
        columns = {
            "content": grid.contents.take(pa.array(content)),
            "style": grid.styles.take(pa.array(pairs if len(grid.styles) > grid.style_count else style)),
        }
        if grid.initials is not None:
            named = grid.initials.take(pa.array(content))
            columns["initial"] = pc.if_else(pa.array(grid.start_from_initial[config]), named, None)
        if "config" in grid.schema.names:
            columns["config"] = grid.configs.take(pa.array(config))
        columns |= {str(name): pa.repeat(pa.scalar(value), len(pairs)) for name, value in grid.extra.items()}
        yield pa.table(columns, schema=grid.schema)


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
