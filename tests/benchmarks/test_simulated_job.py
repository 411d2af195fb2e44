"""A simulated job leaves a directory that keeps the contract, and each of its stages is timed."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmarks.simulated_job import simulate, write_grid
from tests.support.contract import violations

ROWS = 400


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated")
    manifest = write_grid(folder, ROWS)
    return folder, simulate(manifest, folder / "output")


def test_the_directory_keeps_the_contract(simulated):
    folder, _ = simulated
    assert violations(folder / "output") == []
    rows = pq.read_table(folder / "output" / "metrics").to_pylist()
    assert len(rows) == len({row["run_id"] for row in rows}) == ROWS
    assert {row["status"] for row in rows} == {"done"} and {row["iterations"] for row in rows} == {5}


def test_nothing_was_optimised(simulated):
    folder, _ = simulated
    row = pq.read_table(folder / "output" / "metrics").to_pylist()[17]
    picture = np.asarray(Image.open(folder / "output" / row["image"]))
    np.testing.assert_array_equal(picture, np.asarray(Image.open(folder / row["content"])))


def test_every_stage_is_timed(simulated):
    _, stages = simulated
    steps = " ".join(stages)
    for step in ("ParseRows", "Probe", "ResolveRuns", "GroupShards", "StylizeRuns", "WriteFile", "WriteGallery"):
        assert step in steps
    assert all(stage.secs > 0 and stage.cpu_secs > 0 and stage.peak_bytes > 2**20 for stage in stages.values())
