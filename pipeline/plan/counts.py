"""RunCounter: the distinct runs of a manifest and their batches, counted without keeping the runs.

A row leaves 16 bytes: its run_id as a number (a run_id has 64 bits, so nothing is lost), its place on the curve along
which runs are dealt, and the number of its group. At the end all are sorted, for which NumPy briefly takes more.
"""

import dataclasses
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Self

import numpy as np

from stylecore.planning.buckets import Bucket
from stylecore.planning.pyramid import stages
from stylecore.planning.room import UNLIMITED, Room, tiles_of
from stylecore.planning.tiles import Tiles
from transforms.deal import PLACE_BITS, cell_bits, shard_at
from transforms.records import Run

_ROWS_AT_ONCE = 2**13


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that batch alike and take equally long.

    Attributes:
      bucket: the bucket of the runs.
      batch_size: the number of runs in a full batch.
      stages: (height, width, iterations) of each size that a picture goes through; sides in pixels.
      history_size: the number of L-BFGS' curvature pairs; 0 under Adam.
      regions: the number of regions; 0 where the step has none.
      tiles: how pictures are computed in tiles at each of these sizes, None where whole.
    """

    bucket: Bucket
    batch_size: int
    stages: tuple[tuple[int, int, int], ...]
    history_size: int
    regions: int
    tiles: tuple[Tiles | None, ...]

    @classmethod
    def of(cls, run: Run, batch_size: int, room: Room = UNLIMITED) -> Self:
        """Returns the group of a run, whose batches have up to `batch_size` runs, in the room of a device."""
        config, kind = run.row.config, run.bucket.kind
        sizes = stages(config, run.height, run.width)
        pairs = config.history_size if config.optimizer == "lbfgs" else 0
        regions = run.regions if kind.regions else 0
        tiles = tuple(tiles_of(kind, height, width, pairs, room, regions) for height, width, _ in sizes)
        return cls(run.bucket, batch_size, sizes, pairs, regions, tiles)


@dataclasses.dataclass(frozen=True)
class BucketCounts:
    """The distinct runs of one bucket, those still to compute, their batches and the largest batch size."""

    bucket: Bucket
    runs: int
    to_compute: int
    batches: int
    batch_size: int


@dataclasses.dataclass(frozen=True)
class Counts:
    """What is distinct in a manifest.

    Attributes:
      runs: the number of distinct runs.
      finished: the number of those known to be finished.
      unidentified: the number of those without a known run_id, which never count as finished.
      buckets: ordered by size, largest first.
      to_compute: group -> number of unfinished runs.
    """

    runs: int
    finished: int
    unidentified: int
    buckets: tuple[BucketCounts, ...]
    to_compute: Mapping[Group, int]


class RunCounter:
    """Counts the runs of valid rows.

    Args:
      is_identified: tells whether the run_ids of a bucket's runs are those that a job would give them.
    """

    def __init__(self, is_identified: Callable[[Bucket], bool]) -> None:
        self._is_identified = is_identified
        self._ids = array("Q")
        self._places = array("I")
        self._groups = array("I")
        self._numbers: dict[Group, int] = {}

    @property
    def rows(self) -> int:
        """The number of runs added, repeated ones included."""
        return len(self._ids)

    def number(self, run: Run, batch_size: int, room: Room) -> int:
        """Returns the number of a run's group, see `Group.of`."""
        group = Group.of(run, batch_size, room)
        return self._numbers.setdefault(group, len(self._numbers))

    def add(self, ids: np.ndarray, places: np.ndarray, groups: np.ndarray) -> None:
        """Adds runs.

        Args:
          ids: their run_ids as numbers, uint64 [n].
          places: their places, see `transforms.deal`, any integers [n].
          groups: the numbers of their groups, any integers [n].
        """
        self._ids.frombytes(ids.tobytes())
        self._places.frombytes(places.astype(np.uint32).tobytes())
        self._groups.frombytes(groups.astype(np.uint32).tobytes())

    def counts(self, finished: np.ndarray) -> Counts:
        """Counts, given the run_ids that are finished, as numbers (uint64 [n])."""
        names = list(self._numbers)
        ids, places, groups = self._distinct()
        identified = np.array([self._is_identified(name.bucket) for name in names], bool)[groups]
        done = identified & _is_among(ids, finished)
        runs = np.bincount(groups, minlength=len(names))
        unidentified = len(ids) - np.count_nonzero(identified)
        if done.any():
            ids, places, groups = ids[~done], places[~done], groups[~done]
        todo = np.bincount(groups, minlength=len(names))
        batches = count_batches(names, ids, places, groups)
        return Counts(
            runs=int(runs.sum()),
            finished=int(done.sum()),
            unidentified=int(unidentified),
            buckets=tuple(_bucket_counts(names, runs, todo, batches)),
            to_compute={name: int(count) for name, count in zip(names, todo, strict=True) if count},
        )

    def _distinct(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the distinct run_ids, sorted, and the place and group of each.

        All columns are sorted where they stand, the distinct runs before their repetitions: copies would need twice the
        memory.
        """
        ids = np.frombuffer(self._ids, np.uint64)
        places, groups = np.frombuffer(self._places, np.uint32), np.frombuffer(self._groups, np.uint32)
        order = np.argsort(ids)
        for column in (ids, places, groups):
            column[:] = column[order]
        del order
        is_first = np.ones(len(ids), bool)
        np.not_equal(ids[1:], ids[:-1], out=is_first[1:])
        distinct = np.count_nonzero(is_first)
        for column in (ids, places, groups):
            column[:distinct] = column[is_first]
        return ids[:distinct], places[:distinct], groups[:distinct]


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


def count_batches(names: list[Group], ids: np.ndarray, places: np.ndarray, groups: np.ndarray) -> Counter[Bucket]:
    """Counts the batches that BatchRuns makes: a bucket's runs are dealt to shards, sorted there, and sliced.

    A batch size falls as iterations rise, and a shard is sorted by iterations: runs of one batch size stand together.

    Args:
      names: the groups.
      ids: run_ids, uint64 [n].
      places: the place of each run, uint32 [n].
      groups: the number of each run's group, uint32 [n].

    Returns:
      Number of batches of each bucket.
    """
    classes = {key: index for index, key in enumerate(dict.fromkeys((name.bucket, name.batch_size) for name in names))}
    class_of = np.array([classes[name.bucket, name.batch_size] for name in names], np.uint64)
    # One number for class and shard: shards are fewer than runs, so fewer than 2**32.
    keys = _shards(names, ids, places, groups)
    for rows in _pieces(len(keys)):
        keys[rows] |= (class_of << np.uint64(32))[groups[rows]]
    pieces, counts = np.unique(keys, return_counts=True)
    batches = Counter[Bucket]()
    for (bucket, size), index in classes.items():
        batches[bucket] = batches[bucket] + int(np.sum(-(-counts[pieces >> np.uint64(32) == index] // size)))
    return batches


def _shards(names: list[Group], ids: np.ndarray, places: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns the shard of each run, uint64 [n]; the arguments are those of `count_batches`."""
    buckets = {bucket: index for index, bucket in enumerate(dict.fromkeys(name.bucket for name in names))}
    bucket_of = np.array([buckets[name.bucket] for name in names], np.uint64)
    runs = np.zeros(len(buckets), np.uint64)
    np.add.at(runs, bucket_of, np.bincount(groups, minlength=len(names)).astype(np.uint64))
    shifts = np.array([PLACE_BITS - cell_bits(int(count)) for count in runs], np.uint64)

    def bucket_and_cell(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        bucket = bucket_of[groups[rows]]
        return bucket, bucket << np.uint64(PLACE_BITS) | places[rows] >> shifts[bucket]

    keys = np.empty(len(ids), np.uint64)
    for rows in _pieces(len(ids)):
        keys[rows] = bucket_and_cell(rows)[1]
    cells, counts = (found.astype(np.uint64) for found in np.unique(keys, return_counts=True))
    before = np.cumsum(counts) - counts
    before -= (np.cumsum(runs) - runs)[cells >> np.uint64(PLACE_BITS)]
    for rows in _pieces(len(ids)):
        bucket, key = bucket_and_cell(rows)
        cell = np.searchsorted(cells, key)
        keys[rows] = shard_at(before[cell], counts[cell], ids[rows], runs[bucket])
    return keys


def _pieces(rows: int) -> Iterator[slice]:
    """Yields slices of rows: what is computed for one of them is small beside what all of them take."""
    for first in range(0, rows, _ROWS_AT_ONCE):
        yield slice(first, min(first + _ROWS_AT_ONCE, rows))
