"""plan_dataset: the finished rows are divided into files, and described for the card, in one reading of the metrics."""

import bisect
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from stylecore.measures.measure import MEASURES
from transforms.dataset.axes import Axes
from transforms.dataset.card import CardFacts, Range
from transforms.dataset.schema import DEFAULT_SPLIT, MAX_SPLITS, LabelKinds, Layout, parse_extra, split_name
from transforms.output.choices import Choice
from transforms.output.rows import RowSource

# Pictures up to this size in all are part of the dataset, unless --dataset says otherwise.
FULL_UP_TO_BYTES = 10 * 10**9
ROW_BYTES = 1024

# A frame is a thumbnail; noise has twice as many bytes.
_FRAME_BYTES = 32 * 2**10
_FIRST_SPLITS = ("train", "validation", "test")
_COLUMNS = (
    *("run_id", "status", "content", "style", "initial", "config", "height", "width", "extra", "frames"),
    *("stylebeam_version", "tensorflow_version", *(one.key for one in MEASURES)),
)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of the dataset: the finished rows of a split whose positions are in `rows`, and their runs' choices."""

    name: str
    split: str
    rows: range
    layout: Layout
    choices: Mapping[str, Choice]


@dataclasses.dataclass(frozen=True)
class DatasetPlan:
    """The shards of a dataset, the facts of its card, and the run whose picture the card shows, if there is one."""

    shards: tuple[Shard, ...]
    facts: CardFacts
    sample: str | None


def plan_dataset(
    source: RowSource, title: str, mode: str | None, shard_bytes: int, choices: Mapping[str, Choice] | None = None
) -> DatasetPlan:
    """Divides the finished rows into shards by an estimate of their bytes; the same rows give the same shards.

    Args:
      source: the rows, which are read once.
      title: the heading of the card.
      mode: "full" or "metadata"; None chooses by the size of the pictures.
      shard_bytes: the largest size of a shard, estimated from the pictures' raw pixels, which is seldom too low.
      choices: what people chose, by run_id; None where nobody has said.
    """
    seen = _Seen(choices)
    cuts = {"full": _Cuts(shard_bytes), "metadata": _Cuts(shard_bytes)}
    for position, row in source.rows(_COLUMNS):
        if row["status"] != "done":
            continue
        extra = parse_extra(row["extra"])
        seen.add(position, row, extra)
        plain = max(ROW_BYTES, len(row["extra"] or ""))
        pixels = 3 * row["height"] * row["width"]
        frames = len(row["frames"] or ()) * min(pixels, _FRAME_BYTES)
        cuts["full"].add(split_name(extra), position, plain + pixels + frames)
        cuts["metadata"].add(split_name(extra), position, plain)
    mode = mode or ("full" if cuts["full"].bytes <= FULL_UP_TO_BYTES else "metadata")
    layout = seen.layout(mode, cuts[mode].splits())
    shards = tuple(
        Shard(name, split, rows, layout, seen.choices_within(rows)) for name, split, rows in cuts[mode].files()
    )
    facts = CardFacts(
        title,
        layout,
        rows=cuts[mode].rows_of_splits(),
        files=cuts[mode].files_of_splits(),
        versions=tuple(seen.versions),
        axes=seen.axes.varying(),
        ranges=seen.ranges(),
    )
    return DatasetPlan(shards, facts, seen.sample)


class _Seen:
    """What the rows have in common and what they differ in, collected row by row."""

    def __init__(self, choices: Mapping[str, Choice] | None) -> None:
        self.versions: dict[str, None] = {}
        self.axes = Axes()
        self.sample: str | None = None
        self._choices = choices
        self._chosen: list[tuple[int, str]] = []
        self._sample_rating = -1
        self._kinds = LabelKinds()
        self._has_frames = False
        self._ranges: dict[str, Range] = {}

    def add(self, position: int, row: Mapping[str, Any], extra: Mapping[str, Any]) -> None:
        """Adds the next finished row."""
        self._kinds.add(extra)
        self.versions[f"StyleBeam {row['stylebeam_version']} with TensorFlow {row['tensorflow_version']}"] = None
        self.axes.add(row)
        self._has_frames = self._has_frames or bool(row["frames"])
        self._add_choice(position, row["run_id"])
        for one in MEASURES:
            if row[one.key] is not None:
                self._ranges[one.key] = Range.over(self._ranges.get(one.key), row[one.key])

    def layout(self, mode: str, splits: tuple[str, ...]) -> Layout:
        """Returns the form of the dataset's rows."""
        shape = Layout(mode, (), splits, has_frames=self._has_frames, has_choices=self._choices is not None)
        return dataclasses.replace(shape, labels=self._kinds.labels(shape.schema().names))

    def ranges(self) -> Mapping[str, Range]:
        """Returns the range of each measure that any row has, in the order of their declaration."""
        return {one.key: self._ranges[one.key] for one in MEASURES if one.key in self._ranges}

    def choices_within(self, rows: range) -> Mapping[str, Choice]:
        """Returns the choices of the runs whose positions are in `rows`."""
        first = bisect.bisect_left(self._chosen, (rows.start, ""))
        last = bisect.bisect_left(self._chosen, (rows.stop, ""))
        return {run_id: (self._choices or {})[run_id] for _, run_id in self._chosen[first:last]}

    def _add_choice(self, position: int, run_id: str) -> None:
        choice = (self._choices or {}).get(run_id)
        if choice is not None:
            self._chosen.append((position, run_id))
        rating = -1 if choice and choice.rejected else (choice and choice.rating) or 0
        if rating > self._sample_rating:
            self.sample, self._sample_rating = run_id, rating


class _Cuts:
    """Where the shards of each split begin and end."""

    def __init__(self, shard_bytes: int) -> None:
        self.bytes = 0
        self._shard_bytes = shard_bytes
        self._rows: dict[str, int] = {}
        self._shards: dict[str, list[range]] = {}
        self._open_bytes: dict[str, int] = {}

    def add(self, split: str, position: int, size_bytes: int) -> None:
        """Adds the next row."""
        if split not in self._rows and len(self._rows) >= MAX_SPLITS:
            split = DEFAULT_SPLIT
        self.bytes += size_bytes
        self._rows[split] = self._rows.get(split, 0) + 1
        shards = self._shards.setdefault(split, [])
        self._open_bytes[split] = self._open_bytes.get(split, 0) + size_bytes
        if not shards or self._open_bytes[split] > self._shard_bytes:
            shards.append(range(position, position + 1))
            self._open_bytes[split] = size_bytes
        shards[-1] = range(shards[-1].start, position + 1)

    def splits(self) -> tuple[str, ...]:
        """Returns the names of the splits. A dataset without rows has one too, so that it opens and has its columns."""
        found = self._shards or {DEFAULT_SPLIT: []}
        return (*(split for split in _FIRST_SPLITS if split in found), *sorted(found.keys() - _FIRST_SPLITS))

    def files(self) -> Iterator[tuple[str, str, range]]:
        """Yields name, split and positions of each file."""
        for split in self.splits():
            cuts = self._shards.get(split, [range(0)])
            for index, rows in enumerate(cuts):
                yield f"{split}-{index:05d}-of-{len(cuts):05d}.parquet", split, rows

    def rows_of_splits(self) -> Mapping[str, int]:
        """Returns the number of rows of each split."""
        return {split: self._rows.get(split, 0) for split in self.splits()}

    def files_of_splits(self) -> Mapping[str, int]:
        """Returns the number of files of each split."""
        return {split: len(self._shards.get(split, [range(0)])) for split in self.splits()}
