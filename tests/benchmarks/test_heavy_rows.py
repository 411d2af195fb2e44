"""No step holds all rows of a metrics file or of a row group where each carries 256 kB."""

import pytest

from benchmarks.heavy_rows import measure

ROWS = 2_000
LIMIT_MB = 450


@pytest.mark.slow
def test_heavy_rows_are_never_all_in_memory():
    """They are 488 MB as text alone, and were held several times: as pages, as Arrow columns and as Python values."""
    figures = list(measure(ROWS))
    assert figures[0].details["rows_mb"] == 488
    assert {figure.name: figure.value for figure in figures if figure.value > LIMIT_MB} == {}
