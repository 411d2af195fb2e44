"""The measurements with latency do the work that they say they do; their seconds are not looked at."""

import pytest

from benchmarks.latency import MEASUREMENTS

ROWS = 30
pytestmark = pytest.mark.slow


def measured(emulator, name):
    measure, _ = MEASUREMENTS[name]
    return {figure.name: figure for figure in measure(emulator, ROWS)}


def test_a_rerun_is_told_of_no_run_and_reads_no_image(emulator):
    figures = measured(emulator, "rerun")
    assert list(figures) == ["rerun_first_secs", "rerun_secs"]
    for figure in figures.values():
        assert (figure.details["done"], figure.details["failed"]) == (ROWS, {})
    read = [path for _, path in emulator.requests if "alt=media" in path]
    assert [path for path in read if "/out/runs/" in path or "/o/images/" in path] == []
    assert [path for path in read if "/out/metrics/" in path]


def test_each_failure_is_one_request(emulator):
    figures = measured(emulator, "failures")
    assert figures["failures_secs"].details["requests"] == {"POST": ROWS}
    assert len(emulator.objects("out/failures/")) == ROWS


def test_each_image_is_looked_at_read_and_shown(emulator):
    (figure,) = measured(emulator, "probe").values()
    images = [path for _, path in emulator.requests if "/o/images/" in path]
    assert len(images) == len(set(images)) == 2 * ROWS
    assert len([path for _, path in emulator.requests if "ifGenerationMatch=0" in path]) == ROWS
    assert figure.details["images"] == ROWS
