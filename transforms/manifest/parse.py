"""parse_row: the values of one row -> ManifestRow, or a RowError that names the field and what is legal."""

import dataclasses
import functools
import json
import math
import re
from collections.abc import Mapping
from threading import Lock
from typing import Any

import cachetools

from stylecore.config.style_config import RANDOM_WEIGHTS_PREFIX, ConfigError, StyleConfig, field_kinds
from stylecore.errors import hint, one_line
from transforms.manifest.distinct import Unreadable
from transforms.output import storage
from transforms.records import MASKS, ManifestRow, NamedImage, StyleEntry, identify_failed_row

# Enough for the values that a grid repeats, and little memory where no value repeats.
_CACHED_VALUES = 4096
# What a row may hold; see docs/trust.md. Linux limits a path to 4096 bytes.
_MAX_URI_BYTES = 4_096
# As JSON: a picture carries its row, and readers of the picture stop at 1 MB.
_MAX_VALUE_BYTES = 2**17
_MAX_EXTRA_BYTES = 2**18
_MAX_STYLES_SHOWN = 100
# A terminal would obey these characters instead of showing them.
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f]")
# Google's client refuses other bucket names, but only after the job has begun.
_GCS_OBJECT = re.compile("gs://[a-z0-9]([a-z0-9._-]*[a-z0-9])?/.+", re.DOTALL | re.IGNORECASE)
_COLUMNS = ("content", "style", "config", "initial")
_ENTRY = ("uri", "weight", "scale", *MASKS)
_to_json = json.JSONEncoder(sort_keys=True, default=str).encode


class RowError(ValueError):
    """A row that cannot be run; the message names file, row and field."""


def row_location(file: str, number_in_file: int) -> str:
    """Returns the name of a row in messages; rows are numbered from 0 in their file."""
    return f"{file}, row {number_in_file}"


def parse_row(values: Mapping[str, Any], number: int, number_in_file: int, manifest_uri: str) -> ManifestRow:
    """Parses and validates a row.

    Args:
      values: column -> value.
      number: the row's number in the whole manifest, from 0.
      number_in_file: the row's number in its file, from 0.
      manifest_uri: the row's file; relative URIs are relative to its directory.

    Raises:
      RowError: the message names the field and what was expected.
    """
    directory = storage.parent(manifest_uri)
    content, content_uri = parse_content(values["content"], directory)
    config = parse_config(values.get("config"), directory)
    row = ManifestRow(
        number=number,
        location=row_location(manifest_uri, number_in_file),
        failure_id=identify_failed_row(dict(values)),
        content=content,
        content_uri=content_uri,
        styles=parse_style(values["style"], directory),
        config=config,
        extra=_extra(values),
        initial=parse_initial(values.get("initial"), directory),
    )
    _check_together(row)
    return row


def _check_together(row: ManifestRow) -> None:
    """Raises RowError for columns that are good alone and contradict each other."""
    if row.config.style_fit != "keep" and any(style.scale is not None for style in row.styles):
        raise RowError(f"config: style_fit must be keep with the scale of a style, got {row.config.style_fit}")


def _extra(values: Mapping[str, Any]) -> str | None:
    """Returns the columns that are no part of a run as JSON; None if there are none."""
    others = {name: value for name, value in values.items() if name not in _COLUMNS}
    text = _to_json(_without_nan(others)) if others else None
    if text is not None and len(text) > _MAX_EXTRA_BYTES:
        raise RowError(f"the other columns have {len(text)} bytes as JSON, at most {_MAX_EXTRA_BYTES} are carried")
    return text


def parse_content(value: Any, directory: str) -> NamedImage:
    """Returns a content image, its URI resolved against `directory`, or raises RowError."""
    return _image("content", value, directory)


def parse_initial(value: Any, directory: str) -> NamedImage | None:
    """Returns the picture to start from, its URI resolved against `directory`, or raises RowError."""
    return None if value is None else _image("initial", value, directory)


def _image(field: str, value: Any, directory: str) -> NamedImage:
    written = _uri(field, value)
    return NamedImage(written, _resolved(directory, written))


@functools.lru_cache(maxsize=_CACHED_VALUES)
def _resolved(directory: str, uri: str) -> str:
    return storage.resolve(directory, uri)


def _uri(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value or _CONTROL.search(value):
        raise RowError(f"{field} must be a path or URI, got {value!r:.80}")
    # JSON may bring surrogates, which no disk and no bucket has in a name.
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


def parse_style(value: Any, directory: str) -> tuple[StyleEntry, ...]:
    """Returns the images of a style with their weights, or raises RowError."""
    entries = [{"uri": value, "weight": 1.0}] if isinstance(value, str) else value
    if not isinstance(entries, list) or not entries:
        raise RowError(f"style must be a path or URI, or a list of {{{', '.join(_ENTRY)}}}, got {value!r:.80}")
    if len(text := _to_json(entries)) > _MAX_VALUE_BYTES:
        raise RowError(f"style has {len(text)} bytes as JSON, at most {_MAX_VALUE_BYTES} are read")
    return tuple(_style(entry, directory) for entry in entries)


def _style(entry: Any, directory: str) -> StyleEntry:
    if not isinstance(entry, Mapping):
        raise RowError(f"style must hold {{{', '.join(_ENTRY)}}}, got {entry!r:.80}")
    given = {name: value for name, value in entry.items() if value is not None}
    for name in given:
        if name not in _ENTRY:
            raise RowError(f"style: unknown field {name!r:.80}{hint(str(name), _ENTRY, 'fields')}")
    written, uri = _image("style", given.get("uri"), directory)
    masks = {name: _image(f"style {name}", given[name], directory) for name in MASKS if name in given}
    return StyleEntry(written, uri, _weight(given.get("weight", 1.0)), _scale(given.get("scale")), **masks)


def _weight(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise RowError(f"style weight must be a finite number >= 0, got {value!r:.80}")
    return float(value)


def _scale(value: Any) -> float | None:
    try:
        return None if value is None else float(field_kinds()["style_scale"].parse(value))
    except ValueError as error:
        raise RowError(f"style scale {error}, got {value!r:.80}") from error


# Keyed by JSON: no two legal values that a Parquet column can hold have the same.
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


def _without_nan(value: Any) -> Any:
    """Returns a value as JSON can hold it: what is not finite is null, and names are text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(name): _without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value


def describe_failed_row(values: dict[str, Any]) -> dict[str, Any]:
    """Returns what a metrics row shows for an invalid row: each value cut to what its column can hold."""
    styles = values.get("style")
    entries = [{"uri": styles, "weight": 1.0}] if isinstance(styles, str) else styles
    if not isinstance(entries, list):
        entries = []
    others = {name: value for name, value in values.items() if name not in _COLUMNS}
    extra = _to_json(_without_nan(others)) if others else None
    return {
        "content": _text(values.get("content")),
        "style": [_described(entry) for entry in entries[:_MAX_STYLES_SHOWN] if isinstance(entry, Mapping)],
        "initial": _text(values.get("initial")),
        "extra": extra if extra is None or len(extra) <= _MAX_EXTRA_BYTES else None,
    }


def _described(entry: Mapping[str, Any]) -> dict[str, Any]:
    numbers = {name: _number(entry.get(name)) for name in ("weight", "scale")}
    return {"uri": _text(entry.get("uri")), **numbers, **{name: _text(entry.get(name)) for name in MASKS}}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)[:_MAX_URI_BYTES]
