"""ReadManifest: Parquet files -> valid rows with their numbers, and failures for the others."""

import contextlib
import dataclasses
import functools
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any

import apache_beam as beam
import cachetools
import pyarrow as pa
import pyarrow.parquet as pq

from stylecore.config.presets import PRESETS
from stylecore.config.style_config import RANDOM_WEIGHTS_PREFIX, ConfigError, StyleConfig
from stylecore.errors import UsageError, one_line
from stylecore.networks.layers import BACKBONES, layer_names
from transforms.manifest.distinct import Unreadable, number_values, to_rows, to_values
from transforms.output import storage
from transforms.records import Failure, ManifestRow, Reason, WeightedUri, identify_failed_row

# What is in memory at once; also what shares the work on repeated values.
_ROWS_PER_READ = 10_000
# Of this size a cache holds what repeats in a grid, and little enough where nothing does.
_CACHED_VALUES = 4096
# What a manifest may claim; see docs/trust.md. A path of Linux has 4096 bytes at most.
_MAX_ROWS_PER_GROUP = 2**26
_MAX_GROUP_BYTES = 2**30
_MAX_NAME_CHARS = 1_000
_MAX_URI_BYTES = 4_096
# As JSON: a picture carries its row, and what reads it back stops at 1 MB.
_MAX_VALUE_BYTES = 2**17
_MAX_EXTRA_BYTES = 2**18
_MAX_STYLES_SHOWN = 100
# Of such a name a terminal would do what it says.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")
# Google's client raises for other names of buckets, when it is too late.
_GCS_OBJECT = re.compile("gs://[a-z0-9]([a-z0-9._-]*[a-z0-9])?/.+", re.DOTALL | re.IGNORECASE)
ROWS, FAILURES = "rows", "failures"
_to_json = json.JSONEncoder(sort_keys=True, default=str).encode


class ManifestError(UsageError, ValueError):
    """A manifest that cannot be read at all; the message names the file and what was expected."""


class RowError(ValueError):
    """A row that cannot be run; the message names file, row and field."""


