"""Measures of a finished directory: as the worker would have them, kept by every later job and rebuild."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.cli.main import main
from stylecore.images.codec import encode_png
from tests.support.contract import violations
from tests.support.inputs import TINY, write_manifest
from tests.support.jobs import run
from tests.support.outputs import edit_metrics, metrics_of
from tests.support.pictures import paint
from transforms.measuring import Measured, measure_finished
from transforms.output.measures import MEASURE_KEYS, save_measures
from transforms.output.paths import Output
from transforms.output.rows import MetricsRows, marker_rows
from transforms.rebuild import rebuild

COMPUTED = ("measure_ssim", "measure_palette")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The folder of a manifest with its images: a row, its duplicate, two styles, the content's chroma, no image."""
    folder = tmp_path_factory.mktemp("unmeasured")
    for name, seed in (("content", 1), ("style_a", 3), ("style_b", 4)):
        paint(folder / f"{name}.png", 60, 80, seed)
    first: dict = {"content": "content.png", "style": [{"uri": "style_a.png", "weight": 1.0}]}
    two: dict = {**first, "style": [{"uri": "style_a.png", "weight": 0.5}, {"uri": "style_b.png", "weight": 2.0}]}
    rows = [first, first, {**two, "config": {**TINY, "style_fit": "keep"}}, {**first, "content": "missing.png"}]
    rows.insert(3, {**first, "config": {**TINY, "color": "content", "init": "content"}})
    write_manifest(folder / "manifest.parquet", rows)
    run([*arguments(folder), "--measures=none"])
    return folder


def arguments(folder):
    return ["--manifest", str(folder / "manifest.parquet"), "--output", str(folder / "output")]


def files(output, *folders):
    """Every file of these folders with its time and its inode: a file that is replaced has another."""
    paths = [path for folder in folders for path in (output / folder).rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in paths}


def measures_of(output):
    return [[row[key] for key in COMPUTED] for row in metrics_of(output)]


def forget(output):
    """Makes the measures of metrics and markers null, and returns the rows with what the worker measured."""
    rows = metrics_of(output)
    nothing = dict.fromkeys(MEASURE_KEYS)
    edit_metrics(output, lambda _: nothing)
    for marker in (output / "runs").iterdir():
        marker.write_text(json.dumps({**json.loads(marker.read_text()), **nothing}))
    return rows


def test_measures_are_added_shown_and_kept(job, capsys):
    output = job / "output"
    before = files(output, "images", "thumbs", "runs")
    assert measures_of(output) == [[None, None]] * 5
    assert main(["gallery", "--measures", "all", str(output)]) == 0
    assert "3 runs measured" in capsys.readouterr().out
    added = measures_of(output)
    assert added[0] == added[1] != added[2] and added[4] == [None, None]
    assert all(0 < value < 2 for row in added[:4] for value in row)
    assert violations(output) == []
    (shard,) = (output / "dataset").glob("*.parquet")
    shown = [[row[key] for key in COMPUTED] for row in pq.read_table(shard).to_pylist()]
    assert shown == added[:4]
    details = "".join(path.read_text() for path in (output / "gallery/data").glob("details-*"))
    assert f'"measure_ssim":{added[0][0]}' in details
    everything = files(output, "images", "thumbs", "runs", "measures", "metrics", "gallery", "dataset")
    assert before.items() <= everything.items()
    assert main(["gallery", "--measures", "all", str(output)]) == 0
    assert "0 runs measured" in capsys.readouterr().out
    run([*arguments(job), "--measures=none"])
    assert measures_of(output) == added
    with marker_rows(Output(str(output))) as source:
        assert [[row[key] for key in COMPUTED] for _, row in source.rows(within=range(2))] == [
            pytest.approx(added[0]),
            pytest.approx(added[2]),
        ]
    after = files(output, "images", "thumbs", "runs", "measures", "gallery", "dataset")
    assert after.items() <= everything.items()


def test_they_are_those_of_the_worker(job, tmp_path):
    run([*arguments(job)[:2], "--output", str(tmp_path / "measured"), "--dataset=none"])
    worker = forget(tmp_path / "measured")
    assert all(row[key] is not None for row in worker[:4] for key in COMPUTED)
    output = Output(str(tmp_path / "measured"))
    assert measure_finished(output, MetricsRows(output)) == Measured(runs=3)
    rebuild(output)
    assert metrics_of(tmp_path / "measured") == worker


def test_what_is_missing_alone_is_added(small_output):
    worker = forget(small_output)[0]
    run_id = worker["run_id"]
    output = Output(str(small_output))
    save_measures(output, run_id, {"measure_ssim": 0.25, "measure_lpips": None})
    measure_finished(output, MetricsRows(output))
    found = json.loads((small_output / "measures" / f"{run_id}.json").read_text())
    assert found == {
        "measure_lpips": None,
        "measure_palette": pytest.approx(worker["measure_palette"]),
        "measure_ssim": 0.25,
    }


def test_a_measure_that_has_no_value_is_computed_once(small_output):
    forget(small_output)
    output = Output(str(small_output))
    for path in (small_output / "runs").iterdir():
        save_measures(output, path.stem, {"measure_ssim": None, "measure_palette": None})
    assert measure_finished(output, MetricsRows(output)) == Measured()


def test_runs_whose_images_are_gone_or_have_changed_stay_without(small_output, capsys, caplog):
    forget(small_output)
    changed, gone, unknown, *_ = run_ids = sorted({row["run_id"] for row in metrics_of(small_output) if row["run_id"]})
    edits: dict[str, dict] = {
        changed: {"content_sha256": "0" * 64},
        gone: {"uris": ["/nowhere/content.png", "/nowhere/style.png"], "content_sha256": "1" * 64},
        unknown: {"uris": None},
    }
    edit_metrics(small_output, lambda row: edits.get(row["run_id"], {}))
    assert main(["gallery", "--measures=all", str(small_output)]) == 3
    assert capsys.readouterr().out.startswith("1 run measured\n")
    assert caplog.text.count("3 runs could not be measured, the first: run ") == 1
    with_values = {row["run_id"] for row in metrics_of(small_output) if row["measure_ssim"] is not None}
    assert with_values == set(run_ids) - edits.keys()


def test_a_run_id_that_is_none_becomes_no_path(small_output, tmp_path):
    forget(small_output)
    edit_metrics(small_output, lambda row: {"run_id": row["run_id"] and "../../outside"})
    output = Output(str(small_output))
    assert measure_finished(output, MetricsRows(output)).left_out == 1
    assert not (small_output / "measures").exists() and not (tmp_path / "outside.json").exists()


def test_a_picture_of_another_size_is_not_measured(small_output, caplog):
    run_id = forget(small_output)[0]["run_id"]
    (small_output / "images" / f"{run_id}.png").write_bytes(encode_png(np.zeros((9, 9, 3), np.uint8), "{}"))
    output = Output(str(small_output))
    assert measure_finished(output, MetricsRows(output)).left_out == 1
    assert re.search(rf"1 runs could not be measured, the first: run {run_id}: the picture has the shape", caplog.text)
