"""Reads output directories for tests."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.output.record import metrics_schema


def metrics_of(output: Path) -> list[dict]:
    """Returns the metrics rows of an output directory, in the order of its files."""
    return [row for path in sorted((output / "metrics").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def write_metrics(output: Path, rows: list[dict]) -> Path:
    """Writes rows as the metrics of a new output directory, with an empty thumbs/; returns the directory."""
    (output / "metrics").mkdir(parents=True)
    (output / "thumbs").mkdir()
    known = [{name: row.get(name) for name in metrics_schema().names} for row in rows]
    pq.write_table(pa.Table.from_pylist(known, metrics_schema()), output / "metrics" / "metrics-00000-of-00001.parquet")
    return output


def edit_metrics(output: Path, changes: Callable[[dict], dict]) -> None:
    """Rewrites the metrics of an output directory, each row with what `changes` says of it."""
    for path in (output / "metrics").iterdir():
        table = pq.read_table(path)
        rows = [{**row, **changes(row)} for row in table.to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
