"""gallery_part: the rows of one metrics file -> their chunks, and what the page's index must know of them.

The bytes of a part follow from its rows and its number alone, so that any number of parts may be written at once, each
by whichever worker has it.
"""

import dataclasses
import json
import logging
import re
from array import array
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from stylecore.measures.measure import MEASURES
from transforms.gallery.chunks import ChunkWriter, chunk, js_literal, packed, packed_array
from transforms.gallery.columns import Column, Columns
from transforms.gallery.labels import style_parts
from transforms.output.record import DETAILS, FAILURES, LOSSES, columns

logger = logging.getLogger(__name__)

# Small enough to load at once for one run's curves, and large enough that 20,000 runs are not 20,000 files.
DETAIL_CHUNK_BYTES = 192_000
FAILURE_CHUNK_BYTES = 192_000
# A further column of the manifest with more values than this identifies rows; it does not group them.
MAX_LABEL_VALUES = 200
CONTENT, STYLE, INITIAL, EXTRA = "content", "style", "initial", "extra."
_TERMS = tuple(loss.short for loss in LOSSES)
NUMBERS = (*(column.key for column in (*LOSSES, *MEASURES)), "seconds")

# A run's losses on the way, as a list of points or by columns.
History = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any] | np.ndarray]

_SAFE_PATH = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)*", re.ASCII)
_RUN_ID = re.compile(r"[0-9a-f]{16}")


@dataclasses.dataclass(frozen=True)
class Values:
    """A column of a part: its distinct values, and the number of each run's value among them."""

    values: Sequence[Any]
    codes: np.ndarray


@dataclasses.dataclass(frozen=True)
class PartSummary:
    """What the page's index must know of a part; some 100 kB for 5,000 runs.

    Attributes:
      number: the part's number.
      run_ids: [runs], bytes of 16 hex digits.
      columns: CONTENT, STYLE, INITIAL, each field of the configuration, and EXTRA + the name of each further column.
      crowded: the further columns that have too many values to group runs.
      measures: the measures that some run has.
      thumbs: URI of an image -> path of its thumbnail.
      failures: kind of error -> number of rows.
      chunks: "runs", "numbers" and "failures" -> paths of the chunks that the page's index names.
      others: paths of the chunks that other chunks name.
    """

    number: int
    run_ids: np.ndarray
    columns: Mapping[str, Values]
    crowded: frozenset[str]
    measures: frozenset[str]
    thumbs: Mapping[str, str]
    failures: Mapping[str, int]
    chunks: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    others: Sequence[str] = ()

    def names(self) -> set[str]:
        """Returns the paths of all chunks of the part."""
        return {name for names in self.chunks.values() for name in names}.union(self.others)


def gallery_part(rows: Iterable[Mapping[str, Any]], number: int) -> Generator[tuple[str, bytes], None, PartSummary]:
    """Yields the chunks of some metrics rows, and returns their summary.

    Rows are read once and in order; details and failures leave memory as soon as a chunk of them is full. The same rows
    give the same bytes. The name of a chunk contains a digest of its content, so a rebuild writes only the names that
    do not exist yet, and a browser's cache never mixes two builds.

    Args:
      rows: as `gallery_files` takes them, of one metrics file.
      number: the part's number, >= 0.

    Yields:
      (path relative to OUTPUT/gallery/, content).
    """
    runs = RunColumns()
    details = ChunkWriter(f"details-{number:05d}", DETAIL_CHUNK_BYTES)
    failures = ChunkWriter(f"failures-{number:05d}", FAILURE_CHUNK_BYTES)
    for row in rows:
        if row["status"] == "failed":
            runs.add_failure(row)
            yield from failures.add({column: row.get(column) for column in columns(FAILURES)})
        elif not _RUN_ID.fullmatch(row["run_id"] or ""):
            logger.warning(
                "the gallery leaves out row %s, whose run_id is none: %r", row["manifest_row"], row["run_id"]
            )
        elif row["run_id"] not in runs:
            row = {**row, "config": _plain_config(row["config"] or {}), **_thumbs(row)}
            runs.add_run(row)
            yield from details.add(_detail(row))
    yield from details.flush()
    yield from failures.flush()
    chunks = {"runs": [], "numbers": [], "failures": failures.names}
    if len(runs):
        for kind, record in (("runs", runs.record(details)), ("numbers", runs.numbers_record())):
            name, content = chunk(f"{kind}-{number:05d}", [js_literal(record)])
            chunks[kind] = [name]
            yield name, content
    return dataclasses.replace(runs.summary(number), chunks=chunks, others=details.names)


