"""write_gallery and WriteGallery: metrics rows -> gallery/, a part for each metrics file, and then the page."""

import dataclasses
import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam

from stylecore.errors import one_line
from stylecore.measures.measure import MEASURES
from transforms.gallery.files import page_files
from transforms.gallery.part import PartSummary, gallery_part
from transforms.output import storage
from transforms.output.job import JobRecord, check_owned, read_job
from transforms.output.metrics_files import file_count, file_number, file_rows
from transforms.output.paths import Output, source_path
from transforms.output.record import DETAILS, FAILURES, LOSSES, columns
from transforms.output.rows import FileSource, MetricsRows, RowSource
from transforms.output.storage import read_ahead

_CONTENT_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript"}
_CHUNKS = "data"
_COLUMNS = tuple(
    dict.fromkeys(
        ["status", "extra", "image", "history"]
        + ["content_sha256", "style_sha256", "mask_sha256", "initial_sha256"]
        + [*columns(DETAILS), *columns(FAILURES)]
        + [column.key for column in (*LOSSES, *MEASURES)]
    )
)
# Files of a part that are written at once, and parts at once in one process.
_WRITES_AHEAD = 8
_PARTS_AHEAD = 4

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LostPart:
    """A part that could not be written, and why in one line."""

    number: int
    reason: str


def write_part(output: Output, source: RowSource, rows: range, job_id: str | None = None) -> PartSummary:
    """Writes the chunks of some rows that do not exist yet, and returns their summary.

    Args:
      output: the output directory.
      source: has the rows.
      rows: the positions of the part's rows, those of one metrics file.
      job_id: see `check_owned`; None leaves that check out.

    Raises:
      StorageError: the rows cannot be read, or a chunk cannot be written.
      TakenOverError: the output directory belongs to a later job.
    """
    if job_id:
        check_owned(output, job_id)
    written: list[PartSummary] = []

    def chunks() -> Iterator[tuple[str, bytes]]:
        written.append((yield from gallery_part(_rows(source, rows), file_number(rows.start))))

    for _ in read_ahead(functools.partial(_write_new, output), chunks(), _WRITES_AHEAD):
        pass
    return written[0]


def finish_gallery(
    output: Output, parts: Sequence[PartSummary], title: str | None = None, job_id: str | None = None
) -> str:
    """Writes the page, after all parts, deletes the chunks of older pages, and returns the path of the page.

    Args:
      output: the output directory.
      parts: the summaries of all parts.
      title: the page's heading; the job's unless given.
      job_id: see `check_owned`; None leaves that check out.

    Raises:
      StorageError: a file cannot be read or written.
      TakenOverError: the output directory belongs to a later job.
    """
    job = read_job(output) or JobRecord()
    if job_id:
        check_owned(output, job_id)
    for name, data in page_files(parts, title or job.heading, job.manifest):
        if _read(output.gallery(name)) != data:
            storage.write(output.gallery(name), data, _content_type(name))
    current = {name for part in parts for name in part.names()}
    for name in {f"{_CHUNKS}/{name}" for name in storage.list_names(output.gallery(_CHUNKS), ".js")} - current:
        storage.delete(output.gallery(name))
    return output.gallery("index.html")


def write_gallery(output: Output, source: FileSource | None = None, title: str | None = None) -> str:
    """Brings gallery/ up to date in this process, several parts at once, and returns the path of its page.

    A file whose bytes would be the same is not written.

    Args:
      output: the output directory.
      source: the rows to show; metrics/ unless given.
      title: the page's heading; the job's unless given.
    """
    source = source or MetricsRows(output)
    parts = read_ahead(lambda rows: write_part(output, source, rows), source.files(), _PARTS_AHEAD)
    return finish_gallery(output, list(parts), title)


class WriteGallery(beam.PTransform):
    """A PCollection of one element -> gallery/, written from metrics/, a metrics file an element.

    The pictures and their metrics are written by then, and the gallery can be made of them at any time: no error fails
    the job. A gallery of which a part cannot be written stays as it was, which is a warning and counted as
    `galleries_failed`.

    Args:
      output: the output directory.
      rows: the number of rows of the manifest.
      job_id: see `check_owned`.
      after: side inputs that are ready once metrics/ is complete.
    """

    def __init__(
        self, output: Output, rows: int, job_id: str | None = None, after: Sequence[beam.pvalue.AsIter] = ()
    ) -> None:
        super().__init__()
        self._output = output
        self._files = [file_rows(number) for number in range(file_count(rows))]
        self._job_id = job_id
        self._after = tuple(after)

    def expand(self, start: Any) -> Any:
        output, files, job_id = self._output, self._files, self._job_id
        parts = (
            start
            | "GalleryParts" >> beam.FlatMap(lambda _, *__: files, *self._after)
            | "SpreadParts" >> beam.Reshuffle()
            | "WritePart" >> beam.Map(lambda rows: _part_or_reason(output, rows, job_id))
        )
        return start | "FinishGallery" >> beam.Map(
            lambda _, parts: _finish_job_gallery(output, list(parts), job_id), beam.pvalue.AsIter(parts)
        )


def _part_or_reason(output: Output, rows: range, job_id: str | None) -> PartSummary | LostPart:
    try:
        return write_part(output, MetricsRows(output), rows, job_id)
    except Exception as error:  # whatever it is, a finished job is not to fail for its page
        return LostPart(file_number(rows.start), _reason(error))


def _finish_job_gallery(output: Output, parts: Sequence[PartSummary | LostPart], job_id: str | None) -> None:
    lost = sorted((part for part in parts if isinstance(part, LostPart)), key=lambda part: part.number)
    if lost:
        others = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
        _warn(output, f"part {lost[0].number} of {len(parts)}: {lost[0].reason}{others}")
        return
    try:
        finish_gallery(output, [part for part in parts if isinstance(part, PartSummary)], job_id=job_id)
    except Exception as error:  # as above
        _warn(output, _reason(error))


def _warn(output: Output, reason: str) -> None:
    beam.metrics.Metrics.counter("stylebeam", "galleries_failed").inc()
    logger.warning(
        "the gallery could not be written (%s); pictures and metrics are complete, and this writes it again: "
        "stylebeam gallery %s",
        reason,
        output.root,
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error, 300)}"


def _write_new(output: Output, file: tuple[str, bytes]) -> None:
    """Writes a chunk unless there is one; its name contains a digest of its content."""
    name, data = file
    if not storage.exists(output.gallery(name)):
        storage.write(output.gallery(name), data, _content_type(name))


def _content_type(name: str) -> str:
    return _CONTENT_TYPES[name.rpartition(".")[2]]


def _read(uri: str) -> bytes | None:
    try:
        return storage.read_bytes(uri)
    except storage.NotFoundError:
        return None


def _rows(source: RowSource, within: range) -> Iterator[Mapping[str, Any]]:
    if isinstance(source, MetricsRows):
        source = dataclasses.replace(source, curves=True)
    for _, row in source.rows(_COLUMNS, within):
        yield {
            **row,
            "content_thumb": _source(row["content_sha256"]),
            "style_thumbs": [_source(style) for style in row["style_sha256"] or []],
            "mask_thumbs": [_source(mask) for mask in row.get("mask_sha256") or []],
            "initial_thumb": _source(row.get("initial_sha256")),
        }


def _source(sha256: str | None) -> str | None:
    return source_path(sha256) if sha256 else None
