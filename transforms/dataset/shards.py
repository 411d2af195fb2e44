"""WriteDataset: the finished rows and their pictures -> Parquet files that `datasets.load_dataset` opens."""

import contextlib
import dataclasses
import functools
import hashlib
import io
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.dataset.card import CardFacts, dataset_card
from transforms.dataset.schema import DEFAULT_SPLIT, MAX_SPLITS, METRICS_COLUMNS, LabelKinds, Layout, parse_extra
from transforms.dataset.schema import split_name as asked_split
from transforms.output import storage
from transforms.output.commit import MAX_PICTURE_BYTES
from transforms.output.job import job_title
from transforms.output.paths import MARKDOWN, PARQUET, Output
from transforms.output.rows import MetricsRows, RowSource
from transforms.output.storage import read_ahead

logger = logging.getLogger(__name__)

# One worker assembles a shard in memory.
SHARD_BYTES = 256 * 2**20
# Pictures up to this size in all are part of the dataset, unless --dataset says otherwise.
FULL_UP_TO_BYTES = 10 * 10**9
CARD = "README.md"

_ROW_BYTES = 1024
GROUP_BYTES = 16 * 2**20
_READ_AHEAD = 4
_DIGEST = b"stylebeam_rows_sha256"
_SHARD_NAME = re.compile(r".+-\d{5}-of-\d{5}\.parquet")
_FIRST_SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of the dataset: the finished rows of a split whose positions are in `rows`."""

    name: str
    split: str
    rows: range
    layout: Layout


@dataclasses.dataclass(frozen=True)
class DatasetPlan:
    """The shards of a dataset, and the facts of its card."""

    shards: tuple[Shard, ...]
    facts: CardFacts


def plan_dataset(source: RowSource, title: str, mode: str | None, shard_bytes: int) -> DatasetPlan:
    """Divides the finished rows into shards by an estimate of their bytes; the same rows give the same shards.

    Args:
      source: the rows, which are read once.
      title: the heading of the card.
      mode: "full" or "metadata"; None chooses by the size of the pictures.
      shard_bytes: the largest size of a shard, estimated from the pictures' raw pixels, which is seldom too low.
    """
    kinds, versions = LabelKinds(), dict[str, None]()
    cuts = {"full": _Cuts(shard_bytes), "metadata": _Cuts(shard_bytes)}
    light = ("status", "height", "width", "extra", "stylebeam_version", "tensorflow_version")
    for position, row in source.rows(light):
        if row["status"] != "done":
            continue
        extra = parse_extra(row["extra"])
        kinds.add(extra)
        versions |= {f"StyleBeam {row['stylebeam_version']} with TensorFlow {row['tensorflow_version']}": None}
        cuts["full"].add(asked_split(extra), position, _ROW_BYTES + 3 * row["height"] * row["width"])
        cuts["metadata"].add(asked_split(extra), position, _ROW_BYTES)
    mode = mode or ("full" if cuts["full"].bytes <= FULL_UP_TO_BYTES else "metadata")
    return cuts[mode].plan(title, mode, kinds, tuple(versions))


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

    def plan(self, title: str, mode: str, kinds: LabelKinds, versions: tuple[str, ...]) -> DatasetPlan:
        """Returns the plan. A dataset without rows has one file too, so that it opens and has its columns."""
        cuts = self._shards or {DEFAULT_SPLIT: [range(0)]}
        splits = [split for split in _FIRST_SPLITS if split in cuts] + sorted(cuts.keys() - _FIRST_SPLITS)
        layout = Layout(mode, kinds.labels(), tuple(splits))
        shards = [
            Shard(f"{split}-{index:05d}-of-{len(cuts[split]):05d}.parquet", split, rows, layout)
            for split in splits
            for index, rows in enumerate(cuts[split])
        ]
        rows = {split: self._rows.get(split, 0) for split in splits}
        return DatasetPlan(
            tuple(shards), CardFacts(title, layout, rows, {split: len(cuts[split]) for split in splits}, versions)
        )


def write_shard(source: RowSource, output: Output, shard: Shard) -> str:
    """Writes a file of the dataset, unless it exists with the same rows, and returns its name.

    A row whose picture is missing is left out; the next build then writes the file again.

    Args:
      source: the rows from which the dataset was planned.
      output: the output directory.
      shard: the file to write.
    """
    digest = _rows_digest(source, shard)
    uri = output.dataset(shard.name)
    if digest == _recorded_digest(uri):
        return shard.name
    buffer = io.BytesIO()
    complete = True
    with pq.ParquetWriter(buffer, shard.layout.schema(), compression="zstd") as writer:
        for group in _groups(_rows_with_pictures(source, output, shard)):
            present = [row for row in group if row is not None]
            complete = complete and len(present) == len(group)
            writer.write_batch(pa.RecordBatch.from_pylist(present, schema=shard.layout.schema()))
        if complete:
            writer.add_key_value_metadata({_DIGEST: digest})
    storage.write(uri, buffer.getvalue(), PARQUET)
    return shard.name


def _shard_rows(source: RowSource, shard: Shard) -> Iterator[dict[str, Any]]:
    for _, row in source.rows(METRICS_COLUMNS, shard.rows) if shard.rows else ():
        extra = parse_extra(row["extra"])
        if row["status"] == "done" and shard.layout.split_of(extra) == shard.split:
            yield shard.layout.row(row, extra)


def _rows_with_pictures(source: RowSource, output: Output, shard: Shard) -> Iterator[dict[str, Any] | None]:
    rows = _shard_rows(source, shard)
    if shard.layout.mode != "full":
        return rows
    return read_ahead(functools.partial(_with_picture, output), rows, _READ_AHEAD)


def _with_picture(output: Output, row: dict[str, Any]) -> dict[str, Any] | None:
    try:
        picture = storage.read_bytes(output.image(row["run_id"]), MAX_PICTURE_BYTES)
    except storage.NotFoundError:
        logger.warning("images/%s.png is missing and left out of the dataset", row["run_id"])
        return None
    return {**row, "image": {**row["image"], "bytes": picture}}


def _groups(rows: Iterable[dict[str, Any] | None]) -> Iterator[list[dict[str, Any] | None]]:
    """Yields the rows of each row group: a viewer reads a whole one, and one is held in memory beside the file."""
    group: list[dict[str, Any] | None] = []
    size = 0
    for row in rows:
        group.append(row)
        size += _ROW_BYTES + len(((row or {}).get("image") or {}).get("bytes") or b"")
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _rows_digest(source: RowSource, shard: Shard) -> str:
    """Returns a digest of a shard without its pictures, which never change and are named by `run_id`."""
    schema = shard.layout.schema()
    digest = hashlib.sha256(schema.serialize())
    for group in _groups(_shard_rows(source, shard)):
        digest.update(pa.RecordBatch.from_pylist(group, schema=schema).serialize())
    return digest.hexdigest()


def _recorded_digest(uri: str) -> str | None:
    """Returns the digest in a file's footer, the only part that is read; None if the file is missing or damaged."""
    with contextlib.suppress(OSError, pa.ArrowException), storage.open_binary(uri) as file:
        return (pq.read_metadata(file).metadata or {}).get(_DIGEST, b"").decode()
    return None


