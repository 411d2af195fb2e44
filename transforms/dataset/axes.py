"""What varies between the pictures of a grid: images and fields of the configuration, with their values as labels."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transforms.gallery.labels import (
    distinct_labels,
    short_names,
    style_label,
    style_parts,
    style_uris,
    value_label,
)

# Of an axis with more values no more are remembered: it is an identifier, as a seed may be.
MAX_VALUES = 1_000


@dataclasses.dataclass(frozen=True)
class Axis:
    """A column or field that varies: its name, its values as labels, and whether there are more than these."""

    name: str
    labels: tuple[str, ...]
    has_more: bool = False


class Axes:
    """Collects the distinct values of content, style, initial picture and each field of the configuration."""

    def __init__(self) -> None:
        self._content, self._style, self._initial = _Values(), _Values(), _Values()
        self._fields: dict[str, _Values] = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds a finished row."""
        self._content.add(row["content"])
        self._style.add(style_parts(row["style"]))
        self._initial.add(row["initial"])
        for name, value in row["config"].items():
            self._fields.setdefault(name, _Values()).add(value)

    def varying(self) -> tuple[Axis, ...]:
        """Returns what has at least two values; numbers rise, other values are in the order of the manifest."""
        contents = short_names(self._content.values)
        styles = short_names(uri for styles in self._style.values for uri in style_uris(styles))
        initials = short_names(uri for uri in self._initial.values if uri is not None)
        found = [
            self._content.axis("content", lambda uri: contents[uri]),
            self._style.axis("style", lambda style: style_label(style, styles)),
            self._initial.axis("initial", lambda uri: initials.get(uri, value_label("initial", None))),
            *(values.axis(name, _labelled(name)) for name, values in self._fields.items()),
        ]
        return tuple(axis for axis in found if len(axis.labels) > 1)


class _Values:
    """Distinct values in the order in which they came."""

    def __init__(self) -> None:
        self._of_key: dict[Any, Any] = {}
        self._has_more = False

    @property
    def values(self) -> list[Any]:
        return list(self._of_key.values())

    def add(self, value: Any) -> None:
        key = json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value
        if key in self._of_key:
            return
        if len(self._of_key) < MAX_VALUES:
            self._of_key[key] = value
        else:
            self._has_more = True

    def axis(self, name: str, label: Callable[[Any], str]) -> Axis:
        return Axis(name, tuple(distinct_labels(_ordered(self.values), label)), self._has_more)


def _labelled(name: str) -> Callable[[Any], str]:
    return lambda value: value_label(name, value)


def _ordered(values: Sequence[Any]) -> Sequence[Any]:
    if not all(value is None or isinstance(value, int | float) for value in values):
        return values
    return sorted(values, key=lambda value: (value is None, value or 0))
