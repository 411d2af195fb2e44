"""The Arrow types of the contract: configurations in manifests and metrics, and the metrics rows."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from stylecore.config.style_config import field_kinds

_ARROW_TYPES = {
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
    return pa.struct([(name, _ARROW_TYPES[kind.arrow]) for name, kind in field_kinds().items()])


def metrics_schema() -> pa.Schema:
    """Returns the schema of metrics/*.parquet."""
    losses = [("total", pa.float32()), ("content", pa.float32()), ("style", pa.float32()), ("tv", pa.float32())]
    return pa.schema(
        [
            pa.field("manifest_row", pa.int64(), nullable=False),
            ("run_id", pa.string()),
            ("status", pa.string()),
            ("content", pa.string()),
            ("style", pa.list_(pa.struct([("uri", pa.string()), ("weight", pa.float64())]))),
            ("config", config_type()),
            ("image", pa.string()),
            ("height", pa.int64()),
            ("width", pa.int64()),
            ("iterations", pa.int64()),
            ("stop_reason", pa.string()),
            *((f"loss_{name}", kind) for name, kind in losses),
            ("history", pa.list_(pa.struct([("iteration", pa.int64()), *losses]))),
            ("seconds", pa.float64()),
            ("device", pa.string()),
            ("weights_sha256", pa.string()),
            ("stylebeam_version", pa.string()),
            ("tensorflow_version", pa.string()),
            ("error_type", pa.string()),
            ("error_message", pa.string()),
            ("extra", pa.string()),
            ("content_sha256", pa.string()),
            ("style_sha256", pa.list_(pa.string())),
        ]
    )


def arrow_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration as `config_type` takes it: a map column wants pairs where JSON has an object."""
    return {name: list(value.items()) if isinstance(value, dict) else value for name, value in config.items()}
