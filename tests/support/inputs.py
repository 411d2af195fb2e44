"""Manifests of small runs, which take about a second."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TINY: dict[str, Any] = {
    "weights": "random:1",
    "image_size": 48,
    "iterations": 5,
    "content_layers": ["conv2_2"],
    "style_layers": ["conv1_1", "conv2_1"],
}

GOOD_ROW = {"content": "c.png", "style": "s.png"}


def write_rows(path: Path, rows: list[dict], **options) -> str:
    """Writes rows unchanged, with options of pyarrow.parquet.write_table; returns the path."""
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return str(path)


def write_manifest(path: Path, rows: list[dict]) -> str:
    """Writes rows as a manifest, with configurations as JSON, TINY where a row has none; returns its path."""
    table = pa.Table.from_pylist([{**row, "config": json.dumps(row.get("config", TINY))} for row in rows])
    pq.write_table(table, path)
    return str(path)
