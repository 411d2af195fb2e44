"""BatchRuns: runs -> batches of runs that share a bucket, of full size wherever they can be."""

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam

from stylecore.buckets import default_batch_size
from transforms.records import Run

# A shard is grouped and sorted in one worker's memory; a run weighs one to two kilobytes.
RUNS_PER_SHARD = 512
# Two CPU cores on VGG19 to conv5_2: 0.36 seconds at 256x256 in batches, see benchmarks/step_time.py.
ESTIMATED_SECS_PER_PIXEL_AND_ITERATION = 5.5e-6


@dataclasses.dataclass(frozen=True)
class RunBatch:
    """Runs to optimise together; `size` is what a short batch may be padded to."""

    size: int
    runs: tuple[Run, ...]


def batch_size_of(run: Run, option: int | None, max_batch_secs: float) -> int:
    """Returns the batch size of a run: from its shape, length and the option, never from what is left to do."""
    size = option or default_batch_size(run.height, run.width)
    secs = max(1, run.row.config.iterations) * run.height * run.width * ESTIMATED_SECS_PER_PIXEL_AND_ITERATION
    return max(1, min(size, int(max_batch_secs / secs)))


def slice_batches(runs: Iterable[Run], option: int | None, max_batch_secs: float) -> Iterator[RunBatch]:
    """Slices runs of one bucket: neighbours share length and images, so that a batch ends together."""
    waiting: list[Run] = []
    size = 0
    for run in sorted(runs, key=_order):
        own_size = batch_size_of(run, option, max_batch_secs)
        if waiting and (len(waiting) == size or own_size != size):
            yield RunBatch(size, tuple(waiting))
            waiting = []
        size = own_size
        waiting.append(run)
    if waiting:
        yield RunBatch(size, tuple(waiting))


def _order(run: Run) -> tuple[Any, ...]:
    return run.row.config.iterations, run.content_sha256, run.style_sha256, run.run_id


class BatchRuns(beam.PTransform):
    """Runs -> RunBatch; no group grows with the whole grid, and no bucket is bound to one worker."""

    def __init__(self, batch_size: int | None, max_batch_secs: float) -> None:
        super().__init__()
        self._batch_size = batch_size
        self._max_batch_secs = max_batch_secs

    def expand(self, runs: Any) -> Any:
        """See beam.PTransform."""
        keyed = runs | "KeyByBucket" >> beam.WithKeys(bucket_key).with_output_types(tuple[str, Run])
        counts = keyed | "CountBuckets" >> beam.combiners.Count.PerKey()
        return (
            keyed
            | "Shard" >> beam.Map(shard, beam.pvalue.AsDict(counts)).with_output_types(tuple[tuple[str, int], Run])
            | "GroupShards" >> beam.GroupByKey()
            | "Slice"
            >> beam.FlatMapTuple(lambda _, group: slice_batches(group, self._batch_size, self._max_batch_secs))
        )


def bucket_key(run: Run) -> str:
    """Returns a short name of a run's bucket."""
    return hashlib.sha256(repr(run.bucket).encode()).hexdigest()[:16]


def shard(keyed: tuple[str, Run], counts: Mapping[str, int]) -> tuple[tuple[str, int], Run]:
    """Keys a run by its bucket and one of the bucket's shards, by hash: a retried bundle does the same again."""
    bucket, run = keyed
    shards = math.ceil(counts[bucket] / RUNS_PER_SHARD)
    return (bucket, int(run.run_id, 16) % shards), run