class RunColumns:
    """The columns of some runs from which the page makes its matrix, filters and order."""

    def __init__(self) -> None:
        self._run_ids: dict[str, None] = {}
        self._sizes = array("I")
        self._numbers = {key: array("f") for key in NUMBERS}
        self._content, self._style, self._initial = Column(), Column(), Column()
        self._config = Columns()
        self._extra = Columns(MAX_LABEL_VALUES)
        self._thumbs: dict[str, str] = {}
        self._failures: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._run_ids)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._run_ids

    def add_run(self, row: Mapping[str, Any]) -> None:
        """Adds a finished run, whose thumbnails are safe paths and whose layer weights are mappings."""
        self._run_ids[row["run_id"]] = None
        self._sizes.extend((row["height"], row["width"]))
        for key, column in self._numbers.items():
            column.append(float("nan") if row.get(key) is None else row[key])
        style = style_parts(row["style"])
        self._content.append(row["content"])
        self._style.append(style)
        self._initial.append(row.get("initial"))
        self._config.append(row["config"])
        self._extra.append(_scalars(row.get("extra")))
        self._note_thumbs(row, style)

    def add_failure(self, row: Mapping[str, Any]) -> None:
        """Counts a failed row."""
        self._failures[row["error_type"] or "unknown"] += 1

    def numbers(self) -> dict[str, np.ndarray]:
        """Returns the losses, measures and seconds of the runs: column -> float32 [runs], NaN where there is none."""
        return {key: np.array(values, np.float32) for key, values in self._numbers.items()}

    def numbers_record(self) -> dict[str, Any]:
        """Returns these numbers as the page loads them; columns without a number are left out."""
        record = {key: packed(values) for key, values in self.numbers().items()}
        return {key: column for key, column in record.items() if column is not None}

    def record(self, details: ChunkWriter) -> dict[str, Any]:
        """Returns the runs as the page loads them: run_ids, sizes, codes of what varies, and the chunks of details."""
        sizes = np.array(self._sizes, np.uint32).reshape(-1, 2)
        return {
            "ids": "".join(self._run_ids),
            "height": packed(sizes[:, 0]),
            "width": packed(sizes[:, 1]),
            "codes": {key: packed(column.codes()) for key, column in self._columns() if len(column.values) > 1},
            "details": details.names,
            "starts": details.starts,
        }

    def summary(self, number: int) -> PartSummary:
        """Returns what the page's index must know of the runs, without the names of chunks."""
        finite = {key: bool(np.isfinite(values).any()) for key, values in self.numbers().items()}
        return PartSummary(
            number,
            np.array(list(self._run_ids), "S16"),
            {key: Values(column.values, column.codes()) for key, column in self._columns()},
            frozenset(EXTRA + name for name in self._extra.crowded),
            frozenset(measure.key for measure in MEASURES if finite[measure.key]),
            self._thumbs,
            self._failures,
        )

    def _columns(self) -> Iterable[tuple[str, Column]]:
        yield CONTENT, self._content
        yield STYLE, self._style
        yield INITIAL, self._initial
        yield from self._config.items()
        yield from ((EXTRA + name, column) for name, column in self._extra.items())

    def _note_thumbs(self, row: Mapping[str, Any], styles: Sequence[Mapping[str, Any]]) -> None:
        thumbs = [(row["content"], row["content_thumb"]), (row.get("initial"), row.get("initial_thumb"))]
        thumbs += zip((style["uri"] for style in styles), row["style_thumbs"])
        for uri, thumb in thumbs:
            if thumb:
                self._thumbs.setdefault(uri, thumb)


def _scalars(extra: str | None) -> dict[str, Any]:
    """Returns a row's further columns whose values are text, numbers, truth values or None."""
    fields = _parsed_extra(extra)
    if not isinstance(fields, dict):
        return {}
    return {name: value for name, value in fields.items() if value is None or isinstance(value, str | int | float)}


def _plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the configuration with layer weights as mappings, which Arrow gives as pairs."""
    layers = ("content_layers", "style_layers")
    return {name: dict(value) if name in layers and value is not None else value for name, value in config.items()}


def _thumbs(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the thumbnails, each None unless it is a plain relative path: no other text becomes an image's source."""
    return {
        "content_thumb": _safe_path(row.get("content_thumb")),
        "style_thumbs": [_safe_path(path) for path in row.get("style_thumbs") or []],
        "mask_thumbs": [_safe_path(path) for path in row.get("mask_thumbs") or []],
        "initial_thumb": _safe_path(row.get("initial_thumb")),
    }


def _safe_path(path: str | None) -> str | None:
    return path if path and _SAFE_PATH.fullmatch(path) else None


def _detail(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the page shows of a run that is opened."""
    return {
        **{column: row.get(column) for column in columns(DETAILS)},
        **_thumbs(row),
        "style": style_parts(row["style"]),
        "image": _safe_path(row.get("image")),
        "extra": _parsed_extra(row.get("extra")),
        "history": _history(row.get("history") or []),
    }


def _history(history: History) -> dict[str, str]:
    """Returns the curves as packed columns: a third of the bytes of a list of points."""
    if not isinstance(history, Mapping):
        history = {name: [point[name] for point in history] for name in ("iteration", *_TERMS)}
    with np.errstate(over="ignore"):
        curves = {term: packed_array(np.array(history[term], np.float32)) for term in _TERMS}
    return {"iteration": packed_array(np.array(history["iteration"], np.uint32)), **curves}


def _parsed_extra(extra: str | None) -> Any:
    """Returns the manifest's further columns; text that is not JSON is returned unchanged."""
    try:
        return json.loads(extra) if extra else None
    except ValueError:
        return extra
