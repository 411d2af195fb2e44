"""The files of metrics/: which of them a job wrote, and their rows, read within bounds.

The file `metrics-00003-of-00020.parquet` holds the rows 15,000 to 19,999 of a manifest of 20 files. Its metadata name
the job that wrote it. Nothing else in the folder is looked at.
"""

import contextlib
import io
import logging
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.output import storage
from transforms.output.job import JOB_KEY, JobRecord, read_job
from transforms.output.paths import ROWS_PER_METRICS_FILE, Output
from transforms.output.record import metrics_schema
from transforms.output.storage import read_ahead

logger = logging.getLogger(__name__)

# What is in memory at once: rows as Python values, their bytes as Arrow has them, and a whole file.
_ROWS, _ROW_BYTES, _FILE_BYTES = 500, 16 * 2**20, 32 * 2**20
_BUFFER_BYTES = 2**20
_FOOTERS_AHEAD = 16
_NAME = re.compile(r"metrics-(\d{5,9})-of-(\d{5,9})\.parquet")


class MetricsFile(NamedTuple):
    """A file in metrics/, number `number` of `total`; a job writes as many as its rows want."""

    number: int
    total: int
    name: str
    updated_secs: float
    size_bytes: int

    @property
    def rows(self) -> range:
        """The manifest rows that it holds, the last file fewer."""
        return file_rows(self.number)


def file_rows(number: int) -> range:
    """Returns the manifest rows of a metrics file by its number, the last file has fewer."""
    return range(number * ROWS_PER_METRICS_FILE, (number + 1) * ROWS_PER_METRICS_FILE)


def file_number(row: int) -> int:
    """Returns the number of the metrics file that holds a manifest row."""
    return row // ROWS_PER_METRICS_FILE


def file_count(rows: int) -> int:
    """Returns the number of metrics files for a manifest of so many rows."""
    return max(1, math.ceil(rows / ROWS_PER_METRICS_FILE))


def metrics_name(number: int, total: int) -> str:
    """Returns the name of a metrics file."""
    return f"metrics-{number:05d}-of-{total:05d}.parquet"


def list_metrics(output: Output) -> list[MetricsFile]:
    """Returns the files in metrics/ that have a metrics file's name, of whatever jobs, in order."""
    found = storage.list_objects(output.metrics(), ".parquet")
    named = [(match, file) for file in found if (match := _NAME.fullmatch(file.name))]
    return sorted(MetricsFile(int(match[1]), int(match[2]), *file) for match, file in named)


@contextlib.contextmanager
def open_metrics(output: Output, file: MetricsFile) -> Iterator[pq.ParquetFile]:
    """Opens a metrics file; a large one is read piece by piece.

    Raises:
      NotFoundError: it has been deleted since it was listed.
      StorageError: it cannot be read.
      pyarrow.ArrowException: it is damaged.
    """
    uri = output.metrics(file.name)
    with contextlib.ExitStack() as stack:
        small = file.size_bytes <= _FILE_BYTES
        source = io.BytesIO(storage.read_bytes(uri)) if small else stack.enter_context(storage.open_binary(uri))
        yield stack.enter_context(pq.ParquetFile(source, buffer_size=_BUFFER_BYTES))


def writer_of(metadata: Any) -> str | None:
    """Returns the id of the job that wrote a file, from the metadata of its schema or footer; None if it names none."""
    name = (metadata or {}).get(JOB_KEY)
    return name.decode(errors="replace") if name else None


