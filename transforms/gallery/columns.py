"""Dictionary-encoded columns: the distinct values of a parameter, and the number of each run's value among them."""

import json
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np


class Dictionary:
    """Distinct values, each with its number, in the order in which they came."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._code_of: dict[str, int] = {}
        # What `_key` makes of a value is slow; most values have come before.
        self._known: dict[tuple[type, Any], int] = {}
        self._last: tuple[Any, int] | None = None

    def code(self, value: Any) -> int:
        """Returns the number of a value, which is new if no equal value has come before."""
        if isinstance(value, str | int | float | None):
            known = (type(value), value)
            if known not in self._known:
                self._known[known] = self._code(value)
            return self._known[known]
        if self._last is None or self._last[0] != value:
            self._last = value, self._code(value)
        return self._last[1]

    def _code(self, value: Any) -> int:
        code = self._code_of.setdefault(_key(value), len(self.values))
        if code == len(self.values):
            self.values.append(value)
        return code


class Column:
    """The values of one parameter in all runs.

    A parameter that never varies takes no memory per run: codes are stored from the second distinct value on.
    """

    def __init__(self, length: int = 0):
        self._dictionary = Dictionary()
        self._codes: array[int] | None = None
        self._length = length
        if length:
            self._dictionary.code(None)

    @property
    def values(self) -> list[Any]:
        """The distinct values, in the order in which they came."""
        return self._dictionary.values

    def append(self, value: Any) -> None:
        """Adds the value of the next run."""
        code = self._dictionary.code(value)
        if code and self._codes is None:
            self._codes = array("I", [0]) * self._length
        if self._codes is not None:
            self._codes.append(code)
        self._length += 1

    def codes(self) -> np.ndarray:
        """Returns the number of each run's value in `values`: [runs], in the smallest unsigned type that holds it."""
        codes = np.zeros(self._length, np.uint32) if self._codes is None else np.array(self._codes, np.uint32)
        return codes.astype(np.min_scalar_type(max(len(self.values) - 1, 0)))


class Columns:
    """Columns by name; a column that first appears after many runs is None for those."""

    def __init__(self, max_values: int | None = None):
        self.crowded: set[str] = set()
        self._columns: dict[str, Column] = {}
        self._max_values = max_values
        self._length = 0

    def append(self, values: dict[str, Any]) -> None:
        """Adds the values of the next run; a column with more than `max_values` distinct values is dropped."""
        for name in values.keys() - self._columns.keys() - self.crowded:
            self._columns[name] = Column(self._length)
        self._length += 1
        for name in list(self._columns):
            self._append(name, values.get(name))

    def items(self) -> Iterator[tuple[str, Column]]:
        """Yields the columns in order of name."""
        for name in sorted(self._columns):
            yield name, self._columns[name]

    def _append(self, name: str, value: Any) -> None:
        column = self._columns[name]
        column.append(value)
        if self._max_values is not None and len(column.values) > self._max_values:
            del self._columns[name]
            self.crowded.add(name)


def _key(value: Any) -> str:
    """Returns the same text for equal values: 10 equals 10.0, and the order of a mapping does not count."""
    return json.dumps(_normal(value), sort_keys=True, default=str)


def _normal(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {str(key): _normal(item) for key, item in value.items()}
        case list() | tuple():
            return [_normal(item) for item in value]
        case _:
            return value
