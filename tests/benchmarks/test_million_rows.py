"""The memory of a row is seen although the start of a command holds more for a while."""

import subprocess
import sys

from tests.support.paths import ROOT

ROWS = 1_000_000
MEASURE = f"""
import numpy as np
from benchmarks.million_rows import memory_growth
start = np.ones(600_000_000, np.uint8)
del start
print(memory_growth(lambda: None, lambda: np.ones(130 * {ROWS}, np.uint8)))
"""


def test_130_bytes_a_row_are_seen_below_the_peak_of_the_start():
    done = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 125 * ROWS < int(done.stdout) < 140 * ROWS
