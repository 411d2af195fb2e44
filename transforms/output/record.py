"""The record of a run: one metrics row, declared once. Its Arrow schema, its JSON and every list of columns follow.

A finished run's record lies in its picture and its marker; metrics/ holds one record per manifest row.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Self

import pyarrow as pa

from stylecore.config.style_config import field_kinds
from stylecore.errors import one_line

# Where a column is carried on, beside the metrics: into the dataset, to a run's details on the page, to its failures.
DATASET, DETAILS, FAILURES = "dataset", "details", "failures"

_CONFIG_TYPES = {
    "string": pa.string(),
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
_STYLE = pa.list_(pa.struct([("uri", pa.string()), ("weight", pa.float64())]))


def _column(arrow: pa.DataType, *carried: str, nullable: bool = True) -> Any:
    """Declares a column: its Arrow type and where else it is carried."""
    metadata = {"arrow": arrow, "carried": frozenset(carried), "nullable": nullable}
    return dataclasses.field(default=None, metadata=metadata) if nullable else dataclasses.field(metadata=metadata)


class RecordError(ValueError):
    """JSON that is no record of a run."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One metrics row, in the order of the columns; docs/output.md says what each holds.

    Values are as JSON has them: `config` an object with every field filled, `history` a list of objects.
    """

    manifest_row: int = _column(pa.int64(), DETAILS, FAILURES, nullable=False)
    run_id: str | None = _column(pa.string(), DATASET, DETAILS, FAILURES)
    status: str | None = _column(pa.string())
    content: str | None = _column(pa.string(), DATASET, DETAILS, FAILURES)
    style: list[dict[str, Any]] | None = _column(_STYLE, DATASET, DETAILS, FAILURES)
    config: dict[str, Any] | None = _column(config_type(), DETAILS)
    image: str | None = _column(pa.string())
    height: int | None = _column(pa.int64(), DATASET, DETAILS)
    width: int | None = _column(pa.int64(), DATASET, DETAILS)
    iterations: int | None = _column(pa.int64(), DATASET, DETAILS)
    stop_reason: str | None = _column(pa.string(), DATASET, DETAILS)
    loss_total: float | None = _column(pa.float32(), DATASET)
    loss_content: float | None = _column(pa.float32(), DATASET)
    loss_style: float | None = _column(pa.float32(), DATASET)
    loss_tv: float | None = _column(pa.float32(), DATASET)
    history: list[dict[str, Any]] | None = _column(_HISTORY)
    seconds: float | None = _column(pa.float64(), DETAILS)
    device: str | None = _column(pa.string(), DETAILS)
    weights_sha256: str | None = _column(pa.string(), DATASET, DETAILS)
    stylebeam_version: str | None = _column(pa.string(), DATASET, DETAILS)
    tensorflow_version: str | None = _column(pa.string(), DATASET, DETAILS)
    error_type: str | None = _column(pa.string(), FAILURES)
    error_message: str | None = _column(pa.string(), FAILURES)
    extra: str | None = _column(pa.string())
    content_sha256: str | None = _column(pa.string(), DATASET)
    style_sha256: list[str] | None = _column(pa.list_(pa.string()), DATASET)
    frames: list[int] | None = _column(pa.list_(pa.int64()))

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

    def to_json(self) -> str:
        """Returns the record as one line of JSON."""
        return json.dumps(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Returns every column with its value."""
        return {name: getattr(self, name) for name in columns()}

    def to_arrow(self) -> dict[str, Any]:
        """Returns the row as pyarrow takes it: a map column wants pairs where JSON has an object."""
        return {**self.to_dict(), "config": self.config and arrow_config(self.config)}


def columns(carried: str | None = None) -> tuple[str, ...]:
    """Returns the names of all columns, or of those that are carried on to DATASET, DETAILS or FAILURES."""
    fields = dataclasses.fields(RunRecord)
    return tuple(field.name for field in fields if carried is None or carried in field.metadata["carried"])


def metrics_schema() -> pa.Schema:
    """Returns the schema of metrics/*.parquet."""
    fields = dataclasses.fields(RunRecord)
    return pa.schema([pa.field(f.name, f.metadata["arrow"], nullable=f.metadata["nullable"]) for f in fields])


def arrow_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration as `config_type` takes it: pairs in place of objects."""
    return {name: list(value.items()) if isinstance(value, dict) else value for name, value in config.items()}
