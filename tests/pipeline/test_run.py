"""The road of one row, end to end: the same numbers as the direct call, whatever runs it, and nothing twice."""

import io
import json
import logging
import re
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.cli.main import main
from pipeline.plan.plan import PlanOptions, plan
from stylecore import StyleConfig, stylize
from stylecore.images.codec import decode_image
from stylecore.networks.precision import Arithmetic
from tests.support.contract import violations
from tests.support.inputs import TINY, write_manifest
from tests.support.jobs import run
from tests.support.outputs import metrics_of
from tests.support.paths import copied
from tests.support.pictures import paint
from transforms.records import Run
from transforms.stylize.stylize_runs import StylizeRuns

RUNNERS = {
    "in this process": [],
    "several processes": ["--direct_running_mode=multi_processing", "--direct_num_workers=2"],
    "DirectRunner": ["--runner=DirectRunner"],
    "every bundle replayed": ["--direct_runner_bundle_repeat=1"],
}


def rows_of_a_grid():
    settings: list[dict[str, Any]] = [
        {},
        {"content_weight": 1e3, "learning_rate": 5.0, "seed": 7},
        {"init": "content", "iterations": 3},
        {"init": "style", "tv_weight": 0.0, "reduction": "sum"},
    ]
    rows = [{"content": "content.png", "style": "style_a.png", "config": {**TINY, **extra}} for extra in settings]
    several = [{"uri": "style_a.png", "weight": 0.7}, {"uri": "style_b.png", "weight": 0.3}]
    return [{**row, "style": [{"uri": row["style"], "weight": 1.0}]} for row in rows] + [{**rows[0], "style": several}]


def direct(inputs, rows, batch_size):
    def load(name):
        return decode_image((inputs / name).read_bytes())

    return stylize(
        [load(row["content"]) for row in rows],
        [[(load(style["uri"]), style["weight"]) for style in row["style"]] for row in rows],
        [StyleConfig.from_dict(row["config"]) for row in rows],
        batch_size=batch_size,
    )


@pytest.fixture(scope="module")
def finished_grid(tmp_path_factory):
    """m.parquet of `rows_of_a_grid`, its images, and out/ of its job."""
    folder = tmp_path_factory.mktemp("grid")
    paint(folder / "content.png", 60, 80, 1)
    paint(folder / "style_a.png", 64, 64, 3)
    paint(folder / "style_b.png", 50, 70, 4)
    assert run(job_of(folder, rows_of_a_grid())).computed == 5
    return folder


@pytest.fixture
def grid(finished_grid):
    """The arguments of a job that is finished, and its output directory, which is as it was afterwards."""
    output = finished_grid / "out"
    before = copied(output, finished_grid / "before")
    yield ["--manifest", str(finished_grid / "m.parquet"), "--output", str(output)], output
    shutil.rmtree(output)
    before.rename(output)


def job_of(folder, rows):
    return ["--manifest", write_manifest(folder / "m.parquet", rows), "--output", str(folder / "out")]


def files(output, *folders):
    return {path: path.read_bytes() for folder in folders for path in (output / folder).iterdir()}


@pytest.fixture(scope="module")
def direct_results(finished_grid):
    return direct(finished_grid, rows_of_a_grid(), batch_size=2)


@pytest.mark.parametrize("runner", RUNNERS)
def test_same_pictures_as_the_direct_call(inputs, direct_results, runner):
    run([*job_of(inputs, rows_of_a_grid()), "--batch_size=2", "--deterministic", *RUNNERS[runner]])
    for row, result in zip(metrics_of(inputs / "out"), direct_results, strict=True):
        assert row["status"] == "done"
        assert np.array_equal(np.asarray(Image.open(inputs / "out" / row["image"])), result.image)
        assert row["loss_total"] == np.float32(result.loss_total)
        assert [entry["total"] for entry in row["history"]] == [np.float32(entry.total) for entry in result.history]


