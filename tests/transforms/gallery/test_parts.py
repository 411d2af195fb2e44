"""A gallery of many parts shows what a gallery of one part shows."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.support.gallery_reader import details_of, index_of, part_records, runs_of, unpacked
from tests.support.gallery_rows import failed_row, metrics_row
from transforms.gallery import part
from transforms.gallery.chunks import packed
from transforms.gallery.columns import Column
from transforms.gallery.files import gallery_files

TEXTS = st.sampled_from(["a", "</script>", "\u2028", "a.jpg", "x/a.jpg", ""])
SCALARS = TEXTS | st.sampled_from([1, 1.0, 2.5, True, None, 10**30])


@st.composite
def metrics(draw):
    """Rows as a job writes them: duplicates, failures, parameters and labels that come and go."""
    rows = []
    for number in range(draw(st.integers(0, 12))):
        if draw(st.integers(0, 5)) == 0:
            rows.append(failed_row(number, draw(TEXTS), draw(TEXTS)))
            continue
        extra = draw(st.none() | st.dictionaries(TEXTS, SCALARS, max_size=2).map(json.dumps))
        config = {"seed": draw(st.integers(0, 3)), **draw(st.dictionaries(st.just("late"), SCALARS))}
        row = metrics_row(number, draw(TEXTS), draw(TEXTS), config=config, extra=extra)
        row["loss_style"] = draw(st.sampled_from([1.5, 0.0, -0.0, math.nan, math.inf, 1e300, None]))
        row["run_id"] = f"{draw(st.integers(0, 15)):016x}"
        rows.append(row)
    return rows


@settings(deadline=None, max_examples=60)
@given(metrics(), st.integers(1, 5))
def test_parts_show_what_one_part_shows(rows, rows_per_part):
    whole = dict(gallery_files(rows, "t"))
    divided = dict(gallery_files(rows, "t", rows_per_part=rows_per_part))
    assert runs_of(divided) == runs_of(whole)
    first, second = (
        {name: value for name, value in index_of(files).items() if name != "parts"} for files in (divided, whole)
    )
    assert first == second
    assert part_records(divided, "failures") == part_records(whole, "failures")
    first_of: dict[str, dict] = {}
    for record in details_of(divided):
        first_of.setdefault(record["run_id"], record)
    assert list(first_of.values()) == details_of(whole)


@settings(deadline=None, max_examples=10)
@given(st.permutations(range(5)))
def test_a_part_follows_from_its_own_rows_alone(order):
    rows = [[metrics_row(10 * number + place, config={"seed": place}) for place in range(3)] for number in range(5)]
    alone = {number: dict(part.gallery_part(rows[number], number)) for number in order}
    together = dict(gallery_files([row for part_rows in rows for row in part_rows], "t", rows_per_part=3))
    chunks = {name: content for number in order for name, content in alone[number].items()}
    assert chunks == {name: content for name, content in together.items() if name.startswith("data/")}


def test_labels_that_are_too_many_only_together_group_no_runs(monkeypatch):
    monkeypatch.setattr(part, "MAX_LABEL_VALUES", 3)
    monkeypatch.setattr("transforms.gallery.summary.MAX_LABEL_VALUES", 3)
    rows = [metrics_row(n, extra=json.dumps({"caption": f"number {n}", "half": n // 3})) for n in range(6)]
    keys = [found["key"] for found in index_of(dict(gallery_files(rows, "t", rows_per_part=3)))["dimensions"]]
    assert keys == ["extra.half"]


def test_a_run_that_a_later_part_repeats_is_hidden_there_with_its_values():
    rows = [metrics_row(0, extra='{"label": "first"}'), metrics_row(1, extra='{"label": "other"}')]
    rows.append({**rows[0], "manifest_row": 2, "extra": '{"label": "again"}'})
    output = dict(gallery_files(rows, "t", rows_per_part=2))
    index = index_of(output)
    assert (index["runs"], index["parts"][1]["hidden"]) == (2, [0])
    assert [value["label"] for value in index["dimensions"][0]["values"]] == ["first", "other"]


@given(arrays(np.float32, st.integers(1, 9), elements=st.floats(width=32)))
def test_numbers_come_through(values):
    expected = [float(value) if math.isfinite(value) else None for value in values]
    assert unpacked(packed(values), len(values)) == expected


@pytest.mark.parametrize("count", [1, 2, 256, 257, 65_536, 65_537])
def test_codes_come_through_in_as_few_bytes_as_hold_them(count):
    column = Column()
    for value in range(count):
        column.append(value)
    column.append(0)
    text = packed(column.codes())
    assert unpacked(text, count + 1) == [*range(count), 0]
    if isinstance(text, str):
        assert text[0] == ("b" if count <= 256 else "h" if count <= 65_536 else "i")


def test_a_row_whose_run_id_is_none_is_left_out_and_said_so(caplog):
    rows = [{**metrics_row(0), "run_id": "../../elsewhere"}, metrics_row(1)]
    assert [run["run_id"] for run in runs_of(dict(gallery_files(rows, "t")))] == [rows[1]["run_id"]]
    assert "row 0" in caplog.text and "elsewhere" in caplog.text
