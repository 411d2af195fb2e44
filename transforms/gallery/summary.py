"""The page's index: what all parts of a gallery have, with the values of what varies in their display order."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from stylecore.measures.measure import MEASURES
from transforms.gallery.columns import Dictionary
from transforms.gallery.labels import (
    distinct_labels,
    short_names,
    style_label,
    style_title,
    style_uris,
    value_label,
)
from transforms.gallery.part import CONTENT, EXTRA, INITIAL, MAX_LABEL_VALUES, STYLE, PartSummary, Values
from transforms.output.record import LOSSES


@dataclasses.dataclass(frozen=True)
class Dimension:
    """What can be a row, column or filter.

    Attributes:
      key: names it.
      described: its description for the page, with its values in display order.
      codes: for each part, the number of each of the part's values among these.
    """

    key: str
    described: Mapping[str, Any]
    codes: Sequence[Sequence[int]]


class Summary:
    """The parts of a gallery put together; the same runs give the same dimensions, however they are divided.

    Runs that share a run_id are shown once, the first of them.

    Args:
      parts: their summaries, in any order.
    """

    def __init__(self, parts: Sequence[PartSummary]) -> None:
        self.parts = sorted(parts, key=lambda part: part.number)
        self._shown = _first_of_each([part.run_ids for part in self.parts])
        self._thumbs: dict[str, str] = {}
        for part in reversed(self.parts):
            self._thumbs.update(part.thumbs)
        self.dimensions = list(self._dimensions())

    def index(self) -> dict[str, Any]:
        """Returns the counts, the dimensions with their values, and what the page must know to load the parts."""
        failures = sum((Counter(part.failures) for part in self.parts), Counter[str]())
        measures = frozenset[str]().union(*(part.measures for part in self.parts))
        return {
            "runs": int(sum(shown.sum() for shown in self._shown)),
            "failures": failures.total(),
            "failure_types": sorted(failures.items(), key=lambda item: (-item[1], item[0])),
            "losses": [dataclasses.asdict(loss) for loss in LOSSES],
            "measures": [
                {"key": measure.key, "label": measure.label, "better": measure.better}
                for measure in MEASURES
                if measure.key in measures
            ],
            "dimensions": [dimension.described for dimension in self.dimensions],
            "parts": [self._part(number) for number in range(len(self.parts))],
        }

    def run_ids(self) -> list[str]:
        """Returns the run_id of each run that is shown."""
        return [run_id.decode() for part, shown in zip(self.parts, self._shown) for run_id in part.run_ids[shown]]

    def codes(self) -> dict[str, np.ndarray]:
        """Returns, for each dimension, the number of the value of each run that is shown: key -> int64 [runs]."""
        return {
            dimension.key: np.concatenate(
                [
                    np.array(codes, int)[_column(part, dimension.key).codes[shown]]
                    for part, shown, codes in zip(self.parts, self._shown, dimension.codes)
                ]
            )
            for dimension in self.dimensions
        }

    def _part(self, number: int) -> dict[str, Any]:
        part, shown = self.parts[number], self._shown[number]
        return {
            "rows": len(shown),
            **{kind: list(names) for kind, names in part.chunks.items()},
            "codes": {dimension.key: list(dimension.codes[number]) for dimension in self.dimensions},
            **({} if shown.all() else {"hidden": np.flatnonzero(~shown).tolist()}),
        }

    def _dimensions(self) -> Iterator[Dimension]:
        """Yields what varies: images first, then parameters and labels by name."""
        keys = {key for part in self.parts for key in part.columns}
        crowded = frozenset[str]().union(*(part.crowded for part in self.parts))
        for key in sorted(keys, key=_display_place):
            if key in crowded:
                continue
            dictionary, codes = self._merged(key)
            many = key.startswith(EXTRA) and len(dictionary.values) > MAX_LABEL_VALUES
            if len(dictionary.values) > 1 and not many:
                yield self._dimension(key, dictionary.values, codes)

    def _merged(self, key: str) -> tuple[Dictionary, list[list[int]]]:
        """Returns the values of all parts in the order of the runs that have them, and each part's codes as theirs."""
        merged = Dictionary()
        all_codes = []
        for part, shown in zip(self.parts, self._shown):
            column = _column(part, key)
            used, first = np.unique(column.codes[shown], return_index=True)
            codes = [0] * len(column.values)
            for code in used[np.argsort(first)]:
                codes[code] = merged.code(column.values[code])
            all_codes.append(codes)
        return merged, all_codes

    def _dimension(self, key: str, values: Sequence[Any], codes: Sequence[Sequence[int]]) -> Dimension:
        order = _display_order(values)
        place = np.argsort(order)
        shown = self._described(key, values)
        described = {
            "key": key,
            "kind": key if key in (CONTENT, STYLE) else "label" if key.startswith(EXTRA) else "parameter",
            "ordered": all(_is_number(value) or value is None for value in values),
            "values": [shown[code] for code in order],
        }
        return Dimension(key, described, [place[list(part)].tolist() for part in codes])

    def _described(self, key: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        if key in (CONTENT, INITIAL):
            names = short_names(uri for uri in values if uri is not None)
            return [_value(names.get(uri, value_label(key, None)), uri, [self._thumbs.get(uri)]) for uri in values]
        if key == STYLE:
            return self._described_styles(values)
        name = "" if key.startswith(EXTRA) else key
        return [{"label": label} for label in distinct_labels(values, lambda value: value_label(name, value))]

    def _described_styles(self, values: Sequence[Any]) -> list[dict[str, Any]]:
        names = short_names(uri for styles in values for uri in style_uris(styles))
        labels = distinct_labels(values, lambda styles: style_label(styles, names))
        return [
            _value(
                label,
                style_title(styles),
                [self._thumbs.get(style["uri"]) for style in styles],
            )
            for label, styles in zip(labels, values, strict=True)
        ]


def _first_of_each(run_ids: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns bool [runs] for each part: whether no run before has the same run_id."""
    if not run_ids:
        return []
    together = np.concatenate(run_ids)
    first = np.zeros(len(together), bool)
    first[np.unique(together, return_index=True)[1]] = True
    return np.split(first, np.cumsum([len(part) for part in run_ids])[:-1])


def _column(part: PartSummary, key: str) -> Values:
    """Returns a column of a part; None for all its runs if it has none of that name."""
    return part.columns.get(key) or Values([None], np.zeros(len(part.run_ids), np.uint8))


def _display_place(key: str) -> tuple[int, str]:
    return (0 if key == CONTENT else 1 if key == STYLE else 3 if key.startswith(EXTRA) else 2), key


def _value(label: str, full: str | None, thumbs: list[str | None]) -> dict[str, Any]:
    """Returns a value of a dimension, with `full` only where it differs from the label."""
    shown = [thumb for thumb in thumbs if thumb]
    return {
        "label": label,
        **({"full": full} if full and full != label else {}),
        **({"thumbs": shown} if shown else {}),
    }


def _display_order(values: Sequence[Any]) -> list[int]:
    """Returns the codes in display order: numbers ascending, None last; other values in the order of the manifest."""
    codes = range(len(values))
    if not all(_is_number(value) or value is None for value in values):
        return list(codes)
    return sorted(codes, key=lambda code: (values[code] is None, values[code] or 0))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