def finish_dataset(output: Output, plan: DatasetPlan) -> None:
    """Writes the card, which names the current files, and then deletes the files of older builds."""
    card = output.dataset(CARD)
    try:
        existing = storage.read_bytes(card).decode("utf-8", "replace")
    except storage.NotFoundError:
        existing = None
    text = dataset_card(plan.facts, existing)
    if text != existing:
        storage.write(card, text.encode(), MARKDOWN)
    current = {shard.name for shard in plan.shards}
    for name in list(storage.list_names(output.dataset(), ".parquet")):
        if name not in current and _SHARD_NAME.fullmatch(name):
            storage.delete(output.dataset(name))


def write_dataset(source: RowSource, output: Output, mode: str | None, shard_bytes: int = SHARD_BYTES) -> None:
    """Writes dataset/ in this process, shard by shard; files whose rows are the same are not written.

    Args:
      source: the rows.
      output: the output directory.
      mode: "full" or "metadata"; None chooses by the size of the pictures.
      shard_bytes: see `plan_dataset`.
    """
    plan = plan_dataset(source, job_title(output), mode, shard_bytes)
    for shard in plan.shards:
        write_shard(source, output, shard)
    finish_dataset(output, plan)


class WriteDataset(beam.PTransform):
    """A PCollection of one element -> dataset/, written from metrics/.

    Args:
      output: the output directory.
      mode: "full" or "metadata"; None chooses by the size of the pictures.
      after: side inputs that are ready once metrics/ is complete.
      shard_bytes: see `plan_dataset`.
    """

    def __init__(
        self, output: Output, mode: str | None, after: Sequence[beam.pvalue.AsIter], shard_bytes: int = SHARD_BYTES
    ) -> None:
        super().__init__()
        self._output = output
        self._mode = mode
        self._after = tuple(after)
        self._shard_bytes = shard_bytes

    def expand(self, start: Any) -> Any:
        output, mode, shard_bytes = self._output, self._mode, self._shard_bytes
        source = MetricsRows(output)
        plan = start | "PlanDataset" >> beam.Map(
            lambda _, *__: plan_dataset(source, job_title(output), mode, shard_bytes), *self._after
        )
        written = (
            plan
            | "Shards" >> beam.FlatMap(lambda plan: plan.shards)
            | "SpreadShards" >> beam.Reshuffle()
            | "WriteShard" >> beam.Map(lambda shard: write_shard(source, output, shard))
        )
        return plan | "FinishDataset" >> beam.Map(
            lambda plan, _: finish_dataset(output, plan), beam.pvalue.AsIter(written)
        )
