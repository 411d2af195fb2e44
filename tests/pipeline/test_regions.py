"""Masks, own scales and initial pictures from the manifest to the metrics: the same as the direct call gives."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.cli.main import main
from pipeline.plan.plan import PlanOptions, plan
from pipeline.run import Summary
from stylecore import Style, StyleConfig, stylize
from stylecore.images.codec import decode_image
from tests.support.contract import violations
from tests.support.inputs import TINY, write_manifest
from tests.support.jobs import run
from tests.support.outputs import edit_metrics, metrics_of
from tests.support.pictures import paint, paint_halves
from transforms.input_images import sha256_hex
from transforms.output.paths import source_path

KEEP = {**TINY, "style_fit": "keep"}
HALVES: list[dict[str, Any]] = [
    {"uri": "style_a.png", "content_mask": "left.png"},
    {"uri": "style_b.png", "content_mask": "right.png", "weight": 0.5},
]
GOOD: list[dict[str, Any]] = [
    {"style": HALVES},
    {"style": [{**HALVES[0], "content_mask": "right.png"}, {**HALVES[1], "content_mask": "left.png"}]},
    {"style": [{**HALVES[0], "style_mask": "left.png", "scale": 0.5}, HALVES[1]], "config": KEEP},
    {"style": [{"uri": "style_a.png", "content_mask": "left.png"}, {"uri": "style_b.png"}]},
    {"style": [{"uri": "style_a.png", "style_mask": "right.png"}]},
    {"style": [{"uri": "style_a.png", "scale": 0.5}], "config": KEEP},
    {"style": "style_a.png", "config": {**TINY, "init": "image", "noise_blend": 0.25}, "initial": "tall.png"},
    {"style": [HALVES[0], {"uri": "style_b.png", "content_mask": "speck.png"}]},
    {"style": "style_a.png"},
]
BAD: list[tuple[dict[str, Any], str, str]] = [
    (
        {"style": [{**HALVES[0], "content_mask": "missing.png"}]},
        "NotFoundError",
        "content_mask: .*missing.png: not found",
    ),
    ({"style": [{**HALVES[0], "style_mask": "broken.png"}]}, "ImageError", "style_mask: .*broken.png: "),
    ({"style": [{**HALVES[0], "style_mask": "black.png"}]}, "EmptyMask", "style_mask: .*black.png: a mask must have a"),
    ({"style": [{**HALVES[0], "scale": 0.5}]}, "RowError", "style_fit must be keep with the scale of a style"),
    ({"style": [{**HALVES[0], "mask": "left.png"}]}, "RowError", "unknown field 'mask', did you mean"),
    ({"style": "style_a.png", "initial": "tall.png"}, "ValueError", "init must be image with initial, got noise"),
    ({"style": "style_a.png", "config": {**TINY, "init": "image"}}, "ValueError", "without initial, got image"),
    (
        {"style": "style_a.png", "config": {**TINY, "init": "image", "color": "content"}, "initial": "tall.png"},
        "ValueError",
        "initial must have the content's shape with color content",
    ),
]
LISTED = {"weight": None, "scale": None, "content_mask": None, "style_mask": None, "mask": None}


def manifest_row(row: dict) -> dict:
    """A column has one type: every style is a list of entries with every field."""
    entries = [{"uri": row["style"]}] if isinstance(row["style"], str) else row["style"]
    styles = [{**LISTED, **entry} for entry in entries]
    return {"content": "content.png", "initial": None, "config": TINY, **row, "style": styles}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """A folder with m.parquet, of the rows GOOD and then BAD, and out/ of its job."""
    folder = tmp_path_factory.mktemp("regions")
    for seed, name in enumerate(("content", "style_a", "style_b")):
        paint(folder / f"{name}.png", 60, 80, seed)
    paint(folder / "tall.png", 80, 50, 7)
    paint_halves(folder / "left.png", folder / "right.png", 120, 80)
    Image.new("L", (8, 8)).save(folder / "black.png")
    (folder / "broken.png").write_bytes((folder / "left.png").read_bytes()[:60])
    speck = np.zeros((36, 48), np.uint8)
    speck[20, 30] = 255
    Image.fromarray(speck).save(folder / "speck.png")
    rows = [manifest_row(row) for row in (*GOOD, *(row for row, *_ in BAD))]
    manifest = write_manifest(folder / "m.parquet", rows)
    options = ["--batch_size=2", "--deterministic", "--frames=2"]
    return folder, run(["--manifest", manifest, "--output", str(folder / "out"), *options])


def direct(folder):
    def image(name):
        return None if name is None else decode_image((folder / name).read_bytes())

    rows = [manifest_row(row) for row in GOOD]
    styles = []
    for row in rows:
        entries = [{name: value for name, value in entry.items() if value is not None} for entry in row["style"]]
        named = [{k: v if k in ("weight", "scale") else image(v) for k, v in entry.items()} for entry in entries]
        styles.append([Style(entry.pop("uri"), **entry) for entry in named])
    return stylize(
        [image("content.png") for _ in rows],
        styles,
        [StyleConfig.from_dict(row["config"]) for row in rows],
        batch_size=2,
        initials=[image(row["initial"]) for row in rows],
    )


def test_the_pictures_and_losses_are_those_of_the_direct_call(job):
    folder, summary = job
    assert (summary.done, sum(summary.failed.values())) == (len(GOOD), len(BAD))
    assert violations(folder / "out") == []
    for row, result in zip(metrics_of(folder / "out"), direct(folder)):
        assert np.array_equal(decode_image((folder / "out" / row["image"]).read_bytes()), result.image)
        assert row["loss_total"] == np.float32(result.loss_total)
        assert (row["notes"] or []) == list(result.notes)
        assert len(row["frames"]) == 2


def test_every_run_has_a_name_of_its_own_and_a_region_that_is_left_out_a_note(job):
    rows = metrics_of(job[0] / "out")[: len(GOOD)]
    assert len({row["run_id"] for row in rows}) == len({row["loss_total"] for row in rows}) == len(GOOD)
    notes = {row["manifest_row"]: row["notes"] for row in rows if row["notes"]}
    assert list(notes) == [7] and "content_mask of style 2 is too small at" in notes[7][0]


def test_bad_rows_fail_alone_each_with_its_reason_and_plan_says_the_same(job):
    folder, _ = job
    failed = metrics_of(folder / "out")[len(GOOD) :]
    for number, (row, (_, error_type, message)) in enumerate(zip(failed, BAD, strict=True), start=len(GOOD)):
        assert row["status"] == "failed" and row["error_type"] == error_type
        assert f"row {number}: " in row["error_message"]
        assert re.search(message, row["error_message"])
    planned = plan(PlanOptions(str(folder / "m.parquet"), str(folder / "out"), batch_size=2))
    assert planned.counts.runs == planned.counts.finished == len(GOOD)
    assert planned.bad.shown == [row["error_message"] for row in failed]
    assert (
        planned.images
        == len({"content", "style_a", "style_b", "tall", "left", "right", "speck", "black", "broken"}) + 1
    )
    assert {entry.bucket.kind.regions: entry.runs for entry in planned.counts.buckets} == {True: 5, False: 4}


def test_the_metrics_hold_whole_entries_and_where_every_image_lies(job):
    folder, _ = job
    rows = metrics_of(folder / "out")
    masked, started = rows[2], rows[6]
    entry = {"uri": "style_a.png", "weight": 1.0, "scale": 0.5, "content_mask": "left.png", "style_mask": "left.png"}
    assert masked["style"][0] == entry and masked["initial"] is None
    names = ["content.png", "style_a.png", "style_b.png", "left.png", "left.png", "right.png"]
    assert masked["uris"] == [str(folder / name) for name in names]
    hashes = {name: sha256_hex((folder / name).read_bytes()) for name in [*names, "tall.png"]}
    assert masked["mask_sha256"] == [hashes[name] for name in names[3:]]
    assert started["initial"] == "tall.png" and started["initial_sha256"] == hashes["tall.png"]
    assert started["uris"][-1] == str(folder / "tall.png") and started["mask_sha256"] is None
    assert rows[len(GOOD)]["style"] == [{**entry, "scale": None, "style_mask": None, "content_mask": "missing.png"}]
    assert all((folder / "out" / source_path(sha256)).exists() for sha256 in hashes.values())


def test_a_rerun_computes_nothing_and_metrics_of_an_older_version_are_read(job, tmp_path):
    folder, _ = job
    output = Path(shutil.copytree(folder / "out", tmp_path / "out"))
    before = metrics_of(output)
    for path in (output / "metrics").glob("*.parquet"):
        table = pq.read_table(path).drop_columns(["initial", "mask_sha256", "initial_sha256", "notes"])
        style = pa.list_(pa.struct([("uri", pa.string()), ("weight", pa.float64())]))
        older = [
            [{name: entry[name] for name in ("uri", "weight")} for entry in row] for row in table["style"].to_pylist()
        ]
        place = table.schema.get_field_index("style")
        pq.write_table(table.set_column(place, "style", pa.array(older, style)), path)
    assert main(["gallery", str(output)]) == 0
    assert main(["status", str(output)]) == 3
    picked = str(tmp_path / "picked.parquet")
    assert main(["pick", str(output), "--best=loss_style", "--output", picked]) == 2  # It does not know the masks.
    summary = run(["--manifest", str(folder / "m.parquet"), "--output", str(output), "--batch_size=2"])
    assert summary.computed == 0 and metrics_of(output) == before


def test_picked_runs_with_masks_and_an_initial_picture_are_the_same_runs(job, tmp_path, monkeypatch):
    folder, _ = job
    output = Path(shutil.copytree(folder / "out", tmp_path / "out"))
    manifest = str(tmp_path / "elsewhere" / "picked.parquet")
    assert main(["pick", str(output), "--best=loss_total", "--top=100", "--output", manifest]) == 0
    monkeypatch.chdir(tmp_path)
    summary = run(["--manifest", manifest, "--output", str(output), "--batch_size=2"])
    assert (summary.done, summary.computed) == (len(GOOD), 0)
    assert all(json.loads(row["extra"])["picked_from"] == row["run_id"] for row in metrics_of(output))


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (2, "style_fit=stretch", "style_fit must be keep with the scale of a style, got stretch"),
        (8, "init=image", "init must be noise, content or style without initial, got image"),
    ],
)
def test_changes_that_do_not_go_with_a_picked_run_are_refused(job, tmp_path, capsys, number, change, message):
    folder, _ = job
    output = Path(shutil.copytree(folder / "out", tmp_path / "out"))
    edit_metrics(output, lambda row: {"status": "done" if row["manifest_row"] == number else "failed"})
    assert (
        main(["pick", str(output), "--best=loss_total", "--set", change, "--output", str(tmp_path / "p.parquet")]) == 2
    )
    assert message in capsys.readouterr().err


def test_an_initial_picture_is_left_behind_where_the_picked_run_starts_elsewhere(job, tmp_path):
    folder, _ = job
    manifest = tmp_path / "picked.parquet"
    options = ["--best=loss_total", "--top=100", "--set=init=content", "--output", str(manifest)]
    assert main(["pick", str(folder / "out"), *options]) == 0
    assert pq.read_table(manifest)["initial"].null_count == len(GOOD)


def test_measures_can_be_computed_later_and_are_the_same(job, tmp_path):
    folder, _ = job
    output = Path(shutil.copytree(folder / "out", tmp_path / "out"))
    expected = [row["measure_palette"] for row in metrics_of(output)]
    assert all(value is not None for value in expected[: len(GOOD)])
    edit_metrics(output, lambda _: {"measure_palette": None})
    assert main(["gallery", "--measures=all", str(output)]) == 0
    assert [row["measure_palette"] for row in metrics_of(output)] == pytest.approx(expected, nan_ok=True)
