"""gallery_files: metrics rows -> the files of the page."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from plotly.offline import get_plotlyjs

from transforms.gallery.chunks import ChunkWriter, significant
from transforms.gallery.page import page_html
from transforms.gallery.summary import Summary
from transforms.output.record import DETAILS, FAILURES, LOSSES, columns

# Small enough to load at once for one run's curves, and large enough that 20,000 runs are not 20,000 files.
DETAIL_CHUNK_BYTES = 192_000
FAILURE_CHUNK_BYTES = 192_000

_SAFE_PATH = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", re.ASCII)


def gallery_files(
    rows: Iterable[Mapping[str, Any]], title: str, grid: str | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yields the files of a gallery that shows metrics rows.

    Rows are read once and in order. Everything but a summary (names, losses, the parameters that vary) leaves memory
    in chunks as soon as they are full. The same rows give the same bytes. The name of a chunk contains a digest of its
    content, so a rebuild writes only the names that do not exist yet, and a browser's cache never mixes two builds.
    `index.html` comes last, after all that it refers to.

    Args:
      rows: dicts with the columns of the metrics, and optionally `content_thumb` (a path relative to the output
        directory, or None) and `style_thumbs` (a list of such paths, one for each style image). Rows that share a
        `run_id` are shown once.
      title: the heading of the page.
      grid: names what the readers' choices belong to, such as the manifest's URI; galleries with the same name share
        the choices that a browser keeps. The title unless given.

    Yields:
      (path relative to OUTPUT/gallery/, content).
    """
    summary = Summary()
    details = ChunkWriter("details", DETAIL_CHUNK_BYTES)
    failures = ChunkWriter("failures", FAILURE_CHUNK_BYTES)
    for row in rows:
        if row["status"] == "failed":
            summary.add_failure(row)
            yield from failures.add({column: row.get(column) for column in columns(FAILURES)})
        elif row["run_id"] not in summary:
            row = {**row, "config": _plain_config(row["config"] or {}), **_thumbs(row)}
            summary.add_run(row)
            yield from details.add(_detail(row))
    yield from details.flush()
    yield from failures.flush()
    runs = ChunkWriter("runs")
    for chunk in summary.run_chunks():
        yield from runs.add(chunk)
        yield from runs.flush()
    yield "plotly.min.js", get_plotlyjs().encode()
    index = {
        "title": title,
        "grid": hashlib.sha256((grid or title).encode(errors="replace")).hexdigest()[:16],
        **summary.index(),
        "chunks": {"runs": runs.names, "details": details.names, "failures": failures.names},
        "detail_starts": details.starts,
    }
    yield "index.html", page_html(title, index)


def _plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the configuration with layer weights as mappings, which Arrow gives as pairs."""
    layers = ("content_layers", "style_layers")
    return {name: dict(value) if name in layers and value is not None else value for name, value in config.items()}


def _thumbs(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the thumbnails, each None unless it is a plain relative path: no other text becomes an image's source."""
    return {
        "content_thumb": _safe_path(row.get("content_thumb")),
        "style_thumbs": [_safe_path(path) for path in row.get("style_thumbs") or []],
    }


def _safe_path(path: str | None) -> str | None:
    return path if path and _SAFE_PATH.fullmatch(path) else None


def _detail(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the page shows of a run that is opened."""
    return {
        **{column: row.get(column) for column in (*columns(DETAILS), "content_thumb", "style_thumbs")},
        "image": _safe_path(row.get("image")),
        "extra": _parsed_extra(row.get("extra")),
        "history": _history(row.get("history") or []),
    }


def _history(history: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Returns the curves as columns with six digits: a third of the bytes of a list, without a visible difference."""
    points = list(history)
    curves = {term: [significant(point[term], 6) for point in points] for term in (loss.short for loss in LOSSES)}
    return {"iteration": [point["iteration"] for point in points], **curves}


def _parsed_extra(extra: str | None) -> Any:
    """Returns the manifest's further columns; text that is not JSON is returned unchanged."""
    try:
        return json.loads(extra) if extra else None
    except ValueError:
        return extra
