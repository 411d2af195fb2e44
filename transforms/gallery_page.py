"""The gallery as a step: metrics/ in, gallery/ out."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from transforms import storage
from transforms.gallery import gallery_files
from transforms.layout import Output, source_path
from transforms.metrics import read_metrics

_CONTENT_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css", "js": "text/javascript"}


def write_gallery(output: Output) -> str:
    """Writes gallery/ from metrics/ and returns the path of its page."""
    for name, data in gallery_files(_rows(output), title=_title(output)):
        storage.write(
            output.gallery(name), data, _CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        )
    return output.gallery("index.html")


def _rows(output: Output) -> Iterator[Mapping[str, Any]]:
    for row in read_metrics(output):
        content, styles = row.pop("content_sha256"), row.pop("style_sha256") or []
        yield {
            **row,
            "content_thumb": source_path(content) if content else None,
            "style_thumbs": [source_path(style) for style in styles],
        }


def _title(output: Output) -> str:
    try:
        manifest = str(json.loads(storage.read_bytes(output.job))["manifest"])
    except (storage.StorageError, ValueError, KeyError):
        return "StyleBeam gallery"
    return manifest.rstrip("/").rpartition("/")[2]
