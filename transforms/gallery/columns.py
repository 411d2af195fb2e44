"""Dictionary-encoded columns: the distinct values of a parameter, and the number of each run's value among them."""

import json
from array import array
from collections.abc import Iterator
from typing import Any


class Column:
    """The values of one parameter in all runs.

    A parameter that never varies takes no memory per run: codes are stored from the second distinct value on.
    """

    def __init__(self, length: int = 0):
        self.values: list[Any] = [None] if length else []
        self._codes: array[int] | None = None
        self._code_of: dict[str, int] = {_key(None): 0} if length else {}
        self._length = length

    def __len__(self) -> int:
        return self._length

    def append(self, value: Any) -> None:
        """Adds the value of the next run."""
        key = _key(value)
        code = self._code_of.setdefault(key, len(self.values))
        if code == len(self.values):
            self.values.append(value)
        if code and self._codes is None:
            self._codes = array("l", [0]) * self._length
        if self._codes is not None:
            self._codes.append(code)
        self._length += 1

    def codes(self, start: int, stop: int) -> list[int]:
        """Returns, for each run from `start` to before `stop`, the number of its value in `values`."""
        if self._codes is None:
            return [0] * (min(stop, self._length) - start)
        return list(self._codes[start:stop])


class Columns:
    """Columns by name; a column that first appears after many runs is None for those."""

    def __init__(self, max_values: int | None = None):
        self._columns: dict[str, Column] = {}
        self._crowded: set[str] = set()
        self._max_values = max_values
        self._length = 0

    def append(self, values: dict[str, Any]) -> None:
        """Adds the values of the next run; a column with more than `max_values` distinct values is dropped."""
        for name in values.keys() - self._columns.keys() - self._crowded:
            self._columns[name] = Column(self._length)
        self._length += 1
        for name in list(self._columns):
            self._append(name, values.get(name))

    def varying(self) -> Iterator[tuple[str, Column]]:
        """Yields the columns with at least two distinct values, in order of name."""
        for name in sorted(self._columns):
            if len(self._columns[name].values) > 1:
                yield name, self._columns[name]

    def _append(self, name: str, value: Any) -> None:
        column = self._columns[name]
        column.append(value)
        if self._max_values is not None and len(column.values) > self._max_values:
            del self._columns[name]
            self._crowded.add(name)


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
