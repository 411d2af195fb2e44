"""write_gallery: metrics rows -> gallery/."""

from collections.abc import Iterator, Mapping
from typing import Any

from transforms.gallery.files import gallery_files
from transforms.output import storage
from transforms.output.job import JobRecord, read_job
from transforms.output.paths import Output, source_path
from transforms.output.rows import MetricsRows, RowSource

_CONTENT_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript"}
_CHUNKS = "data"


def write_gallery(output: Output, source: RowSource | None = None, title: str | None = None) -> str:
    """Brings gallery/ up to date and returns the path of its page.

    A file whose bytes would be the same is not written. The page is written after all that it refers to; then the
    chunks of older pages are deleted.

    Args:
      output: the output directory.
      source: the rows to show; metrics/ unless given.
      title: the page's heading; the manifest's name unless given.
    """
    chunks = {f"{_CHUNKS}/{name}" for name in storage.list_names(output.gallery(_CHUNKS), ".js")}
    current = set()
    job = read_job(output) or JobRecord()
    for name, data in gallery_files(_rows(source or MetricsRows(output)), title=title or job.title, grid=job.manifest):
        current.add(name)
        # A chunk's name contains a digest of its content.
        if name not in chunks and _read(output.gallery(name)) != data:
            storage.write(output.gallery(name), data, _CONTENT_TYPES[name.rpartition(".")[2]])
    for name in chunks - current:
        storage.delete(output.gallery(name))
    return output.gallery("index.html")


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
