"""Reads output directories for tests."""

from pathlib import Path

import pyarrow.parquet as pq


def metrics_of(output: Path) -> list[dict]:
    """Returns the metrics rows of an output directory, in the order of its files."""
    return [row for path in sorted((output / "metrics").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
