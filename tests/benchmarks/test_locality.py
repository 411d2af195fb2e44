"""The simulation deals, slices and groups as BatchRuns does, and counts each image that a worker reads."""

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that

from benchmarks.locality import (
    NewCache,
    OldCache,
    by_blocks,
    by_run_id,
    elements,
    handed_out,
    reads,
    simulated_grid,
    sliced_by_image,
)
from transforms import deal
from transforms.batch import BatchLimits, BatchRuns, slice_batches

GRID = simulated_grid(6, 5, 4)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(deal, "RUNS_PER_SHARD", 16)


def run_ids(groups):
    return sorted(tuple(run.run_id for run in batch.runs) for group in groups for batch in group)


def test_it_deals_as_the_job_does():
    limits = BatchLimits(3)
    expected = run_ids(elements(GRID.runs, by_blocks(GRID.runs), slice_batches, limits))

    def check(groups):
        assert run_ids(groups) == expected

    with TestPipeline() as pipeline:
        assert_that(pipeline | beam.Create(GRID.runs) | BatchRuns(limits), check)


def test_every_element_is_handed_out_once():
    groups = elements(GRID.runs, by_run_id(GRID.runs), sliced_by_image, BatchLimits(3))
    own = list(handed_out(groups, 4))
    assert run_ids(group for some in own for group in some) == run_ids(groups)
    runs = [sum(len(batch.runs) for group in some for batch in group) for some in own]
    assert max(runs) - min(runs) <= 3 * max(map(len, groups))


@pytest.mark.parametrize("cache", [OldCache, NewCache])
def test_one_worker_with_room_for_all_reads_each_image_once(cache):
    groups = elements(GRID.runs, by_blocks(GRID.runs), slice_batches, BatchLimits(3))
    counted = reads(GRID, groups, cache, workers=1)
    assert counted["reads_per_run"] == 11 / 120 and counted["most_reads_of_an_image"] == 1


def test_the_old_cache_forgets_what_does_not_fit():
    grid = simulated_grid(40, 40, 1)
    groups = elements(grid.runs, by_run_id(grid.runs), sliced_by_image, BatchLimits(3))
    assert reads(grid, groups, OldCache, workers=1)["most_reads_of_an_image"] > 1
    assert reads(grid, groups, NewCache, workers=1)["most_reads_of_an_image"] == 1
