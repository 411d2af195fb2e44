"""The backbones that a manifest uses, found by reading only the columns that name them."""

import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from stylecore.config.presets import PRESETS
from stylecore.networks.layers import BACKBONES, layer_names
from transforms.manifest.distinct import number_values, to_values
from transforms.manifest.files import FILES_AHEAD, Manifest, ManifestError, ManifestSlice, SliceReader
from transforms.manifest.parse import RowError, parse_config
from transforms.output import storage

_NETWORK_FIELDS = ("preset", "backbone", "weights")
# The choice of an illegal configuration, which ReadManifest reports with its row.
_NO_PRESET = ("",)


def distinct_backbones(manifest: Manifest) -> set[tuple[str, str]]:
    """Returns the (backbone, weights) pairs that the rows use; a path of weights is resolved against its manifest.

    Rows that are damaged or illegal are left out.

    Raises:
      StorageError: a file cannot be read.
    """
    found = storage.read_ahead(_backbones_in_file, manifest.slices_by_file(), FILES_AHEAD)
    return set(itertools.chain.from_iterable(found))


def _backbones_in_file(parts: Sequence[ManifestSlice]) -> set[tuple[str, str]]:
    pairs: set[tuple[str, str]] = set()
    with SliceReader() as reader:
        for part in parts:
            # ReadManifest reports a damaged row group, for each of its rows. If the file is whole again by then, rows
            # may name weights that are not among these: see resolve_run.
            with contextlib.suppress(ManifestError):
                for choice in {_network_choice(config) for config in _distinct_configs(reader, part)}:
                    with contextlib.suppress(RowError):
                        pairs.add(_backbone(choice, storage.parent(part.file)))
    return pairs


def _distinct_configs(reader: SliceReader, part: ManifestSlice) -> Iterator[Any]:
    schema = reader.schema(part)
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
    for batch in reader.batches(part, columns):
        column = batch.column("config")
        yield from to_values(column.take(pa.array(number_values(column)[1])))


def _network_choice(config: Any) -> tuple[Any, ...]:
    if isinstance(config, str):
        try:
            config = json.loads(config)
        except (ValueError, RecursionError):
            return _NO_PRESET
    if config is not None and not isinstance(config, Mapping):
        return _NO_PRESET
    values = config or {}
    return tuple(str(values[name]) if values.get(name) is not None else None for name in _NETWORK_FIELDS)


def _backbone(choice: tuple[Any, ...], directory: str) -> tuple[str, str]:
    chosen = {name: value for name, value in zip(_NETWORK_FIELDS, choice) if value is not None}
    backbone = chosen.get("backbone") or PRESETS.get(chosen.get("preset", ""), {}).get("backbone", "vgg19")
    some_layer = list(layer_names(backbone))[:1] if backbone in BACKBONES else None
    config = parse_config({**chosen, "content_layers": some_layer, "style_layers": some_layer}, directory)
    return config.backbone, config.weights
