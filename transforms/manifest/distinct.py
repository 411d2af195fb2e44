"""Arrow columns as their distinct values: a grid repeats few images and configurations, so each is looked at once."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stylecore.errors import one_line


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """Stands for a value that Python cannot hold."""

    reason: str

    def __str__(self) -> str:
        return f"unreadable: {self.reason}"


def number_values(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the distinct values of a column of any type.

    Returns:
      The number of each row's value, int64 [rows], and the first row of each value, int64 [distinct values].
    """
    return number_combinations([_numbers(column)])


def number_combinations(parts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers the distinct combinations of what `number_values` gave for several columns, and as it does.

    Args:
      parts: numbers, int64 [rows] each.
    """
    _, first, numbers = np.unique(_combined(parts), return_index=True, return_inverse=True)
    return numbers, first


def to_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Returns the rows as Python values, as `batch.to_pylist` does; rows of equal values share them."""
    columns = []
    for column in batch.columns:
        numbers, first = number_values(column)
        values = to_values(column.take(pa.array(first)))
        columns.append([values[number] for number in numbers.tolist()])
    return [dict(zip(batch.schema.names, row)) for row in zip(*columns)]


def to_values(column: pa.Array) -> list[Any]:
    """Returns the values of a column as Python has them, maps as dicts; `Unreadable` for those it cannot hold."""
    try:
        values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    except _NOT_FOR_PYTHON:
        return [_value(value) for value in column]
    return values


# A day after the year 9999, a key twice in a map or a name in a struct, a time zone that nobody knows.
_NOT_FOR_PYTHON = (ValueError, OverflowError, LookupError, TypeError, pa.ArrowException)


def _value(value: pa.Scalar) -> Any:
    try:
        return value.as_py(maps_as_pydicts="strict")
    except _NOT_FOR_PYTHON as error:
        return Unreadable(one_line(error, 200))


def _numbers(column: pa.Array) -> np.ndarray:
    """Numbers that are equal where values are, int64 [rows]."""
    kind = column.type
    if pa.types.is_struct(kind):
        return _combined([_valid(column), *map(_numbers, column.flatten())])
    if pa.types.is_map(kind):
        column = column.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _list_numbers(column)
    if pa.types.is_dictionary(kind):
        return _dictionary_numbers(column)
    try:
        return column.dictionary_encode(null_encoding="encode").indices.to_numpy().astype(np.int64)
    except pa.ArrowNotImplementedError:
        return _numbered([repr(value) for value in to_values(column)])


def _valid(column: pa.Array) -> np.ndarray:
    return column.is_valid().to_numpy(zero_copy_only=False).astype(np.int64)


def _dictionary_numbers(column: pa.DictionaryArray) -> np.ndarray:
    """By the dictionary alone, which may hold a value twice, or null: written out, a few bytes can be gigabytes."""
    numbers = _numbers(pa.concat_arrays([column.dictionary, pa.nulls(1, column.dictionary.type)]))
    indices = column.indices.cast(pa.int64()).fill_null(len(column.dictionary))
    return numbers[indices.to_numpy()]


def _list_numbers(column: pa.Array) -> np.ndarray:
    members = _numbers(column.flatten())
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    ends = np.cumsum(lengths)
    pieces = zip((ends - lengths).tolist(), ends.tolist(), strict=True)
    return _combined([_valid(column), _numbered([members[begin:end].tobytes() for begin, end in pieces])])


def _numbered(keys: Sequence[Any]) -> np.ndarray:
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _combined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Numbers that are equal where all parts are."""
    numbers = np.zeros(len(parts[0]), np.int64)
    for part in parts:
        # Renumbered each time: the numbers stay below the number of rows, so that no product overflows.
        if len(part) and part.min() != part.max():
            _, numbers = np.unique(numbers * (part.max() + 1) + part, return_inverse=True)
    return numbers
