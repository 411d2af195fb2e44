"""WriteDataset: the finished rows and their pictures -> Parquet files that `datasets.load_dataset` opens."""

import contextlib
import dataclasses
import hashlib
import io
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.dataset.card import dataset_card
from transforms.dataset.plan import DatasetPlan, Shard, plan_dataset
from transforms.dataset.schema import METRICS_COLUMNS, Layout, Row, parse_extra
from transforms.output import storage
from transforms.output.choices import Choice, ChoicesError, read_choices
from transforms.output.commit import MAX_PICTURE_BYTES
from transforms.output.job import job_title
from transforms.output.paths import MARKDOWN, PARQUET, WEBP, Output, is_run_id
from transforms.output.rows import MetricsRows, RowSource
from transforms.output.storage import read_ahead

logger = logging.getLogger(__name__)

# One worker assembles a shard in memory.
SHARD_BYTES = 256 * 2**20
# A row group is held in memory beside the file. The public viewer reads whole ones, and none above 300 MB.
GROUP_BYTES = 16 * 2**20
CARD = "README.md"
# Lies beside the card, which shows it.
SAMPLE = "sample.webp"

_READ_AHEAD = 4
_FRAMES_AHEAD = 8
_MAX_THUMB_BYTES = 2**20
_DIGEST = b"stylebeam_rows_sha256"
_SHARD_NAME = re.compile(r".+-\d{5}-of-\d{5}\.parquet")


def write_shard(source: RowSource, output: Output, shard: Shard) -> str:
    """Writes a file of the dataset, unless it exists with the same rows, and returns its name.

    A row whose picture is missing is left out, and so is a missing frame; the next build then writes the file again.

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
    schema = shard.layout.schema()
    pictures = _Pictures(output, shard.layout)
    rows = _shard_rows(source, shard)
    with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
        for group in _groups(pictures.put_into(rows) if shard.layout.mode == "full" else rows):
            writer.write_batch(pa.RecordBatch.from_pylist(group, schema=schema))
        if not pictures.are_missing:
            writer.add_key_value_metadata({_DIGEST: digest})
    storage.write(uri, buffer.getvalue(), PARQUET)
    return shard.name


def _shard_rows(source: RowSource, shard: Shard) -> Iterator[Row]:
    for _, row in source.rows(METRICS_COLUMNS, shard.rows) if shard.rows else ():
        extra = parse_extra(row["extra"])
        if row["status"] == "done" and shard.layout.split_of(extra) == shard.split:
            yield shard.layout.row(row, extra, shard.choices.get(row["run_id"]))


class _Pictures:
    """Puts the bytes of pictures and frames into rows, and notes whether any are missing."""

    def __init__(self, output: Output, layout: Layout) -> None:
        self.are_missing = False
        self._output = output
        self._has_frames = layout.has_frames

    def put_into(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yields the rows with their bytes; those whose picture is missing are left out."""
        for row in read_ahead(self._with_bytes, rows, _READ_AHEAD):
            if row is not None:
                yield row

    def _with_bytes(self, row: Row) -> Row | None:
        run_id = row["run_id"]
        picture = self._read(self._output.image(run_id), MAX_PICTURE_BYTES)
        if picture is None:
            return None
        row = {**row, "image": {**row["image"], "bytes": picture}}
        if self._has_frames:
            row["frames"] = list(self._frames(run_id, row["frames"]))
        return row

    def _frames(self, run_id: str, frames: Sequence[Row]) -> Iterator[Row]:
        uris = [self._output.frame(run_id, frame["iteration"]) for frame in frames]
        read = read_ahead(lambda uri: self._read(uri, _MAX_THUMB_BYTES), uris, _FRAMES_AHEAD)
        for frame, data in zip(frames, read, strict=True):
            if data is not None:
                yield {**frame, "image": {**frame["image"], "bytes": data}}

    def _read(self, uri: str, limit_bytes: int) -> bytes | None:
        try:
            return storage.read_bytes(uri, limit_bytes)
        except storage.NotFoundError:
            self.are_missing = True
            logger.warning("%s is missing and left out of the dataset", uri.removeprefix(f"{self._output.root}/"))
            return None


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yields the rows of each row group: of at most GROUP_BYTES, or a single row that is larger."""
    group: list[Row] = []
    size_bytes = 0
    for row in rows:
        row_bytes = _size_bytes(row)
        if group and size_bytes + row_bytes > GROUP_BYTES:
            yield group
            group, size_bytes = [], 0
        group.append(row)
        size_bytes += row_bytes
    if group:
        yield group


def _size_bytes(value: Any) -> int:
    """Returns about how many bytes a value has in Arrow; text is counted by its characters."""
    match value:
        case str() | bytes():
            return 8 + len(value)
        case dict():
            return sum(map(_size_bytes, value.values()))
        case list():
            return 8 + sum(map(_size_bytes, value))
    return 8


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
    facts = dataclasses.replace(plan.facts, sample=SAMPLE if _copy_sample(output, plan.sample) else None)
    try:
        existing = storage.read_bytes(card).decode("utf-8", "replace")
    except storage.NotFoundError:
        existing = None
    text = dataset_card(facts, existing)
    if text != existing:
        storage.write(card, text.encode(), MARKDOWN)
    current = {shard.name for shard in plan.shards}
    for name in list(storage.list_names(output.dataset(), ".parquet")):
        if name not in current and _SHARD_NAME.fullmatch(name):
            storage.delete(output.dataset(name))


def _copy_sample(output: Output, run_id: str | None) -> bool:
    """Copies a run's thumbnail beside the card; returns whether there is one now."""
    if run_id is None or not is_run_id(run_id):  # The metrics may come from anywhere, and this becomes a path.
        return False
    try:
        thumb = storage.read_bytes(output.thumb(run_id), _MAX_THUMB_BYTES)
    except storage.NotFoundError:
        return False
    sample = output.dataset(SAMPLE)
    if not storage.exists(sample) or storage.read_bytes(sample) != thumb:
        storage.write(sample, thumb, WEBP)
    return True


