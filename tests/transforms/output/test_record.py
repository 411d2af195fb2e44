"""The record of a run: what is declared once comes back from JSON and Parquet as it was."""

import dataclasses
import io
import json
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stylecore.measures.measure import MEASURES
from transforms.output.metrics_chunks import chunks_of, write_sorted
from transforms.output.record import (
    DATASET,
    DETAILS,
    FAILURES,
    LOSSES,
    RecordError,
    RunRecord,
    columns,
    metrics_schema,
)

RECORD = RunRecord(
    manifest_row=3,
    run_id="0" * 16,
    status="done",
    content="town.jpg",
    style=[{"uri": "starry.jpg", "weight": 0.5, "scale": 0.75, "content_mask": "sky.png", "style_mask": None}],
    config={"preset": "basic", "style_layers": {"block1_conv1": 0.25, "block2_conv1": 0.75}},
    height=30,
    width=40,
    loss_total=0.5,
    history=[{"iteration": 0, "total": 1.0, "content": 0.5, "style": 0.25, "tv": 0.125}],
    style_sha256=["a" * 64],
)


def test_json_gives_the_record_back():
    assert RunRecord.from_json(RECORD.to_json()) == RECORD
    assert list(json.loads(RECORD.to_json())) == list(columns())


def test_a_record_of_an_older_version_lacks_columns_and_one_of_a_newer_has_more():
    values = json.loads(RECORD.to_json())
    del values["style_sha256"]
    values["style"] = [{"uri": "starry.jpg", "weight": 0.5}]
    found = RunRecord.from_json(json.dumps({**values, "of_the_future": 1}))
    assert found == dataclasses.replace(RECORD, style_sha256=None, style=values["style"])
    assert pa.Table.from_pylist([found.to_arrow()], metrics_schema())["style"].to_pylist() == [
        [{"uri": "starry.jpg", "weight": 0.5, "scale": None, "content_mask": None, "style_mask": None}]
    ]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"run_id": 1}', "[" * 100_000])
def test_what_is_no_record_is_refused(damage):
    with pytest.raises(RecordError):
        RunRecord.from_json(damage)


@pytest.mark.parametrize("column", ["manifest_row", "run_id", "config", "style", "height", "width"])
def test_a_finished_run_is_known_by_its_row_name_inputs_and_size(column):
    values = json.loads(RECORD.to_json())
    del values[column]
    with pytest.raises(RecordError, match=column):
        RunRecord.from_json(json.dumps(values))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("loss_total", "x"),
        ("history", 5),
        ("style", [1]),
        ("manifest_row", True),
        ("style_sha256", 1),
        ("config", {"iterations": "many"}),
    ],
)
def test_a_value_that_its_column_cannot_hold_is_refused(column, value):
    with pytest.raises(RecordError):
        RunRecord.from_json(json.dumps({**json.loads(RECORD.to_json()), column: value}))


def test_parquet_gives_the_record_back():
    buffer = io.BytesIO()
    write_sorted([chunk for _, chunk in chunks_of([RECORD])], buffer, None)
    (row,) = pq.read_table(buffer).to_pylist(maps_as_pydicts="strict")
    assert RECORD.config is not None
    assert row["config"]["style_layers"] == RECORD.config["style_layers"]
    filled = {name: value for name, value in row["config"].items() if value is not None}
    assert {**row, "config": filled} == RECORD.to_dict()


def test_the_schema_is_that_of_the_contract():
    assert metrics_schema().names == list(columns())
    assert not metrics_schema().field("manifest_row").nullable
    assert all(metrics_schema().field(name).nullable for name in columns() if name != "manifest_row")


def test_columns_that_are_carried_on_exist_and_losses_are_columns():
    for carried in (DATASET, DETAILS, FAILURES):
        assert "run_id" in columns(carried) and set(columns(carried)) < set(columns())
    assert {loss.key for loss in LOSSES} <= set(columns(DATASET))


def test_every_measure_is_a_column():
    assert [measure.key for measure in MEASURES] == [name for name in columns() if name.startswith("measure_")]


def test_between_steps_a_record_is_packed_and_comes_back_whole():
    packed = pickle.dumps(RECORD)
    assert pickle.loads(packed) == RECORD
    assert len(packed) < len(RECORD.to_json())
