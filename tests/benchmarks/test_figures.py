"""Processes are measured, figures cross from one to another, and targets are read the right way round."""

import subprocess
import sys

import pytest

from benchmarks.bench import table
from benchmarks.figures import Figure, number, reached, run_measured, target_text
from tests.support.paths import ROOT

# From a light process: what its parent held when it was born counts, and this one holds TensorFlow.
MEASURE = """
import sys
from benchmarks.figures import run_measured
for program in ("print('ready')", "print(len(bytearray(200_000_000)))"):
    done = run_measured([sys.executable, "-c", program])
    print(done.output.strip(), done.peak_bytes)
"""


def test_a_process_gives_its_output_and_its_peak_memory():
    done = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=True)
    (small, small_bytes), (large, large_bytes) = (line.split() for line in done.stdout.splitlines())
    assert (small, large) == ("ready", "200000000")
    assert 190_000_000 < int(large_bytes) - int(small_bytes) < 220_000_000


def test_a_process_that_fails_is_an_error_with_the_end_of_its_output():
    with pytest.raises(RuntimeError, match=r"exit status 3\nwhy"):
        run_measured([sys.executable, "-c", "print('why'); raise SystemExit(3)"])


@pytest.mark.parametrize(
    ("known", "value", "expected"),
    [
        ({"at_most": 1.15}, 1.15, True),
        ({"at_most": 1.15}, 1.16, False),
        ({"at_least": 4}, 4.0, True),
        ({"at_least": 4}, 3.9, False),
        ({}, 1e9, True),
    ],
)
def test_targets(known, value, expected):
    figure = Figure("speed", value)
    assert reached(figure, known) is expected
    (_, line) = table([figure], {"speed": known})
    assert ("not reached" in line) is not expected


def test_numbers_and_targets_for_people():
    assert [number(value) for value in (None, 0.0123, 1.162, 350_000.4)] == ["", "0.0123", "1.16", "350,000"]
    assert [target_text(known) for known in ({"at_most": 0.6}, {"at_least": 4}, {})] == ["<= 0.6", ">= 4", ""]
