"""BatchRuns: runs -> batches of runs that share a bucket, full ones wherever possible."""

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam

from stylecore.planning.batches import CPU_BATCH, FullBatch, batch_size_on
from stylecore.planning.costs import TWO_CORES
from stylecore.planning.pyramid import stages
from stylecore.planning.room import UNLIMITED, Room, tiles_of, time_factor
from stylecore.planning.tiles import Tiles
from transforms.deal import PLACE_BITS, Deal, along_axis, cell_bits, place
from transforms.records import Run

# The estimated time of the batches in a group: against it, loading the first of them hardly counts.
GROUP_SECS = 60.0


@dataclasses.dataclass(frozen=True)
class RunBatch:
    """Runs to optimise together; a batch of fewer than `size` runs may be padded to that size."""

    size: int
    runs: tuple[Run, ...]


# Batches that one worker computes one after the other.
BatchGroup = tuple[RunBatch, ...]


@dataclasses.dataclass(frozen=True)
class BatchLimits:
    """What bounds a batch.

    Attributes:
      batch_size: runs in a batch; None chooses by the size of their pictures.
      max_secs: the longest estimated time of a batch.
      full: the batch beyond which the device gains nothing.
      room: the device's memory, and the tiles that were asked for.
      secs_per_pixel_and_iteration: the device's speed, for the estimated time.
    """

    batch_size: int | None = None
    max_secs: float = 600.0
    full: FullBatch = CPU_BATCH
    room: Room = UNLIMITED
    secs_per_pixel_and_iteration: float = TWO_CORES.secs_per_pixel_and_iteration()


def batch_size_of(run: Run, limits: BatchLimits) -> int:
    """Returns a run's batch size, from its size, its iterations and the limits, never from the runs left to do."""
    size = batch_size_on(
        limits.full,
        limits.room,
        run.bucket.kind,
        run.height,
        run.width,
        run.row.config.history_size,
        run.regions,
        limits.batch_size,
    )
    return max(1, min(size, int(limits.max_secs / _secs_of(run, limits))))


def even_size(size: int, total: int) -> int:
    """Returns the smallest size that needs no more batches than `size` does; at most a quarter is padding.

    Args:
      size: the largest number of runs in a batch, >= 1.
      total: the number of runs to divide, >= 1.
    """
    return math.ceil(total / math.ceil(total / size))


def slice_batches(
    runs: Iterable[Run], limits: BatchLimits, totals: Mapping[tuple[str, int], int] | None = None
) -> Iterator[RunBatch]:
    """Slices the runs of one bucket into batches, whose runs have like iterations and images and so end together.

    Args:
      runs: the runs to compute.
      limits: what bounds a batch.
      totals: (bucket, batch size) -> number of runs in the manifest, finished ones too, for batches of even size.
    """
    waiting: list[Run] = []
    size = 0
    for run in sorted(runs, key=_order):
        own_size = batch_size_of(run, limits)
        if totals is not None:
            own_size = even_size(own_size, totals[bucket_key(run), own_size])
        if waiting and (len(waiting) == size or own_size != size):
            yield RunBatch(size, tuple(waiting))
            waiting = []
        size = own_size
        waiting.append(run)
    if waiting:
        yield RunBatch(size, tuple(waiting))


def group_batches(batches: Sequence[RunBatch], limits: BatchLimits) -> Iterator[BatchGroup]:
    """Groups the batches of a shard into elements, within which a batch loads while the one before it computes.

    A group is kept small, because one worker computes all of it: a quarter of the shard and a minute at most.
    """
    longest = math.ceil(len(batches) / 4)
    group: list[RunBatch] = []
    group_secs = 0.0
    for batch in batches:
        secs = sum(_secs_of(run, limits) for run in batch.runs)
        if group and (len(group) == longest or group_secs + secs > min(GROUP_SECS, limits.max_secs)):
            yield tuple(group)
            group, group_secs = [], 0.0
        group.append(batch)
        group_secs += secs
    if group:
        yield tuple(group)