@pytest.mark.parametrize("runner", [[], ["--runner=DirectRunner"]])
def test_a_job_of_this_machine_is_waited_for_and_tells_of_failed_rows(inputs, capsys, runner):
    good = {"content": "content.png", "style": "style_a.png", "config": TINY}
    manifest = write_manifest(inputs / "m.parquet", [good, {**good, "content": "missing.png"}])
    assert main(["run", "--manifest", manifest, "--output", str(inputs / "out"), "--no_wait", *runner]) == 3
    said = capsys.readouterr().out
    assert "1 of 2 rows done, 1 runs computed by this job" in said and "submitted" not in said


def test_a_second_run_computes_nothing_and_changes_no_byte(grid):
    arguments, output = grid
    before = files(output, "images", "runs", "thumbs", "metrics")
    second = run(arguments)
    assert (second.done, second.computed) == (5, 0)
    assert files(output, "images", "runs", "thumbs", "metrics") == before


def bad_rows(inputs):
    (inputs / "truncated.png").write_bytes((inputs / "content.png").read_bytes()[:200])
    (inputs / "empty.png").touch()
    good = {"content": "content.png", "style": "style_a.png", "config": TINY}
    return [
        good,
        {**good, "content": "missing.png"},
        {**good, "style": "truncated.png"},
        {**good, "content": "empty.png"},
        {**good, "config": {**TINY, "itrations": 3}},
        {**good, "config": {**TINY, "content_weight": 3e38}},
        {**good, "config": {**TINY, "image_size": 1}},
        {**good, "content": "s3x://bucket/object"},
        {**good, "config": {**TINY, "seed": 5}},
    ]


REASONS = {
    1: "row 1: content: .*missing.png: not found",
    2: "row 2: style: .*truncated.png: .*truncated",
    3: "row 3: content: .*empty.png: the file is empty",
    4: "row 4: config: unknown field 'itrations', did you mean 'iterations'",
    5: "not finite at iteration 0",
    6: "row 6: content: an image of 1x1 pixels is too small for the layers block1_conv1, block2_conv1, block2_conv2",
    7: "row 7: content: .*no file system for s3x://",
}


def test_bad_rows_fail_with_reasons_while_the_others_are_done(inputs, capsys):
    manifest = write_manifest(inputs / "m.parquet", bad_rows(inputs))
    assert main(["run", "--manifest", manifest, "--output", str(inputs / "out")]) == 3
    rows = metrics_of(inputs / "out")
    assert {row["manifest_row"] for row in rows if row["status"] == "done"} == {0, 8}
    for number, reason in REASONS.items():
        assert rows[number]["status"] == "failed"
        assert re.search(reason, rows[number]["error_message"]), rows[number]
    assert len(list((inputs / "out" / "failures").iterdir())) == len(REASONS)
    assert "2 of 9 rows done" in capsys.readouterr().out


def test_job_json_says_how_many_rows_are_done_and_failed(finished_job):
    job = json.loads((finished_job / "output" / "job.json").read_text())
    rows = metrics_of(finished_job / "output")
    failed = [row["error_type"] for row in rows if row["status"] == "failed"]
    assert (job["done"], job["failed"]) == (len(rows) - len(failed), {"NotFoundError": 1})
    assert failed == ["NotFoundError"]


def test_a_run_that_is_too_small_fails_under_its_run_id_before_anything_is_stylized(inputs, monkeypatch):
    begun: list[Run] = []
    process = StylizeRuns.process

    def watched(self, batches):
        begun.extend(run for batch in batches for run in batch.runs)
        return process(self, batches)

    monkeypatch.setattr(StylizeRuns, "process", watched)
    paint(inputs / "thin.png", 40, 1, 0)
    good = {"content": "content.png", "style": "style_a.png", "config": TINY}
    keep = {**TINY, "style_fit": "keep", "precision": "auto"}
    small = {**good, "style": "thin.png", "config": keep}
    manifest = write_manifest(inputs / "m.parquet", [small, good, small])
    output = inputs / "out"
    summary = run(["--manifest", manifest, "--output", str(output)])
    assert (summary.done, summary.failed, summary.computed) == (1, {"ValueError": 2}, 1)
    first, done, again = metrics_of(output)
    assert {run.run_id for run in begun} == {done["run_id"]}
    assert re.fullmatch("[0-9a-f]{16}", first["run_id"]) and first["run_id"] == again["run_id"] != done["run_id"]
    text = "style: an image of 1x48 pixels is too small for the layers block1_conv1, block2_conv1, block2_conv2"
    assert first["error_message"] == f"{manifest}, row 0: {text}"
    assert again["error_message"] == f"{manifest}, row 2: {text}"
    assert first["config"]["precision"] != "auto"
    (record,) = (json.loads(path.read_text()) for path in (output / "failures").iterdir())
    assert record["id"] == record["run_id"] == first["run_id"] and record["error_type"] == "ValueError"
    assert json.loads((output / "job.json").read_text())["runs"] == 2
    assert plan(PlanOptions(manifest)).bad.shown == [first["error_message"], again["error_message"]]


