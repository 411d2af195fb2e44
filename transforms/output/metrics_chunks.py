"""Metrics rows on their way to a file: packed as Arrow batches, and sorted on disk, whatever they weigh."""

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.output.job import JOB_KEY
from transforms.output.paths import ROWS_PER_METRICS_FILE
from transforms.output.record import RunRecord, metrics_schema

# Packed rows of one metrics file, in any order.
Chunk = bytes
# The error's type, None for rows that are done -> number of rows.
Outcomes = Counter[str | None]

# A chunk is cut and a row group ends as soon as it holds so many bytes, as Arrow has them.
CHUNK_BYTES = 4 * 2**20
GROUP_BYTES = 16 * 2**20
_SIZE_BYTES = 8
_CODEC = "zstd"


def pack(batch: pa.RecordBatch) -> Chunk:
    """Returns rows of `metrics_schema` as bytes."""
    data = batch.serialize()
    return data.size.to_bytes(_SIZE_BYTES) + pa.compress(data, codec=_CODEC, asbytes=True)


def unpack(chunk: Chunk) -> pa.RecordBatch:
    """Returns the rows of a chunk."""
    size = int.from_bytes(chunk[:_SIZE_BYTES])
    return pa.ipc.read_record_batch(pa.decompress(chunk[_SIZE_BYTES:], size, codec=_CODEC), metrics_schema())


def chunks_of(rows: Sequence[RunRecord]) -> Iterator[tuple[int, Chunk]]:
    """Yields (number of the metrics file, chunk) for metrics rows."""
    yield from cut(pa.RecordBatch.from_pylist([row.to_arrow() for row in rows], schema=metrics_schema()))


def cut(batch: pa.RecordBatch) -> Iterator[tuple[int, Chunk]]:
    """Yields (number of the metrics file, chunk) for rows of `metrics_schema` in any order."""
    numbers = batch["manifest_row"].to_numpy()
    order = np.argsort(numbers, kind="stable")
    files = numbers[order] // ROWS_PER_METRICS_FILE
    for places in np.split(order, np.flatnonzero(np.diff(files)) + 1):
        if len(places):
            yield from _bounded(batch.take(pa.array(places)), int(numbers[places[0]] // ROWS_PER_METRICS_FILE))


def _bounded(batch: pa.RecordBatch, file: int) -> Iterator[tuple[int, Chunk]]:
    count = max(1, int(CHUNK_BYTES / max(1, batch.nbytes / batch.num_rows)))
    for first in range(0, batch.num_rows, count):
        yield file, pack(batch.slice(first, count))


@dataclasses.dataclass(frozen=True)
class _Spooled:
    """A chunk in the spool: where it lies, and the manifest rows that it has."""

    offset: int
    size: int
    numbers: np.ndarray
    row_bytes: float


def write_sorted(chunks: Iterable[Chunk], out: IO[bytes], job_id: str | None) -> Outcomes:
    """Writes a metrics file, sorted by manifest row, and returns how many of its rows became what.

    The chunks wait in a temporary file on disk; a row group and a chunk are in memory.

    Args:
      chunks: the rows of the file, read once.
      out: receives the Parquet file.
      job_id: the id of the job, which the file carries; None for none.
    """
    schema = metrics_schema().with_metadata({JOB_KEY: job_id.encode()} if job_id else None)
    outcomes = Outcomes()
    with tempfile.TemporaryFile() as spool, pq.ParquetWriter(out, schema, compression=_CODEC) as writer:
        for group in _groups(spool, [_spool(spool, chunk) for chunk in chunks]):
            writer.write_table(group.replace_schema_metadata(schema.metadata))
            outcomes.update(group["error_type"].to_pylist())
    return outcomes


def _spool(spool: IO[bytes], chunk: Chunk) -> _Spooled:
    offset = spool.tell()
    spool.write(chunk)
    batch = unpack(chunk)
    return _Spooled(offset, len(chunk), batch["manifest_row"].to_numpy().copy(), batch.nbytes / batch.num_rows)


def _groups(spool: IO[bytes], spooled: Sequence[_Spooled]) -> Iterator[pa.Table]:
    """Yields the rows in order, as many at once as a row group holds."""
    if not spooled:
        return
    numbers = np.concatenate([chunk.numbers for chunk in spooled])
    counts = [len(chunk.numbers) for chunk in spooled]
    owners = np.repeat(np.arange(len(spooled)), counts)
    places = np.concatenate([np.arange(count) for count in counts])
    order = np.argsort(numbers, kind="stable")
    sizes = np.repeat([chunk.row_bytes for chunk in spooled], counts)[order]
    ends = np.cumsum(sizes) // GROUP_BYTES
    for rows in np.split(order, np.flatnonzero(np.diff(ends)) + 1):
        yield _gathered(spool, spooled, owners[rows], places[rows], numbers[rows])


def _gathered(
    spool: IO[bytes], spooled: Sequence[_Spooled], owners: np.ndarray, places: np.ndarray, numbers: np.ndarray
) -> pa.Table:
    """Returns the rows `places` of the chunks `owners`, in the order of their `numbers`, which rise."""
    pieces, found = [], []
    for owner in np.unique(owners):
        chunk, mine = spooled[owner], owners == owner
        spool.seek(chunk.offset)
        pieces.append(unpack(spool.read(chunk.size)).take(pa.array(places[mine])))
        found.append(numbers[mine])
    table = pa.Table.from_batches(pieces, metrics_schema())
    order = np.argsort(np.concatenate(found), kind="stable")
    return table if len(pieces) == 1 else table.combine_chunks().take(pa.array(order))