def _secs_of(run: Run, limits: BatchLimits) -> float:
    """Returns the estimated time of a run in a batch."""
    config, kind = run.row.config, run.bucket.kind
    pixel_iterations = 0.0
    for height, width, iterations in stages(config, run.height, run.width):
        tiles = _tiles(run, height, width, limits)
        factor = time_factor(kind, height, width, tiles) if tiles else 1.0
        pixel_iterations += factor * height * width * max(1, iterations)
    return pixel_iterations * limits.secs_per_pixel_and_iteration


def _tiles(run: Run, height: int, width: int, limits: BatchLimits) -> Tiles | None:
    config = run.row.config
    return tiles_of(run.bucket.kind, height, width, config.history_size, limits.room, run.regions)


def _order(run: Run) -> tuple[Any, ...]:
    # Along the curve of the shards: neighbours, in a batch and in a group, share contents and styles.
    return run.row.config.iterations, place_of(run), run.content_sha256, run.style_sha256, run.run_id


class BatchRuns(beam.PTransform):
    """Runs -> BatchGroup; no group grows with the grid, and several workers can share a bucket.

    Args:
      limits: what bounds a batch.
      every: all runs of the manifest, each once, finished ones too. Batches then have sizes that waste little when
        padded, and that do not depend on the runs left to do. Without effect where `limits` fixes the size.
    """

    def __init__(self, limits: BatchLimits, every: Any = None) -> None:
        super().__init__()
        self._limits = limits
        self._every = every if limits.batch_size is None else None

    def expand(self, runs: Any) -> Any:
        keyed = runs | "KeyByBucket" >> beam.WithKeys(bucket_key).with_output_types(tuple[str, Run])
        deals = keyed | "DealBuckets" >> _DealBuckets()
        limits, totals = self._limits, {}
        if self._every is not None:
            alike = self._every | "KeyAlike" >> beam.Map(lambda run: (bucket_key(run), batch_size_of(run, limits)))
            totals["totals"] = beam.pvalue.AsDict(alike | "CountAlike" >> beam.combiners.Count.PerElement())
        return (
            keyed
            | "Shard" >> beam.Map(shard, beam.pvalue.AsDict(deals)).with_output_types(tuple[tuple[str, int], Run])
            | "GroupShards" >> beam.GroupByKey()
            | "Slice"
            >> beam.FlatMap(
                lambda sharded, totals=None: group_batches([*slice_batches(sharded[1], limits, totals)], limits),
                **totals,
            )
        )


class _DealBuckets(beam.PTransform):
    """(bucket, run) -> (bucket, Deal); what a bucket's cells count is combined before it is shuffled."""

    def expand(self, keyed: Any) -> Any:
        counts = keyed | "CountBuckets" >> beam.combiners.Count.PerKey()
        return (
            keyed
            | "KeyByCell" >> beam.Map(_cell, beam.pvalue.AsDict(counts)).with_output_types(tuple[str, int])
            | "CountCells" >> beam.combiners.Count.PerElement()
            | "KeyCellsByBucket" >> beam.MapTuple(lambda key, runs: (key[0], (key[1], runs)))
            | "GroupCells" >> beam.GroupByKey()
            | "Deal" >> beam.MapTuple(lambda bucket, cells: (bucket, Deal(cells)))
        )


def _cell(keyed: tuple[str, Run], counts: Mapping[str, int]) -> tuple[str, int]:
    bucket, run = keyed
    return bucket, place_of(run) >> (PLACE_BITS - cell_bits(counts[bucket]))


def place_of(run: Run) -> int:
    """Returns a run's place, see `transforms.deal`."""
    return int(place(along_axis(run.content_sha256), along_axis(run.style_sha256[0])))


def bucket_key(run: Run) -> str:
    """Returns a digest that names a run's bucket."""
    return hashlib.sha256(repr(run.bucket).encode()).hexdigest()[:16]


def shard(keyed: tuple[str, Run], deals: Mapping[str, Deal]) -> tuple[tuple[str, int], Run]:
    """Keys a run by its bucket and a shard of it.

    Args:
      keyed: (bucket, run).
      deals: bucket -> how its runs are dealt.
    """
    bucket, run = keyed
    return (bucket, deals[bucket].shard(place_of(run), run.run_id)), run