def test_failures_disappear_when_the_row_succeeds(inputs):
    manifest = write_manifest(inputs / "m.parquet", [{"content": "late.png", "style": "style_a.png"}])
    arguments = ["--manifest", manifest, "--output", str(inputs / "out")]
    assert run(arguments).failed == {"NotFoundError": 1}
    shutil.copy(inputs / "content.png", inputs / "late.png")
    assert run(arguments).failed == {}
    assert not list((inputs / "out" / "failures").iterdir())


def test_duplicate_rows_share_one_run(inputs):
    row = {"content": "content.png", "style": "style_a.png", "config": TINY}
    spelled = {**TINY, "content_layers": {"block2_conv2": 1.0}, "preset": "basic"}
    manifest = write_manifest(inputs / "m.parquet", [row, {**row, "config": spelled}, {**row, "note": "again"}])
    assert run(["--manifest", manifest, "--output", str(inputs / "out")]).computed == 1
    rows = metrics_of(inputs / "out")
    assert len({row["run_id"] for row in rows}) == 1
    assert [row["manifest_row"] for row in rows] == [0, 1, 2]


def test_metrics_follow_the_manifest_and_pictures_stay(grid, inputs):
    _, output = grid
    smaller = write_manifest(inputs / "n.parquet", [{"content": "tall.png", "style": "style_b.png"}])
    run(["--manifest", smaller, "--output", str(output)])
    assert [row["content"] for row in metrics_of(output)] == ["tall.png"]
    assert len(list((output / "images").iterdir())) == 6
    assert json.loads((output / "job.json").read_text())["rows"] == 1


def test_any_manifest_after_any_other_has_one_row_each_and_computes_what_is_new(inputs):
    """Grown, reordered with a changed row, shrunk to a bad row, and the first one again."""
    row: dict[str, Any] = {"content": "content.png", "style": "style_a.png"}
    a, b, c, d = ({**row, "config": {**TINY, "seed": seed}} for seed in range(4))
    bad = {**row, "content": "missing.png"}
    changed = {**b, "config": {**TINY, "seed": 1, "iterations": 2}}
    output = inputs / "out"
    known: set[str] = set()
    manifests: list[list[dict[str, Any]]] = [[a, b], [a, b, c, a, bad], [d, bad, changed, c, a], [bad], [a, b]]
    for number, rows in enumerate(manifests):
        manifest = write_manifest(inputs / f"{number}.parquet", rows)
        summary = run(["--manifest", manifest, "--output", str(output), "--gallery=none", "--dataset=none"])
        found = metrics_of(output)
        assert [each["manifest_row"] for each in found] == list(range(len(rows)))
        for each, wanted in zip(found, rows, strict=True):
            assert each["status"] == ("failed" if wanted is bad else "done")
            assert wanted is bad or each["config"]["seed"] == wanted["config"]["seed"]
        now = {each["run_id"] for each in found if each["status"] == "done"}
        assert summary.computed == len(now - known)
        known |= now
    assert len(known) == len(list((output / "images").iterdir())) == 5


