"""The part of every run that the page loads first: its name, its losses, and the parameters that vary."""

import dataclasses
import json
import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stylecore.measures.measure import MEASURES
from transforms.gallery.chunks import significant
from transforms.gallery.columns import Column, Columns
from transforms.gallery.labels import distinct_labels, short_names, style_label, value_label
from transforms.output.record import LOSSES

RUNS_PER_CHUNK = 2_000
# A further column of the manifest with more values than this identifies rows; it does not group them.
MAX_LABEL_VALUES = 200
_MEASURE_KEYS = frozenset(measure.key for measure in MEASURES)


class Summary:
    """The columns of all runs from which the page makes its matrix, filters and order."""

    def __init__(self) -> None:
        self._run_ids: dict[str, None] = {}
        self._sizes = array("l")
        self._numbers = {column.key: array("d") for column in (*LOSSES, *MEASURES)}
        self._content, self._style = Column(), Column()
        self._config = Columns()
        self._extra = Columns(MAX_LABEL_VALUES)
        self._content_thumbs: dict[str, str] = {}
        self._style_thumbs: dict[str, str] = {}
        self._failures: Counter[str] = Counter()

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._run_ids

    def add_run(self, row: Mapping[str, Any]) -> None:
        """Adds a finished run, whose thumbnails are safe paths and whose layer weights are mappings."""
        self._run_ids[row["run_id"]] = None
        self._sizes.extend((row["height"], row["width"]))
        for key, column in self._numbers.items():
            column.append(float("nan") if row.get(key) is None else row[key])
        style = [{"uri": style["uri"], "weight": style["weight"]} for style in row["style"]]
        self._content.append(row["content"])
        self._style.append(style)
        self._config.append(row["config"])
        self._extra.append(_scalars(row.get("extra")))
        self._note_thumbs(row, style)

    def add_failure(self, row: Mapping[str, Any]) -> None:
        """Counts a failed row."""
        self._failures[row["error_type"] or "unknown"] += 1

    def run_chunks(self) -> Iterator[dict[str, Any]]:
        """Yields the runs as columns, RUNS_PER_CHUNK at a time."""
        run_ids = list(self._run_ids)
        dimensions = [(dimension["key"], column, _ranks(order)) for dimension, column, order in self._dimensions()]
        for start in range(0, len(run_ids), RUNS_PER_CHUNK):
            stop = start + RUNS_PER_CHUNK
            yield {
                "run_id": run_ids[start:stop],
                "height": _compact(self._sizes[2 * start : 2 * stop : 2]),
                "width": _compact(self._sizes[2 * start + 1 : 2 * stop : 2]),
                **{
                    key: [significant(value, 7) for value in values[start:stop]]
                    for key, values in self._numbers.items()
                    if key not in _MEASURE_KEYS or self._has(key)
                },
                "codes": {key: [rank[code] for code in column.codes(start, stop)] for key, column, rank in dimensions},
            }

    def index(self) -> dict[str, Any]:
        """Returns the counts, and the dimensions with their values in display order."""
        return {
            "runs": len(self._run_ids),
            "failures": self._failures.total(),
            "failure_types": sorted(self._failures.items(), key=lambda item: (-item[1], item[0])),
            "losses": [dataclasses.asdict(loss) for loss in LOSSES],
            "measures": [dataclasses.asdict(measure) for measure in MEASURES if self._has(measure.key)],
            "dimensions": [dimension for dimension, _, _ in self._dimensions()],
        }

    def _has(self, key: str) -> bool:
        return any(math.isfinite(number) for number in self._numbers[key])

    def _note_thumbs(self, row: Mapping[str, Any], styles: Sequence[Mapping[str, Any]]) -> None:
        if row["content_thumb"]:
            self._content_thumbs.setdefault(row["content"], row["content_thumb"])
        for style, thumb in zip(styles, row["style_thumbs"]):
            if thumb:
                self._style_thumbs.setdefault(style["uri"], thumb)

    def _dimensions(self) -> Iterator[tuple[dict[str, Any], Column, list[int]]]:
        """Yields what can be a row, column or filter: its description, its column, the display order of its codes."""
        if len(self._content.values) > 1:
            names = short_names(self._content.values)
            values = [_value(names[uri], uri, [self._content_thumbs.get(uri)]) for uri in self._content.values]
            yield _dimension("content", "content", self._content, values)
        if len(self._style.values) > 1:
            yield _dimension("style", "style", self._style, self._style_values())
        for name, column in self._config.varying():
            yield _dimension(name, "parameter", column, _parameter_values(name, column))
        for name, column in self._extra.varying():
            yield _dimension(f"extra.{name}", "label", column, _parameter_values("", column))

    def _style_values(self) -> list[dict[str, Any]]:
        names = short_names(style["uri"] for styles in self._style.values for style in styles)
        labels = distinct_labels(self._style.values, lambda styles: style_label(styles, names))
        return [
            _value(
                label,
                " + ".join(style["uri"] for style in styles),
                [self._style_thumbs.get(style["uri"]) for style in styles],
            )
            for label, styles in zip(labels, self._style.values, strict=True)
        ]


def _dimension(
    key: str, kind: str, column: Column, values: list[dict[str, Any]]
) -> tuple[dict[str, Any], Column, list[int]]:
    order = _display_order(column.values)
    ordered = all(_is_number(value) or value is None for value in column.values)
    return {"key": key, "kind": kind, "ordered": ordered, "values": [values[code] for code in order]}, column, order


def _value(label: str, full: str, thumbs: list[str | None]) -> dict[str, Any]:
    """Returns a value of a dimension, with `full` only where it differs from the label."""
    shown = [thumb for thumb in thumbs if thumb]
    return {"label": label, **({"full": full} if full != label else {}), **({"thumbs": shown} if shown else {})}


def _parameter_values(name: str, column: Column) -> list[dict[str, Any]]:
    return [{"label": label} for label in distinct_labels(column.values, lambda value: value_label(name, value))]


def _display_order(values: Sequence[Any]) -> list[int]:
    """Returns the codes in display order: numbers ascending, None last; other values in the order of the manifest."""
    codes = range(len(values))
    if not all(_is_number(value) or value is None for value in values):
        return list(codes)
    return sorted(codes, key=lambda code: (values[code] is None, values[code] or 0))


def _ranks(order: Sequence[int]) -> list[int]:
    """Returns the place of each code in the display order."""
    ranks = [0] * len(order)
    for rank, code in enumerate(order):
        ranks[code] = rank
    return ranks


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _compact(values: Sequence[int]) -> int | list[int]:
    """Returns one number for a column that does not vary, else the list."""
    return values[0] if len(set(values)) == 1 else list(values)


def _scalars(extra: str | None) -> dict[str, Any]:
    """Returns a row's further columns whose values are text, numbers, truth values or None."""
    try:
        fields = json.loads(extra) if extra else {}
    except ValueError:
        return {}
    if not isinstance(fields, dict):
        return {}
    return {name: value for name, value in fields.items() if value is None or isinstance(value, str | int | float)}