@dataclasses.dataclass(frozen=True)
class ManifestSlice:
    """The first `rows` rows of one row group, numbered in the file and in the whole manifest."""

    file: str
    row_group: int
    first_in_file: int
    first_row: int
    rows: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A manifest whose files and schemas were looked at, but not its rows."""

    uri: str
    files: tuple[str, ...]
    slices: tuple[ManifestSlice, ...]

    @property
    def rows(self) -> int:
        """Number of rows, of all files."""
        return sum(part.rows for part in self.slices)


def open_manifest(uri: str, limit: int | None = None) -> Manifest:
    """Looks at the footers of a manifest's files.

    Args:
      uri: a Parquet file, a glob or a directory, local or not.
      limit: only the first so many rows.

    Raises:
      ManifestError: no such files, not Parquet, or columns missing or of the wrong type.
    """
    files = _files(uri)
    slices: list[ManifestSlice] = []
    taken = 0
    for file in files:
        in_file = 0
        for group, rows in enumerate(_row_group_sizes(file)):
            count = rows if limit is None else min(rows, limit - taken)
            if count > 0:
                slices.append(ManifestSlice(file, group, in_file, taken, count))
                taken += count
            in_file += rows
    if not slices:
        raise ManifestError(f"{uri}: the manifest has no rows")
    return Manifest(uri, tuple(files), tuple(slices))


def _files(uri: str) -> list[str]:
    try:
        storage.check_scheme(uri)
        found = storage.match(uri)
        if not found or uri.endswith("/") or (found == [uri] and not uri.endswith(".parquet")):
            found = storage.match(storage.join(uri, "*.parquet")) or found
    except (ValueError, storage.StorageError) as error:
        raise ManifestError(str(error)) from error
    if not found:
        raise ManifestError(f"{uri}: no such manifest (a Parquet file, a glob or a directory of Parquet files)")
    return found


def _row_group_sizes(file: str) -> list[int]:
    with _parquet(file) as source:
        try:
            _check_schema(file, source.schema_arrow)
        except UnicodeDecodeError as error:
            raise ManifestError(f"{file}: the name of a column is not UTF-8") from error
        groups = [source.metadata.row_group(index) for index in range(source.num_row_groups)]
    for number, group in enumerate(groups):
        for name, claimed, most in (
            ("rows", group.num_rows, _MAX_ROWS_PER_GROUP),
            ("bytes", group.total_byte_size, _MAX_GROUP_BYTES),
        ):
            if not 0 <= claimed <= most:
                raise ManifestError(f"{file}: row group {number} says it has {claimed} {name}; at most {most} are read")
    return [group.num_rows for group in groups]


def _parquet(file: str, **options: Any) -> pq.ParquetFile:
    try:
        if storage.is_local(file):
            return pq.ParquetFile(file, **options)
        return pq.ParquetFile(storage.open_binary(file), pre_buffer=True, **options)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{file}: not a readable Parquet file: {one_line(error, 200)}") from error


def _parquet_with_dictionaries(file: str) -> pq.ParquetFile:
    """Opens a file so that text which repeats stays a dictionary: written out, 700 bytes can be gigabytes."""
    with _parquet(file) as source:
        metadata = source.metadata
    columns = [metadata.schema.column(index) for index in range(metadata.num_columns)]
    text = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    return _parquet(file, metadata=metadata, read_dictionary=text)


def _check_schema(file: str, schema: pa.Schema) -> None:
    _check_names(file, schema)
    for name, expected, is_right in (
        ("content", "string", _is_text),
        ("style", "string or list<struct<uri: string, weight: float>>", _is_style),
        ("config", "struct of StyleConfig fields or a JSON string", _is_config),
    ):
        if name not in schema.names:
            if name == "config":
                continue
            raise ManifestError(f"{file}: column {name!r} is missing, expected {expected}")
        if not is_right(schema.field(name).type):
            raise ManifestError(f"{file}: column {name!r} is {schema.field(name).type}, expected {expected}")


def _check_names(file: str, schema: pa.Schema) -> None:
    names = list(schema.names)
    if "config" in names and pa.types.is_struct(kind := schema.field(names.index("config")).type):
        names += [f"config.{field.name}" for field in kind.fields]
    for name, count in Counter(names).items():
        if count > 1:
            raise ManifestError(f"{file}: column {name[:80]!r} stands there {count} times, expected once")
        if len(name) > _MAX_NAME_CHARS:
            raise ManifestError(f"{file}: column {name[:40]!r}... has a name of more than {_MAX_NAME_CHARS} characters")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_style(kind: pa.DataType) -> bool:
    if _is_text(kind):
        return True
    listed = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return listed and pa.types.is_struct(kind.value_type) and kind.value_type.get_field_index("uri") >= 0


def _is_config(kind: pa.DataType) -> bool:
    return _is_text(kind) or pa.types.is_struct(kind) or pa.types.is_null(kind)


def read_batches(part: ManifestSlice, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a slice as Arrow columns.

    Raises:
      ManifestError: the row group is damaged.
    """
    left = part.rows
    with _reported_damage(part), _parquet_with_dictionaries(part.file) as source:
        for batch in source.iter_batches(_ROWS_PER_READ, row_groups=[part.row_group], columns=columns):
            batch.validate(full=True)  # Text that is not UTF-8 shows here, not row by row.
            yield _without_views(batch.slice(0, left))
            left -= min(left, batch.num_rows)
            if not left:
                return
    if left:
        raise ManifestError(f"{part.file}: row group {part.row_group} is damaged: {left} of its rows are missing")