def read_metrics(
    output: Output,
    columns: list[str] | None = None,
    within: range | None = None,
    job_id: str | None = None,
    curves: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yields the metrics rows in the order of the manifest, maps as dicts.

    Only the files that the job of job.json wrote are read; older versions named none, and theirs are read if their
    number is the job's.

    Args:
      output: the output directory.
      columns: the columns to read; all unless given. Those that a file of an older version lacks are None.
      within: numbers of manifest rows; files that hold none of them are not read.
      job_id: the id of the job whose rows are wanted; that of job.json unless given.
      curves: gives each row's `history`, which must be among the columns, as arrays by name: many times faster.
    """
    job = read_job(output) or JobRecord()
    for file in list_metrics(output):
        if within is not None and not (within.start < file.rows.stop and file.rows.start < within.stop):
            continue
        with open_metrics(output, file) as source:
            if _is_of(job, job_id, file, writer_of(source.schema_arrow.metadata)):
                yield from _rows(source, columns, curves)


def _is_of(job: JobRecord, job_id: str | None, file: MetricsFile, writer: str | None) -> bool:
    owner = job_id or job.id
    if owner and writer:
        return owner == writer
    return job.rows is None or file.total == file_count(job.rows)


def _rows(source: pq.ParquetFile, columns: list[str] | None, curves: bool) -> Iterator[dict[str, Any]]:
    absent = dict.fromkeys(set(columns or metrics_schema().names) - set(source.schema_arrow.names))
    for group in range(source.num_row_groups):
        count = rows_within(source.metadata.row_group(group), _ROWS, _ROW_BYTES)
        for batch in source.iter_batches(count, row_groups=[group], columns=columns):
            rows = _rows_with_curves(batch) if curves else batch.to_pylist(maps_as_pydicts="strict")
            yield from ({**absent, **row} for row in rows)


def _rows_with_curves(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    histories = batch.column("history")
    points = histories.flatten()
    curves = {field.name: column.to_numpy(zero_copy_only=False) for field, column in zip(points.type, points.flatten())}
    ends = np.cumsum(histories.value_lengths().fill_null(0).to_numpy())
    start = 0
    for row, end in zip(batch.drop_columns(["history"]).to_pylist(maps_as_pydicts="strict"), ends, strict=True):
        yield {**row, "history": {name: curve[start:end] for name, curve in curves.items()}}
        start = end


def rows_within(group: Any, most_rows: int, most_bytes: int) -> int:
    """Returns how many rows of a Parquet row group to hold at once: by its footer so many bytes, and at least one.

    Args:
      group: the row group's metadata.
      most_rows: the largest number of rows.
      most_bytes: the largest number of bytes, unpacked.
    """
    row_bytes = group.total_byte_size / max(1, group.num_rows)
    return max(1, min(most_rows, int(most_bytes / max(1.0, row_bytes))))


def metrics_are_current(output: Output) -> bool:
    """Returns whether metrics/ holds every row of the manifest that job.json names, as that job left them.

    A job says so in job.json when it has written the last of them; the next job begins with a job.json that does not.
    """
    job = read_job(output)
    if job is None or job.metrics_rows is None or job.metrics_rows != job.rows:
        return False
    total = file_count(job.metrics_rows)
    files = [file for file in list_metrics(output) if file.total == total]
    writers = read_ahead(lambda file: _writer(output, file), files, _FOOTERS_AHEAD)
    whole = {file.number for file, writer in zip(files, writers, strict=True) if _is_of(job, None, file, writer)}
    return whole == set(range(total))


def _writer(output: Output, file: MetricsFile) -> str | None:
    """Returns who wrote a file by its footer; a file that cannot be understood has nobody's name."""
    try:
        with storage.open_binary(output.metrics(file.name)) as source:
            return writer_of(pq.read_metadata(source).metadata)
    except (pa.ArrowException, storage.NotFoundError):
        return "nobody"


def summary(output: Output, job_id: str | None = None) -> tuple[int, dict[str, int]]:
    """Returns the number of rows that are done, and the number that failed for each error type, see `read_metrics`."""
    done = 0
    failed: dict[str, int] = {}
    for row in read_metrics(output, ["status", "error_type"], job_id=job_id):
        if row["status"] == "done":
            done += 1
        else:
            failed[row["error_type"]] = failed.get(row["error_type"], 0) + 1
    return done, failed
