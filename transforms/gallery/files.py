"""The files of the page: what every gallery has beside the chunks of its parts, and a gallery of rows in memory."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from plotly.offline import get_plotlyjs

from transforms.gallery.page import page_html
from transforms.gallery.part import PartSummary, gallery_part
from transforms.gallery.summary import Summary
from transforms.output.paths import ROWS_PER_METRICS_FILE


def page_files(parts: Sequence[PartSummary], title: str, grid: str | None = None) -> Iterator[tuple[str, bytes]]:
    """Yields what a gallery has beside its parts; `index.html` comes last, after all that it refers to.

    Args:
      parts: the summaries of all parts.
      title: the heading of the page.
      grid: names what the readers' choices belong to, such as the manifest's URI; galleries with the same name share
        the choices that a browser keeps. The title unless given.

    Yields:
      (path relative to OUTPUT/gallery/, content).
    """
    yield "plotly.min.js", get_plotlyjs().encode()
    index = {
        "title": title,
        "grid": hashlib.sha256((grid or title).encode(errors="replace")).hexdigest()[:16],
        **Summary(parts).index(),
    }
    yield "index.html", page_html(title, index)


def gallery_files(
    rows: Iterable[Mapping[str, Any]], title: str, grid: str | None = None, rows_per_part: int = ROWS_PER_METRICS_FILE
) -> Iterator[tuple[str, bytes]]:
    """Yields the files of a gallery that shows metrics rows: those of its parts, and then those of `page_files`.

    Args:
      rows: dicts with the columns of the metrics, and optionally `content_thumb` (a path relative to the output
        directory, or None) and `style_thumbs` (a list of such paths, one for each style image). Rows that share a
        `run_id` are shown once.
      title: see `page_files`.
      grid: see `page_files`.
      rows_per_part: the number of rows of each part but the last.

    Yields:
      (path relative to OUTPUT/gallery/, content).
    """
    parts = []
    rest = iter(rows)
    for number, first in enumerate(rest):
        part_rows = itertools.chain([first], itertools.islice(rest, rows_per_part - 1))
        parts.append((yield from gallery_part(part_rows, number)))
    yield from page_files(parts, title, grid)
