"""Dictionary-encoded columns: what one parameter takes as values, and which of them each run has."""

import json
from array import array
from collections.abc import Iterator
from typing import Any


class Column:
    """The values of one parameter over all runs.

    A parameter that never varies costs nothing for each run: the codes start with the second value.
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
        """For each run of the range, the number of its value in `values`."""
        if self._codes is None:
            return [0] * (min(stop, self._length) - start)
        return list(self._codes[start:stop])


class Columns:
    """Columns by name, some of which appear only after many runs: they were None until then."""

    def __init__(self, max_values: int | None = None):
        self._columns: dict[str, Column] = {}
        self._crowded: set[str] = set()
        self._max_values = max_values
        self._length = 0

    def append(self, values: dict[str, Any]) -> None:
        """Adds the values of the next run; a column that exceeds `max_values` different ones is given up."""
        for name in values.keys() - self._columns.keys() - self._crowded:
            self._columns[name] = Column(self._length)
        self._length += 1
        for name in list(self._columns):
            self._append(name, values.get(name))

    def varying(self) -> Iterator[tuple[str, Column]]:
        """The columns with at least two values, in order of name."""
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
    """One text for equal values: 10 is 10.0, and a mapping is the same in any order."""
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