def write_dataset(
    source: RowSource,
    output: Output,
    mode: str | None,
    shard_bytes: int = SHARD_BYTES,
    choices: Mapping[str, Choice] | None = None,
) -> None:
    """Writes dataset/ in this process, shard by shard; files whose rows are the same are not written.

    Args:
      source: the rows.
      output: the output directory.
      mode: "full" or "metadata"; None chooses by the size of the pictures.
      shard_bytes: see `plan_dataset`.
      choices: see `plan_dataset`.
    """
    plan = plan_dataset(source, job_title(output), mode, shard_bytes, choices)
    for shard in plan.shards:
        write_shard(source, output, shard)
    finish_dataset(output, plan)


def grid_choices(output: Output, source: RowSource) -> dict[str, Choice] | None:
    """Returns the choices in a directory's choices.json; None if there is none.

    Raises:
      ChoicesError: it is damaged, or names a run that is not among the rows.
    """
    if not storage.exists(output.choices):
        return None
    return read_choices(output.choices, {row["run_id"] for _, row in source.rows(["run_id"])})


def _plan_of_job(output: Output, mode: str | None, shard_bytes: int) -> DatasetPlan:
    """Plans the dataset of a job, which does not fail for choices that are not of this grid: it goes without."""
    source = MetricsRows(output)
    try:
        choices = grid_choices(output, source)
    except ChoicesError as error:
        logger.warning("the dataset goes without choices: %s", error)
        choices = None
    return plan_dataset(source, job_title(output), mode, shard_bytes, choices)


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
        plan = start | "PlanDataset" >> beam.Map(lambda _, *__: _plan_of_job(output, mode, shard_bytes), *self._after)
        written = (
            plan
            | "Shards" >> beam.FlatMap(lambda plan: plan.shards)
            | "SpreadShards" >> beam.Reshuffle()
            | "WriteShard" >> beam.Map(lambda shard: write_shard(source, output, shard))
        )
        return plan | "FinishDataset" >> beam.Map(
            lambda plan, _: finish_dataset(output, plan), beam.pvalue.AsIter(written)
        )