def _without_views(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Arrow can do little yet with the newest way to hold text."""
    fields = [field.with_type(pa.string()) if pa.types.is_string_view(field.type) else field for field in batch.schema]
    return batch.cast(pa.schema(fields))


def read_slice(part: ManifestSlice, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yields the rows of a slice as Python values; equal values are one object.

    Raises:
      ManifestError: the row group is damaged.
    """
    for batch in read_batches(part, columns):
        with _reported_damage(part):
            rows = to_rows(batch)
        yield from rows


@contextlib.contextmanager
def _reported_damage(part: ManifestSlice) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{part.file}: row group {part.row_group} is damaged: {one_line(error, 200)}") from error


def parse_row(values: Mapping[str, Any], number: int, number_in_file: int, manifest_uri: str) -> ManifestRow:
    """Parses and validates a row.

    Args:
      values: column -> value.
      number: of the row in the whole manifest.
      number_in_file: of the row in its file.
      manifest_uri: the file it stands in; relative URIs are relative to it.

    Raises:
      RowError: naming the field and what was expected.
    """
    directory = storage.parent(manifest_uri)
    content, content_uri = parse_content(values["content"], directory)
    config = parse_config(values.get("config"), directory)
    others = {name: value for name, value in values.items() if name not in ("content", "style", "config")}
    return ManifestRow(
        number=number,
        location=row_location(manifest_uri, number_in_file),
        failure_id=identify_failed_row(dict(values)),
        content=content,
        content_uri=content_uri,
        styles=parse_style(values["style"], directory),
        config=config,
        extra=_extra(others),
    )


def _extra(others: Mapping[str, Any]) -> str | None:
    if not others:
        return None
    text = _to_json(_plain(others))
    if len(text) > _MAX_EXTRA_BYTES:
        raise RowError(f"the other columns have {len(text)} bytes as JSON, at most {_MAX_EXTRA_BYTES} are carried")
    return text


def parse_content(value: Any, directory: str) -> tuple[str, str]:
    """Returns a content's URI as written and resolved against `directory`, or raises RowError."""
    written = _uri("content", value)
    return written, _resolved(directory, written)


@functools.lru_cache(maxsize=_CACHED_VALUES)
def _resolved(directory: str, uri: str) -> str:
    return storage.resolve(directory, uri)


def _uri(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value or _CONTROL.search(value):
        raise RowError(f"{field} must be a path or URI, got {value!r:.80}")
    # Surrogates come from JSON: such a name cannot be, neither on a disk nor in a bucket.
    size = len(value.encode(errors="replace"))
    if size > _MAX_URI_BYTES or (not value.isascii() and value != value.encode(errors="replace").decode()):
        raise RowError(f"{field} must be Unicode of at most {_MAX_URI_BYTES} bytes, got {size} bytes, {value!r:.80}")
    if storage.scheme(value) == "gs" and not _GCS_OBJECT.fullmatch(value):
        raise RowError(f"{field} must be gs://BUCKET/OBJECT, got {value!r:.80}")
    try:
        storage.check_scheme(value)
    except ValueError as error:
        raise RowError(f"{field}: {one_line(error)}") from error
    return value


def parse_style(value: Any, directory: str) -> tuple[WeightedUri, ...]:
    """Returns the images of a style with their weights, or raises RowError."""
    entries = [{"uri": value, "weight": 1.0}] if isinstance(value, str) else value
    if not isinstance(entries, list) or not entries:
        raise RowError(f"style must be a path or URI, or a list of {{uri, weight}}, got {value!r:.80}")
    if len(text := _to_json(entries)) > _MAX_VALUE_BYTES:
        raise RowError(f"style has {len(text)} bytes as JSON, at most {_MAX_VALUE_BYTES} are read")
    return tuple(_style(entry, directory) for entry in entries)


def _style(entry: Any, directory: str) -> WeightedUri:
    if not isinstance(entry, Mapping):
        raise RowError(f"style must hold {{uri, weight}}, got {entry!r:.80}")
    written = _uri("style", entry.get("uri"))
    weight = 1.0 if entry.get("weight") is None else entry["weight"]
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
        raise RowError(f"style weight must be a finite number >= 0, got {weight!r}")
    return WeightedUri(written, _resolved(directory, written), float(weight))


# By their JSON: no two values that a Parquet column can hold and that are legal here have the same.
@cachetools.cached(
    cachetools.LRUCache(_CACHED_VALUES), key=lambda value, directory: (_to_json(value), directory), lock=Lock()
)
def parse_config(value: Any, directory: str) -> StyleConfig:
    """Returns the configuration of a row, the path of its weights resolved against `directory`, or raises RowError."""
    try:
        if isinstance(value, str) and len(value) > _MAX_VALUE_BYTES:
            raise RowError(f"config has {len(value)} characters, at most {_MAX_VALUE_BYTES} are read")
        if isinstance(value, Unreadable):
            raise RowError(f"config: {value}")
        if isinstance(value, str):
            return _with_weights_resolved(StyleConfig.from_json(value), directory)
        values = {} if value is None else {name: item for name, item in value.items() if item is not None}
        return _with_weights_resolved(StyleConfig.from_dict(values), directory)
    except ConfigError as error:
        raise RowError(f"config: {error}") from error


def _with_weights_resolved(config: StyleConfig, directory: str) -> StyleConfig:
    if config.weights == "imagenet" or config.weights.startswith(RANDOM_WEIGHTS_PREFIX):
        return config
    return dataclasses.replace(config, weights=storage.resolve(directory, _uri("config: weights", config.weights)))


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def distinct_backbones(manifest: Manifest) -> set[tuple[str, str]]:
    """Returns the (backbone, weights) pairs that the manifest's rows ask for, weights resolved."""
    pairs: set[tuple[str, str]] = set()
    for part in manifest.slices:
        # A damaged row group is reported for each of its rows when they are read.
        with contextlib.suppress(ManifestError):
            for choice in {_network_choice(config) for config in _distinct_configs(part)}:
                with contextlib.suppress(RowError):
                    pairs.add(_backbone(choice, storage.parent(part.file)))
    return pairs


_NETWORK_FIELDS = ("preset", "backbone", "weights")


def _distinct_configs(part: ManifestSlice) -> Iterator[Any]:
    with _parquet(part.file) as source:
        schema = source.schema_arrow
    if "config" not in schema.names:
        yield None
        return
    kind = schema.field("config").type
    columns = ["config"]
    if pa.types.is_struct(kind):
        columns = [f"config.{name}" for name in _NETWORK_FIELDS if kind.get_field_index(name) >= 0]
    if not columns:
        yield None
        return
    for batch in read_batches(part, columns):
        column = batch.column("config")
        yield from to_values(column.take(pa.array(number_values(column)[1])))


def _network_choice(config: Any) -> tuple[Any, ...]:
    if isinstance(config, str):
        try:
            config = json.loads(config)
        except (ValueError, RecursionError):
            return ("",)  # Not a preset: the row is reported when it is read.
    if config is not None and not isinstance(config, Mapping):
        return ("",)
    values = config or {}
    return tuple(str(values[name]) if values.get(name) is not None else None for name in _NETWORK_FIELDS)


def _backbone(choice: tuple[Any, ...], directory: str) -> tuple[str, str]:
    chosen = {name: value for name, value in zip(_NETWORK_FIELDS, choice) if value is not None}
    backbone = chosen.get("backbone") or PRESETS.get(chosen.get("preset", ""), {}).get("backbone", "vgg19")
    some_layer = list(layer_names(backbone))[:1] if backbone in BACKBONES else None
    config = parse_config({**chosen, "content_layers": some_layer, "style_layers": some_layer}, directory)
    return config.backbone, config.weights


class ReadManifest(beam.PTransform):
    """Manifest -> {"rows": ManifestRow, "failures": (row number, row values, Failure)}."""

    def __init__(self, manifest: Manifest) -> None:
        super().__init__()
        self._manifest = manifest

    def expand(self, root: beam.pvalue.PBegin) -> Any:
        """See beam.PTransform."""
        parsed = (
            root
            | "Slices" >> beam.Create(self._manifest.slices)
            | "SpreadSlices" >> beam.Reshuffle()
            | "ParseRows" >> beam.ParDo(_ParseRows()).with_outputs(FAILURES, main=ROWS)
        )
        # A small manifest is one row group, so one bundle: without this its rows would all stay on one worker.
        return {ROWS: parsed[ROWS] | "SpreadRows" >> beam.Reshuffle(), FAILURES: parsed[FAILURES]}


class _ParseRows(beam.DoFn):
    def process(self, part: ManifestSlice) -> Iterator[Any]:
        numbers = iter(range(part.rows))
        try:
            for values in read_slice(part):
                yield _parsed(values, next(numbers), part)
        except ManifestError as error:
            for offset in numbers:
                yield _failed({"content": "", "style": "", "slice": f"{part}"}, offset, part, error)


def _parsed(values: dict[str, Any], offset: int, part: ManifestSlice) -> Any:
    try:
        return parse_row(values, part.first_row + offset, part.first_in_file + offset, part.file)
    except RowError as error:
        return _failed(values, offset, part, error)


def _failed(values: dict[str, Any], offset: int, part: ManifestSlice, error: Exception) -> Any:
    reason = one_line(f"{row_location(part.file, part.first_in_file + offset)}: {error}")
    located = Reason(type(error).__name__, reason)
    failure = Failure(identify_failed_row(values), None, located)
    return beam.pvalue.TaggedOutput(FAILURES, (part.first_row + offset, _describable(values), failure))


def row_location(file: str, number_in_file: int) -> str:
    """Returns what messages call a row."""
    return f"{file}, row {number_in_file}"


def _describable(values: dict[str, Any]) -> dict[str, Any]:
    """What a metrics row can say of a row that was not understood: of any value, no more than its column can hold."""
    styles = values.get("style")
    entries = [{"uri": styles, "weight": 1.0}] if isinstance(styles, str) else styles
    if not isinstance(entries, list):
        entries = []
    others = {name: value for name, value in values.items() if name not in ("content", "style", "config")}
    extra = _to_json(_plain(others)) if others else None
    return {
        "content": _text(values.get("content")),
        "style": [_style_shown(entry) for entry in entries[:_MAX_STYLES_SHOWN] if isinstance(entry, Mapping)],
        "extra": extra if extra is None or len(extra) <= _MAX_EXTRA_BYTES else None,
    }


def _style_shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    weight = entry.get("weight")
    return {"uri": _text(entry.get("uri")), "weight": float(weight) if isinstance(weight, int | float) else None}


def _text(value: Any) -> str | None:
    return None if value is None else str(value)[:_MAX_URI_BYTES]
