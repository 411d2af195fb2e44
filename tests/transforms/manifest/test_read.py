"""Manifests as people and libraries write them: every bad row is named, every good one comes through."""

import json
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that

from stylecore import StyleConfig
from tests.support.inputs import GOOD_ROW, write_rows
from transforms.manifest.files import open_manifest
from transforms.manifest.read import FAILURES, ROWS, ParseRows, ReadManifest


def read(uri, limit=None):
    rows: list[Any] = []
    failures: list[Any] = []
    opened = open_manifest(uri, limit)
    for part in opened.slices:
        for element in ParseRows().process(part):
            (failures if isinstance(element, beam.pvalue.TaggedOutput) else rows).append(element)
    return rows, [failure.value for failure in failures]


@pytest.mark.parametrize("rows_per_read", [3, 7, 1000])
@pytest.mark.parametrize("row_group_size", [4, 100])
def test_rows_are_numbered_over_files_and_row_groups(tmp_path, monkeypatch, rows_per_read, row_group_size):
    monkeypatch.setattr("transforms.manifest.files.ROWS_PER_READ", rows_per_read)
    for name, count in (("a", 10), ("b", 5)):
        write_rows(
            tmp_path / f"{name}.parquet",
            [{**GOOD_ROW, "content": f"{name}{index}"} for index in range(count)],
            row_group_size=row_group_size,
        )
    expected = [f"a{index}" for index in range(10)] + [f"b{index}" for index in range(5)]
    for uri in (str(tmp_path), str(tmp_path / "*.parquet")):
        rows, _ = read(uri)
        assert [row.content for row in rows] == expected
        assert [row.number for row in rows] == list(range(15))
    assert rows[12].location == f"{tmp_path}/b.parquet, row 2"
    assert [row.content for row in read(str(tmp_path), limit=12)[0]] == expected[:12]


CONFIGS = {
    "struct": {"iterations": 7, "content_layers": {"conv4_2": 1.0, "conv5_2": None}},
    "struct of floats": {"iterations": 7.0, "content_layers": {"conv4_2": 1}},
    "json": json.dumps({"iterations": 7, "content_layers": ["block4_conv2"]}),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_configurations_in_every_form(tmp_path, name):
    (row,), failures = read(write_rows(tmp_path / "m.parquet", [{**GOOD_ROW, "config": CONFIGS[name]}]))
    assert row.config == StyleConfig.from_dict({"iterations": 7, "content_layers": {"conv4_2": 1}})
    assert not failures


def test_layers_as_a_map_column_and_several_styles(tmp_path):
    config = pa.struct([("style_layers", pa.map_(pa.string(), pa.float64()))])
    style = pa.list_(pa.struct([("uri", pa.string()), ("weight", pa.float64())]))
    schema = pa.schema([("content", pa.string()), ("style", style), ("config", config)])
    values = {
        "content": "c.png",
        "style": [{"uri": "a.png", "weight": 0.25}, {"uri": "gs://b/b.png", "weight": None}],
        "config": {"style_layers": [("conv1_1", 2.0)]},
    }
    pq.write_table(pa.Table.from_pylist([values], schema=schema), tmp_path / "m.parquet")
    (row,), _ = read(str(tmp_path / "m.parquet"))
    assert row.config.style_layers == (("block1_conv1", 2.0),)
    assert [(style.uri, style.weight) for style in row.styles] == [
        (str(tmp_path / "a.png"), 0.25),
        ("gs://b/b.png", 1.0),
    ]


def test_other_columns_survive_as_json(tmp_path):
    (row,), _ = read(
        write_rows(tmp_path / "m.parquet", [{**GOOD_ROW, "split": "train", "n": 3, "x": float("nan"), "ü": [1]}])
    )
    assert json.loads(row.extra) == {"split": "train", "n": 3, "x": None, "ü": [1]}


def test_a_bad_row_among_good_ones_is_the_only_failure(tmp_path):
    rows = [{**GOOD_ROW, "config": "{}"}] * 500 + [{**GOOD_ROW, "config": "[]"}] + [{**GOOD_ROW, "config": "{}"}] * 499
    good, failures = read(write_rows(tmp_path / "m.parquet", rows))
    assert len(good) == 999
    ((number, _, failure),) = failures
    assert number == 500
    assert "m.parquet, row 500: config: config must be a JSON object" in failure.reason.error_message


def test_a_damaged_row_group_fails_its_rows_alone(tmp_path):
    path = tmp_path / "m.parquet"
    rows = [{**GOOD_ROW, "content": f"photograph-{index:04d}.png"} for index in range(20)]
    write_rows(path, rows, row_group_size=10, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    start = data.index(b"photograph-0010") - 40
    data[start : start + 60] = b"\xff" * 60
    path.write_bytes(data)
    good, failures = read(str(path))
    assert [row.number for row in good] == list(range(10))
    assert sorted(number for number, _, _ in failures) == list(range(10, 20))


def test_the_transform_reads_everything(tmp_path):
    uri = write_rows(
        tmp_path / "m.parquet",
        [{**GOOD_ROW, "config": "{}"}, {**GOOD_ROW, "config": "{"}, {**GOOD_ROW, "config": "{}"}],
    )
    with TestPipeline() as pipeline:
        read_rows = pipeline | ReadManifest(open_manifest(uri))

        def numbers(expected):
            def check(elements):
                assert sorted(elements) == expected

            return check

        assert_that(read_rows[ROWS] | "Rows" >> beam.Map(lambda row: row.number), numbers([0, 2]), "good")
        assert_that(read_rows[FAILURES] | "Bad" >> beam.Map(lambda failed: failed[0]), numbers([1]), "bad")
