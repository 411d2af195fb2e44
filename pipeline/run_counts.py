"""Counting the runs of a manifest, their batches and their time, without keeping them.

Of a row nothing stays but 12 bytes: its run_id as a number (a run_id is 64 bits, so nothing is lost) and the group that
it is counted in. At the end the numbers are sorted, for which NumPy takes another 40 bytes a row for a moment.
"""

import dataclasses
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from stylecore.buckets import Bucket
from transforms.batching import ESTIMATED_SECS_PER_PIXEL_AND_ITERATION, RUNS_PER_SHARD
from transforms.records import Run


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that batch alike and take equally long: of one bucket, batch size and number of iterations."""

    bucket: Bucket
    batch_size: int
    iterations: int

    @property
    def secs(self) -> float:
        """Estimated seconds for one of its runs."""
        return self.iterations * self.bucket.height * self.bucket.width * ESTIMATED_SECS_PER_PIXEL_AND_ITERATION


@dataclasses.dataclass(frozen=True)
class BucketCounts:
    """Of one bucket: distinct runs, those still to compute, and their batches of up to so many."""

    bucket: Bucket
    runs: int
    to_compute: int
    batches: int
    batch_size: int


@dataclasses.dataclass(frozen=True)
class Counts:
    """What is distinct in a manifest.

    Attributes:
      runs: distinct ones.
      finished: of these, those that are known to be finished.
      unidentified: of these, those whose run_id is not known, so that they never count as finished.
      buckets: ordered by size, largest first.
      secs: estimated time of the runs that are not finished.
    """

    runs: int
    finished: int
    unidentified: int
    buckets: tuple[BucketCounts, ...]
    secs: float


class RunCounter:
    """Takes the run of each valid row.

    Args:
      is_identified: says of a bucket whether the run_ids of its runs are those that a job would give them.
    """

    def __init__(self, is_identified: Callable[[Bucket], bool]) -> None:
        self._is_identified = is_identified
        self._ids = array("Q")
        self._groups = array("I")
        self._numbers: dict[Group, int] = {}

    @property
    def rows(self) -> int:
        """Number of runs taken, repeated ones included."""
        return len(self._ids)

    def add(self, run: Run, batch_size: int) -> None:
        """Takes a run, whose batches have up to `batch_size` runs."""
        group = Group(run.bucket, batch_size, run.row.config.iterations)
        self._groups.append(self._numbers.setdefault(group, len(self._numbers)))
        self._ids.append(int(run.run_id, 16))

    def counts(self, finished: np.ndarray) -> Counts:
        """Counts, given the run_ids that are finished, as numbers (uint64 [n])."""
        names = list(self._numbers)
        ids, groups = self._distinct()
        identified = np.array([self._is_identified(name.bucket) for name in names], bool)[groups]
        done = identified & _is_among(ids, finished)
        runs = np.bincount(groups, minlength=len(names))
        todo = np.bincount(groups[~done], minlength=len(names))
        batches = count_batches(names, ids[~done], groups[~done])
        return Counts(
            runs=len(ids),
            finished=int(done.sum()),
            unidentified=int((~identified).sum()),
            buckets=tuple(_bucket_counts(names, runs, todo, batches)),
            secs=float(sum(name.secs * int(count) for name, count in zip(names, todo, strict=True))),
        )

    def _distinct(self) -> tuple[np.ndarray, np.ndarray]:
        """Run_ids, sorted, and the group of each. numpy.unique would do, in twice the memory."""
        ids, groups = np.frombuffer(self._ids, np.uint64), np.frombuffer(self._groups, np.uint32)
        order = np.argsort(ids)
        ids = ids[order]
        is_first = np.diff(ids, prepend=~ids[:1]) != 0
        return ids[is_first], groups[order[is_first]]


def _is_among(ids: np.ndarray, others: np.ndarray) -> np.ndarray:
    if not len(others):
        return np.zeros(len(ids), bool)
    others = np.sort(others)
    places = np.searchsorted(others, ids)
    return others[np.minimum(places, len(others) - 1, out=places)] == ids


def _bucket_counts(
    names: list[Group], runs: np.ndarray, todo: np.ndarray, batches: Mapping[Bucket, int]
) -> Iterator[BucketCounts]:
    members: dict[Bucket, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        members[name.bucket].append(number)
    for bucket in sorted(members, key=lambda bucket: (-bucket.height * bucket.width, bucket)):
        numbers = members[bucket]
        largest = max(names[number].batch_size for number in numbers)
        yield BucketCounts(bucket, int(runs[numbers].sum()), int(todo[numbers].sum()), batches[bucket], largest)


def count_batches(names: list[Group], ids: np.ndarray, groups: np.ndarray) -> Counter[Bucket]:
    """Counts the batches that BatchRuns makes: a bucket's runs are dealt to shards, sorted there, and sliced.

    A batch size falls as iterations rise, and a shard is sorted by iterations: runs of one batch size stand together.

    Args:
      names: the groups.
      ids: run_ids, uint64 [n].
      groups: the number of each run's group, uint32 [n].

    Returns:
      Number of batches of each bucket.
    """
    todo = Counter[Bucket]()
    for number, count in enumerate(np.bincount(groups, minlength=len(names))):
        todo[names[number].bucket] += int(count)
    shards = np.array([max(1, math.ceil(todo[name.bucket] / RUNS_PER_SHARD)) for name in names], np.uint64)
    classes = {key: index for index, key in enumerate(dict.fromkeys((name.bucket, name.batch_size) for name in names))}
    class_of = np.array([classes[name.bucket, name.batch_size] for name in names], np.uint64)
    # One number for class and shard: shards are fewer than runs, so fewer than 2**32.
    keys = ids % shards[groups]
    keys += class_of[groups] << np.uint64(32)
    pieces, counts = np.unique(keys, return_counts=True)
    batches = Counter[Bucket]()
    for (bucket, size), index in classes.items():
        batches[bucket] = batches[bucket] + int(np.sum(-(-counts[pieces >> np.uint64(32) == index] // size)))
    return batches
