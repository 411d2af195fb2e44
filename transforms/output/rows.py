"""Reads the rows of an output directory: from metrics/, or from the markers and failure records of a job that died."""

import contextlib
import dataclasses
import json
import logging
import tempfile
import threading
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import IO, Any, Protocol

from transforms.output.commit import failed_ids, finished_ids, read_failure, read_marker
from transforms.output.measures import measured_ids, with_later_measures
from transforms.output.metrics_files import file_count, file_rows, list_metrics, read_metrics
from transforms.output.paths import Output
from transforms.output.record import RunRecord, columns
from transforms.output.storage import read_ahead

logger = logging.getLogger(__name__)

_READ_AHEAD = 16

NumberedRow = tuple[int, Mapping[str, Any]]


class RowSource(Protocol):
    """Metrics rows, each with its position; every reading gives the same rows at the same positions."""

    def rows(self, columns: Sequence[str] | None = None, within: range | None = None) -> Iterator[NumberedRow]:
        """Yields (position, row) in order.

        Args:
          columns: the columns that are wanted; all unless given. A row may have others too.
          within: the positions that are wanted; all unless given.
        """


class FileSource(RowSource, Protocol):
    """Rows in files, or in parts as large as those; several may be read at once."""

    def files(self) -> Sequence[range]:
        """Returns the positions of the rows of each file, in order."""


@dataclasses.dataclass(frozen=True)
class MetricsRows:
    """The rows of metrics/; a row's position is its number in the manifest.

    Attributes:
      output: the output directory.
      curves: see `read_metrics`.
    """

    output: Output
    curves: bool = False

    def rows(self, columns: Sequence[str] | None = None, within: range | None = None) -> Iterator[NumberedRow]:
        wanted = None if columns is None else [*dict.fromkeys(["manifest_row", *columns])]
        for row in read_metrics(self.output, wanted, within, curves=self.curves):
            if within is None or row["manifest_row"] in within:
                yield row["manifest_row"], row

    def files(self) -> Sequence[range]:
        numbers = [file.number for file in list_metrics(self.output)]
        return [file_rows(number) for number in range(1 + max(numbers, default=0))]


@contextlib.contextmanager
def marker_rows(output: Output) -> Iterator["SpooledRows"]:
    """Gives a row for every finished run, in the order of the manifest, and then one for every recorded failure.

    Markers are read once, into a temporary file; only the offset of each stays in memory.
    """
    with tempfile.TemporaryFile() as spool:
        finished: list[tuple[int, str, int]] = []
        for record in _markers(output):
            finished.append((record["manifest_row"], record["run_id"], _append(spool, record)))
        done = {run_id for _, run_id, _ in finished}
        failed = [_append(spool, record) for record in _failures(output) if record["run_id"] not in done]
        yield SpooledRows(spool, [offset for _, _, offset in sorted(finished)] + failed)


class SpooledRows:
    """Rows in a local file, in the order of `offsets`; a row's position is its place in that order.

    Several threads may read at once.
    """

    def __init__(self, spool: IO[bytes], offsets: list[int]) -> None:
        self._spool = spool
        self._offsets = offsets
        self._reading = threading.Lock()

    def rows(self, columns: Sequence[str] | None = None, within: range | None = None) -> Iterator[NumberedRow]:
        every = range(len(self._offsets))
        for position in every if within is None else every[within.start : within.stop]:
            row = json.loads(zlib.decompress(self._read(self._offsets[position])))
            yield position, row if columns is None else {column: row[column] for column in columns}

    def files(self) -> Sequence[range]:
        return [file_rows(number) for number in range(file_count(len(self._offsets)))]

    def _read(self, offset: int) -> bytes:
        with self._reading:
            self._spool.seek(offset)
            return self._spool.read(int.from_bytes(self._spool.read(4)))


def _append(spool: IO[bytes], record: Mapping[str, Any]) -> int:
    offset = spool.tell()
    data = zlib.compress(json.dumps(record).encode(), level=1)
    spool.write(len(data).to_bytes(4) + data)
    return offset


def _markers(output: Output) -> Iterator[dict[str, Any]]:
    names = sorted(finished_ids(output))
    measured = measured_ids(output)
    records = read_ahead(lambda name: _marker(output, name, measured), names, _READ_AHEAD)
    for name, record in zip(names, records, strict=True):
        if record is not None:
            yield record.to_dict()
        else:
            logger.warning("runs/%s.json is damaged and left out", name)


def _marker(output: Output, run_id: str, measured: Collection[str]) -> RunRecord | None:
    record = read_marker(output, run_id)
    return None if record is None else with_later_measures(output, record, measured)


def _failures(output: Output) -> Iterator[dict[str, Any]]:
    """Yields rows that have only the reason of a failure: what the row asked for stands in the manifest alone."""
    names = sorted(failed_ids(output))
    records = read_ahead(lambda name: read_failure(output, name), names, _READ_AHEAD)
    for name, record in zip(names, records, strict=True):
        if record is None:
            logger.warning("failures/%s.json is damaged and left out", name)
        else:
            known = {**record, "status": "failed"}
            yield {column: known.get(column) for column in columns()}
