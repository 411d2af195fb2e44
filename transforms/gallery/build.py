"""write_gallery: metrics rows -> gallery/."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam

from stylecore.errors import one_line
from transforms.gallery.files import gallery_files
from transforms.output import storage
from transforms.output.job import JobRecord, read_job
from transforms.output.paths import Output, source_path
from transforms.output.rows import MetricsRows, RowSource

_CONTENT_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript"}
_CHUNKS = "data"

logger = logging.getLogger(__name__)


def write_gallery(output: Output, source: RowSource | None = None, title: str | None = None) -> str:
    """Brings gallery/ up to date and returns the path of its page.

    A file whose bytes would be the same is not written. The page is written after all that it refers to; then the
    chunks of older pages are deleted.

    Args:
      output: the output directory.
      source: the rows to show; metrics/ unless given.
      title: the page's heading; the job's unless given.
    """
    chunks = {f"{_CHUNKS}/{name}" for name in storage.list_names(output.gallery(_CHUNKS), ".js")}
    current = set()
    job = read_job(output) or JobRecord()
    for name, data in gallery_files(
        _rows(source or MetricsRows(output)), title=title or job.heading, grid=job.manifest
    ):
        current.add(name)
        # A chunk's name contains a digest of its content.
        if name not in chunks and _read(output.gallery(name)) != data:
            storage.write(output.gallery(name), data, _CONTENT_TYPES[name.rpartition(".")[2]])
    for name in chunks - current:
        storage.delete(output.gallery(name))
    return output.gallery("index.html")


def write_job_gallery(output: Output) -> None:
    """Brings gallery/ of a job up to date; a failure is a warning and counted as `galleries_failed`.

    The pictures and their metrics are written by then, and the gallery can be made of them at any time.
    """
    try:
        write_gallery(output)
    except Exception as error:  # whatever it is, a finished job is not to fail for its page
        beam.metrics.Metrics.counter("stylebeam", "galleries_failed").inc()
        logger.warning(
            "the gallery could not be written (%s: %s); pictures and metrics are complete, and this writes it again: "
            "stylebeam gallery %s",
            type(error).__name__,
            one_line(error, 300),
            output.root,
        )


def _read(uri: str) -> bytes | None:
    try:
        return storage.read_bytes(uri)
    except storage.NotFoundError:
        return None


def _rows(source: RowSource) -> Iterator[Mapping[str, Any]]:
    for _, row in source.rows():
        content, styles = row["content_sha256"], row["style_sha256"] or []
        yield {
            **row,
            "content_thumb": source_path(content) if content else None,
            "style_thumbs": [source_path(style) for style in styles],
        }