def test_a_replayed_bundle_computes_no_run_again(inputs, caplog):
    manifest = write_manifest(inputs / "m.parquet", rows_of_a_grid())
    arguments = ["--manifest", manifest, "--output", str(inputs / "out"), "--direct_runner_bundle_repeat=1"]
    with caplog.at_level(logging.INFO, logger="transforms.stylize.stylize_runs"):
        assert run(arguments).done == 5
    begun = re.findall(r"([0-9a-f]{16}) from iteration 0", caplog.text)
    assert sorted(begun) == sorted(path.stem for path in (inputs / "out" / "runs").iterdir())
    assert [row["manifest_row"] for row in metrics_of(inputs / "out")] == list(range(5))


def test_a_picture_without_its_marker_is_completed_not_computed(grid):
    arguments, output = grid
    before = files(output, "images", "runs", "thumbs")
    victim = next((output / "runs").iterdir())
    victim.unlink()
    (output / "thumbs" / f"{victim.stem}.webp").unlink()
    assert run(arguments).computed == 0
    assert files(output, "images", "runs", "thumbs") == before


def test_a_damaged_picture_without_marker_is_made_again(inputs):
    arguments = job_of(inputs, rows_of_a_grid()[:1])
    run(arguments)
    before = {path: Image.open(io.BytesIO(data)).tobytes() for path, data in files(inputs / "out", "images").items()}
    picture = next(iter(before))
    picture.write_bytes(picture.read_bytes()[:100])
    (inputs / "out" / "runs" / f"{picture.stem}.json").unlink()
    assert run(arguments).computed == 1
    assert Image.open(picture).tobytes() == before[picture]


def test_a_damaged_marker_does_not_cost_the_row(grid):
    arguments, output = grid
    before = metrics_of(output)
    next((output / "runs").iterdir()).write_bytes(b"{")
    assert run(arguments).computed == 0
    assert metrics_of(output) == before


def test_the_network_is_loaded_once_for_all_bundles(inputs, caplog):
    sizes = [{**TINY, "image_size": size, "weights": "random:77"} for size in (32, 40, 48)]
    rows = [{"content": "content.png", "style": "style_a.png", "config": config} for config in sizes]
    with caplog.at_level(logging.INFO, logger="stylecore.run.engine_cache"):
        for name in ("one", "two"):
            run(["--manifest", write_manifest(inputs / "m.parquet", rows), "--output", str(inputs / name)])
    assert sum("loading vgg19" in record.message for record in caplog.records) == 1


def test_python_m_pipeline_is_the_command(finished_job):
    command = [sys.executable, "-m", "pipeline", "status", str(finished_job / "output")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")
    assert "failed     1\n           1 NotFoundError\nremaining  0" in done.stdout


def test_precision_is_settled_by_the_device_that_computes(inputs, monkeypatch):
    monkeypatch.setattr("pipeline.computing.device_arithmetic", lambda: Arithmetic.of("an old CPU", has_bfloat16=False))
    rows = [
        {"content": "content.png", "style": "style_a.png", "config": {**TINY, "precision": precision}}
        for precision in ("auto", "float32", "bfloat16")
    ]
    run(["--manifest", write_manifest(inputs / "m.parquet", rows), "--output", str(inputs / "out")])
    left_open, named, refused = metrics_of(inputs / "out")
    assert left_open["run_id"] == named["run_id"] and left_open["config"]["precision"] == "float32"
    assert refused["error_type"] == "PrecisionError"
    assert "row 2: precision must be float32 or auto on an old CPU" in refused["error_message"]


def test_frames_of_finished_runs_cannot_be_had_afterwards_and_that_is_said(inputs, caplog):
    rows = [{"content": "content.png", "style": "style_a.png", "config": TINY}]
    arguments = ["--manifest", write_manifest(inputs / "m.parquet", rows), "--output", str(inputs / "out")]
    run(arguments)
    run([*arguments, "--frames=2"])
    assert "--frames: 1 runs of " in caplog.text and "those without frames stay without" in caplog.text
    assert [row["frames"] for row in metrics_of(inputs / "out")] == [None]
    assert not (inputs / "out" / "frames").exists()
    run([*arguments[:3], str(inputs / "other"), "--frames=2"])
    assert [row["frames"] for row in metrics_of(inputs / "other")] == [[0, 2]]
    assert not violations(inputs / "other")
