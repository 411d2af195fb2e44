"""Distinct values of Arrow columns: numbered as Python's equality would, and back to the rows they came from."""

import datetime
import decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.manifest.distinct import number_combinations, number_values, to_rows

WEIGHTS = pa.map_(pa.string(), pa.float64())
STYLE = pa.list_(pa.struct([("uri", pa.string()), ("weight", pa.float32())]))
CONFIG = pa.struct([("seed", pa.int64()), ("style_layers", WEIGHTS), ("pyramid", pa.list_(pa.list_(pa.float64())))])

texts = st.none() | st.sampled_from(["", "a", "b"])
numbers = st.none() | st.sampled_from([0.0, 0.5, 2.0])
weights = st.none() | st.dictionaries(st.sampled_from("abc"), numbers, max_size=2)
styles = st.none() | st.lists(st.none() | st.fixed_dictionaries({"uri": texts, "weight": numbers}), max_size=2)
configs = st.none() | st.fixed_dictionaries(
    {
        "seed": st.none() | st.integers(0, 2),
        "style_layers": weights,
        "pyramid": st.none() | st.lists(st.lists(numbers, max_size=2), max_size=2),
    }
)


@given(
    st.lists(st.tuples(texts, styles, configs, texts), max_size=30),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_rows_come_back_and_equal_values_have_equal_numbers(rows, begin, count):
    schema = pa.schema(
        [("content", pa.string()), ("style", STYLE), ("config", CONFIG), ("d", pa.dictionary(pa.int8(), pa.string()))]
    )
    batch = pa.RecordBatch.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
    batch = batch.slice(begin, count)
    expected = batch.to_pylist(maps_as_pydicts="strict")
    assert to_rows(batch) == expected
    for name in schema.names:
        found, first = number_values(batch.column(name))
        # Maps that differ in order alone may have two numbers, so the rows above are what counts for them.
        assert len(first) == len(set(found.tolist())) >= len({repr(row[name]) for row in expected})
        assert all(row <= index for index, row in enumerate(first[found]))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([float("nan"), 1.0, float("nan"), None]),
        pa.nulls(4),
        pa.array([{}, {}, None, {}], pa.struct([])),
        pa.array([b"\xff", b"a", b"\xff", None]),
        pa.array([datetime.datetime(2026, 1, 1), None, datetime.datetime(2026, 1, 1), datetime.datetime(2027, 1, 1)]),
        pa.array([decimal.Decimal("1.5"), None, decimal.Decimal("1.5"), decimal.Decimal("2.5")]),
        pa.array(["a", None, "a", "b"], pa.large_string()),
        pa.array(["a", None, "a", "b"], pa.string_view()),
        pa.array([[1, 2], None, [1, 2], [3, 4]], pa.list_(pa.int64(), 2)),
        pa.array([[1], None, [1], []], pa.large_list(pa.int8())),
        pa.array([True, None, True, False]),
    ],
    ids=lambda column: str(column.type),
)
def test_columns_of_any_type(column):
    found, first = number_values(column)
    values = [repr(value) for value in column.to_pylist()]
    assert [values[first[number]] for number in found] == values
    assert len(first) == len(set(values))


def test_combinations_are_numbered_together():
    a, _ = number_values(pa.array(["x", "y", "x", "y", "x"]))
    b, _ = number_values(pa.array([1, 1, 2, 1, 1]))
    found, first = number_combinations([a, b])
    assert found[0] == found[4] and found[1] == found[3] and len(set(found.tolist())) == 3
    assert sorted(first.tolist()) == [0, 1, 2]
