"""The record of a run: one metrics row, declared once. Its Arrow schema, its JSON and every list of columns follow.

A finished run's record lies in its picture and its marker; metrics/ holds one record per manifest row.
"""

import dataclasses
import json
import pickle
import zlib
from collections.abc import Mapping
from typing import Any, Self

import pyarrow as pa

from stylecore.config.style_config import field_kinds
from stylecore.errors import one_line

# Where a column is carried on, beside the metrics: into the dataset, to a run's details on the page, to its failures.
DATASET, DETAILS, FAILURES = "dataset", "details", "failures"

_CONFIG_TYPES = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "double": pa.float64(),
    "int64": pa.int64(),
    "map<string, double>": pa.map_(pa.string(), pa.float64()),
    "list<struct<scale: double, share: double>>": pa.list_(
        pa.struct([("scale", pa.float64()), ("share", pa.float64())])
    ),
}


def config_type() -> pa.StructType:
    """Returns the Arrow type of a StyleConfig, from its fields' declarations."""
    return pa.struct([(name, _CONFIG_TYPES[kind.arrow]) for name, kind in field_kinds().items()])


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss in the metrics: its column, its label for people, and its short name, which is its name in a history."""

    key: str
    label: str
    short: str


LOSSES = (
    Loss("loss_total", "total", "total"),
    Loss("loss_content", "content", "content"),
    Loss("loss_style", "style", "style"),
    Loss("loss_tv", "total variation", "tv"),
)

_HISTORY = pa.list_(pa.struct([("iteration", pa.int64()), *((loss.short, pa.float32()) for loss in LOSSES)]))


def style_type() -> pa.ListType:
    """Returns the Arrow type of a style: a list of entries."""
    masks = [("content_mask", pa.string()), ("style_mask", pa.string())]
    return pa.list_(pa.struct([("uri", pa.string()), ("weight", pa.float64()), ("scale", pa.float64()), *masks]))


def _column(arrow: pa.DataType, about: str, *carried: str, nullable: bool = True) -> Any:
    """Declares a column: its Arrow type, what it holds in words for people, and where else it is carried."""
    metadata = {"arrow": arrow, "about": about, "carried": frozenset(carried), "nullable": nullable}
    return dataclasses.field(default=None, metadata=metadata) if nullable else dataclasses.field(metadata=metadata)


class RecordError(ValueError):
    """JSON that is no record of a run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One metrics row, in the order of the columns; docs/output.md says what each holds.

    Values are as JSON has them: `config` an object with every field filled, `history` a list of objects.
    """

    manifest_row: int = _column(
        pa.int64(), "the row's number in the manifest, from 0", DETAILS, FAILURES, nullable=False
    )
    run_id: str | None = _column(
        pa.string(),
        "the same images, configuration and weights have the same one; null if the row got none",
        DATASET,
        DETAILS,
        FAILURES,
    )
    status: str | None = _column(pa.string(), "done or failed")
    content: str | None = _column(pa.string(), "the content image as the manifest names it", DATASET, DETAILS, FAILURES)
    style: list[dict[str, Any]] | None = _column(
        style_type(),
        "the style images as the manifest names them, each with its weight, its own scale and its masks, if any",
        DATASET,
        DETAILS,
        FAILURES,
    )
    config: dict[str, Any] | None = _column(config_type(), "every field of the configuration", DETAILS)
    image: str | None = _column(pa.string(), "where the picture lies in the output directory")
    height: int | None = _column(pa.int64(), "the picture's height in pixels", DATASET, DETAILS)
    width: int | None = _column(pa.int64(), "the picture's width in pixels", DATASET, DETAILS)
    iterations: int | None = _column(pa.int64(), "the number of steps made", DATASET, DETAILS)
    stop_reason: str | None = _column(
        pa.string(),
        "iterations: all were made; converged: the early stop; stalled: the line search found no lower loss",
        DATASET,
        DETAILS,
    )
    loss_total: float | None = _column(
        pa.float32(),
        "the sum of the losses, weighted by `content_weight`, `style_weight` and `tv_weight` of the configuration",
        DATASET,
    )
    loss_content: float | None = _column(
        pa.float32(), "the content loss, unweighted, of the picture as it is stored, in float32 arithmetic", DATASET
    )
    loss_style: float | None = _column(pa.float32(), "the style loss, likewise", DATASET)
    loss_tv: float | None = _column(pa.float32(), "the total variation, likewise", DATASET)
    history: list[dict[str, Any]] | None = _column(
        _HISTORY, "the losses on the way: iteration 0, the first ten, a regular stride of at most 100 points, the last"
    )
    seconds: float | None = _column(pa.float64(), "the batch's time divided by the number of its pictures", DETAILS)
    device: str | None = _column(pa.string(), "the device that computed the picture", DETAILS)
    weights_sha256: str | None = _column(pa.string(), "the fingerprint of the network's weights", DATASET, DETAILS)
    stylebeam_version: str | None = _column(pa.string(), "the version that made the picture", DATASET, DETAILS)
    tensorflow_version: str | None = _column(
        pa.string(), "the version of TensorFlow that made the picture", DATASET, DETAILS
    )
    error_type: str | None = _column(pa.string(), "the kind of the error of a failed row", FAILURES)
    error_message: str | None = _column(pa.string(), "the error in one line", FAILURES)
    extra: str | None = _column(pa.string(), "the manifest's further columns as JSON")
    content_sha256: str | None = _column(pa.string(), "sha256 of the content image's file", DATASET)
    style_sha256: list[str] | None = _column(pa.list_(pa.string()), "sha256 of each style image's file", DATASET)
    frames: list[int] | None = _column(
        pa.list_(pa.int64()),
        "the iterations of the pictures in `frames/<run_id>/`, rising; null if none were asked for",
        DETAILS,
    )
    uris: list[str] | None = _column(
        pa.list_(pa.string()),
        "where the content image, each style image, each mask and the initial picture lie: absolute paths or gs://",
    )
    measure_lpips: float | None = _column(
        pa.float32(), "how much another picture than the content it is: LPIPS on VGG16, 0 is the same", DATASET, DETAILS
    )
    measure_ssim: float | None = _column(
        pa.float32(), "how much of the content's structure is kept: SSIM of the luminances, 1 is all", DATASET, DETAILS
    )
    measure_style: float | None = _column(
        pa.float32(),
        "how far VGG16's features are from the styles', in parts of how far the content's are: 0 is like the styles",
        DATASET,
        DETAILS,
    )
    measure_palette: float | None = _column(
        pa.float32(),
        "how far the colours are from the styles', in parts of how far the content's are: 0 is the styles' palette",
        DATASET,
        DETAILS,
    )
    initial: str | None = _column(
        pa.string(),
        "the picture from which the optimisation started, as the manifest names it",
        DATASET,
        DETAILS,
        FAILURES,
    )
    mask_sha256: list[str] | None = _column(
        pa.list_(pa.string()), "sha256 of each mask's file, of each style first the content mask", DATASET
    )
    initial_sha256: str | None = _column(pa.string(), "sha256 of the initial picture's file", DATASET)
    notes: list[str] | None = _column(
        pa.list_(pa.string()), "what of the masks was left out of the losses, and at which layer", DATASET, DETAILS
    )

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Reads what `to_json` wrote; columns that are missing are null, so that older records can be read.

        Raises:
          RecordError: no JSON object, one without the columns by which a finished run is known, or one with a value
            that its column cannot hold.
        """
        try:
            values = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RecordError(f"not JSON: {error}") from error
        kinds = {"manifest_row": int, "run_id": str, "config": dict, "style": list, "height": int, "width": int}
        if not isinstance(values, dict) or not all(type(values.get(name)) is kind for name, kind in kinds.items()):
            raise RecordError(f"not the record of a run: {', '.join(kinds)} are expected")
        record = cls(**{name: values[name] for name in columns() if name in values})
        try:
            pa.Table.from_pylist([record.to_arrow()], schema=metrics_schema())
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise RecordError(f"not the record of a run: {one_line(error, 200)}") from error
        return record

    def __reduce__(self) -> tuple[Any, ...]:
        # Between the steps of a job it is pickled: without names and compressed it has half the bytes.
        values = tuple(getattr(self, name) for name in columns())
        return _unpacked, (zlib.compress(pickle.dumps(values, pickle.HIGHEST_PROTOCOL), level=1),)

    def to_json(self) -> str:
        """Returns the record as one line of JSON."""
        return json.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Returns every column with its value."""
        return {name: getattr(self, name) for name in columns()}

    def to_arrow(self) -> dict[str, Any]:
        """Returns the row as pyarrow takes it: a map column wants pairs where JSON has an object."""
        return {**self.to_dict(), "config": self.config and arrow_config(self.config)}


def _unpacked(packed: bytes) -> RunRecord:
    return RunRecord(**dict(zip(columns(), pickle.loads(zlib.decompress(packed)), strict=True)))


def columns(carried: str | None = None) -> tuple[str, ...]:
    """Returns the names of all columns, or of those that are carried on to DATASET, DETAILS or FAILURES."""
    fields = dataclasses.fields(RunRecord)
    return tuple(field.name for field in fields if carried is None or carried in field.metadata["carried"])


def about(column: str) -> str:
    """Returns what a column holds, in Markdown of one line for people."""
    text: str = RunRecord.__dataclass_fields__[column].metadata["about"]
    return text


def metrics_schema() -> pa.Schema:
    """Returns the schema of metrics/*.parquet."""
    fields = dataclasses.fields(RunRecord)
    return pa.schema([pa.field(f.name, f.metadata["arrow"], nullable=f.metadata["nullable"]) for f in fields])


def arrow_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration as `config_type` takes it: pairs in place of objects."""
    return {name: list(value.items()) if isinstance(value, dict) else value for name, value in config.items()}
