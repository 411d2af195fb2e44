"""`stylebeam plan`: every row and image looked at, nothing computed, written or downloaded."""

import functools
import json
import tracemalloc
from collections import Counter
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that

from pipeline.cli.command import size
from pipeline.cli.main import main
from pipeline.computing import batch_limits
from pipeline.plan.counts import RunCounter
from pipeline.plan.plan import MAX_REASONS, MAX_SHOWN, BadRows, PlanOptions, plan
from pipeline.plan.report import report
from pipeline.plan.sizes import PNG_BYTES_PER_PIXEL, WEBP_BYTES_PER_PIXEL, output_sizes
from stylecore.config.style_config import StyleConfig
from stylecore.networks.weights.sources import DOWNLOADS, random_network, save_weights
from stylecore.planning.batches import MEMORY_SHARE
from stylecore.planning.costs import evaluation_cost
from stylecore.planning.room import UNLIMITED
from tests.support.inputs import TINY, write_manifest
from transforms import deal
from transforms.batch import BatchLimits, BatchRuns, batch_size_of, place_of
from transforms.output.published_weights import find_weights
from transforms.records import ManifestRow, Reason, Run

GOOD: dict[str, Any] = {"content": "content.png", "style": "style_a.png"}


@pytest.fixture(autouse=True, scope="module")
def networks_are_built_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("transforms.output.published_weights.find_weights", functools.lru_cache(find_weights))
        yield


def planned(manifest, **options):
    return plan(PlanOptions(manifest, **options))


def printed(found):
    return "\n".join(report(found))


def tree(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_the_bytes_of_pictures_thumbnails_and_frames(inputs):
    rows = [{**GOOD, "config": {**TINY, "iterations": 4, "seed": seed}} for seed in (1, 2)]
    manifest = write_manifest(inputs / "m.parquet", rows)
    plain, framed, many = (planned(manifest, frames=frames) for frames in (0, 3, 100))
    pixels = sum(entry.runs * entry.bucket.height * entry.bucket.width for entry in plain.counts.buckets)
    found = [output_sizes(plan.counts.to_compute, plan.frames) for plan in (plain, framed, many)]
    # The pictures are smaller than their thumbnails may be.
    thumbnails = pytest.approx(WEBP_BYTES_PER_PIXEL * pixels, abs=1)
    assert [sizes.pictures for sizes in found] == [pytest.approx(PNG_BYTES_PER_PIXEL * pixels, abs=1)] * 3
    assert [sizes.thumbnails for sizes in found] == [thumbnails] * 3
    # A run of four iterations has no more than four frames.
    assert [sizes.frames for sizes in found] == [0, 3 * found[0].thumbnails, 4 * found[0].thumbnails]
    assert "the pictures will take about" in printed(plain) and "frames" not in printed(plain)
    assert f"frames {size(found[1].frames)}" in printed(framed)


def test_rows_runs_duplicates_and_shapes_are_counted(inputs):
    rows = [{**GOOD, "config": {**TINY, "seed": seed}} for seed in (1, 2, 3)]
    rows += [rows[0], {**GOOD, "content": "tall.png"}, {"content": "tall.png", "style": "./style_a.png"}]
    found = planned(write_manifest(inputs / "m.parquet", rows))
    assert (found.rows, found.counts.runs, found.duplicates, found.bad.count, found.images) == (6, 4, 2, 0, 3)
    shapes = {(entry.bucket.height, entry.bucket.width): entry.runs for entry in found.counts.buckets}
    assert shapes == {(36, 48): 3, (48, 30): 1}
    todo = {group.stages: runs for group, runs in found.counts.to_compute.items()}
    assert todo == {((36, 48, TINY["iterations"]),): 3, ((48, 30, TINY["iterations"]),): 1}


def test_a_batch_size_is_the_jobs(inputs):
    rows = [{**GOOD, "config": {**TINY, "seed": seed}} for seed in range(7)]
    manifest = write_manifest(inputs / "m.parquet", rows)
    assert [entry.batches for entry in planned(manifest).counts.buckets] == [1]
    assert [entry.batches for entry in planned(manifest, batch_size=3).counts.buckets] == [3]
    assert [entry.runs for entry in planned(manifest, limit=5).counts.buckets] == [5]


def test_bad_rows_are_named_with_their_reasons(inputs, capsys):
    rows = [
        GOOD,
        {**GOOD, "content": "missing.png"},
        {**GOOD, "config": {**TINY, "learning_rate": -1}},
        {**GOOD, "style": "content.txt"},
        {**GOOD, "style": "ftp://host/style.png"},
    ]
    (inputs / "content.txt").write_text("not a picture")
    manifest = write_manifest(inputs / "m.parquet", rows)
    assert main(["plan", "--manifest", manifest]) == 3
    out = capsys.readouterr().out
    assert f"{manifest}, row 1: content: {inputs}/missing.png: not found" in out
    assert f"{manifest}, row 2: config: learning_rate must be > 0, got -1" in out
    assert f"{manifest}, row 3: style: {inputs}/content.txt: not a PNG" in out
    assert f"{manifest}, row 4: style: ftp://host/style.png: no file system" in out
    assert "bad rows: 4" in out


def test_many_bad_rows_are_counted_by_reason(inputs):
    rows = [{**GOOD, "config": {**TINY, "learning_rate": -float(i)}} for i in range(30)]
    rows += [{**GOOD, "config": {**TINY, "image_size": 0}}] * 2
    found = planned(write_manifest(inputs / "m.parquet", rows))
    assert found.bad.count == 32
    assert found.bad.reasons == {
        "config: learning_rate must be > 0": 30,
        "config: image_size must be a whole number from 1 to 16384": 2,
    }
    lines = list(report(found))
    assert sum(", row " in line for line in lines) == MAX_SHOWN
    assert "         30  config: learning_rate must be > 0" in lines


def test_reasons_that_are_all_different_stay_few():
    bad = BadRows()
    for index in range(3 * MAX_REASONS):
        bad.add(Reason("NotFoundError", f"m, row {index}: content: {index}.png: not found"), f"m, row {index}")
    assert bad.count == sum(bad.reasons.values()) == 3 * MAX_REASONS
    assert len(bad.reasons) == MAX_REASONS + 1
    assert bad.reasons["another NotFoundError"] == 2 * MAX_REASONS


def test_an_unreadable_manifest_is_a_usage_error(inputs, capsys):
    (inputs / "bad.parquet").write_bytes(b"PAR1 no PAR1")
    for manifest in ("missing.parquet", "bad.parquet"):
        assert main(["plan", "--manifest", str(inputs / manifest)]) == 2
        assert capsys.readouterr().err.startswith(f"stylebeam: {inputs / manifest}: ")


def test_a_damaged_row_group_costs_its_rows_and_no_others(inputs):
    table = pa.Table.from_pylist([{**GOOD, "config": json.dumps({**TINY, "seed": i})} for i in range(40)])
    manifest = inputs / "m.parquet"
    pq.write_table(table, manifest, row_group_size=20, compression="none", use_dictionary=False)
    column = pq.ParquetFile(manifest).metadata.row_group(1).column(2)
    data = bytearray(manifest.read_bytes())
    start = column.data_page_offset
    data[start : start + 40] = b"\xff" * 40
    manifest.write_bytes(data)
    found = planned(str(manifest))
    assert (found.counts.runs, found.bad.count) == (20, 20)
    assert "row 20: " in found.bad.shown[0] and "damaged" in found.bad.shown[0]


def test_rows_keep_their_numbers_over_slices_row_groups_and_files(inputs, monkeypatch):
    monkeypatch.setattr("transforms.manifest.files.ROWS_PER_READ", 3)
    (inputs / "parts").mkdir()
    good = {"content": "../content.png", "style": "../style_a.png", "config": json.dumps(TINY)}
    for name in ("a", "b"):
        rows = [good] * 10 + [{**good, "config": json.dumps({**TINY, "iterations": -1})}] + [good] * 10
        pq.write_table(pa.Table.from_pylist(rows), inputs / "parts" / f"{name}.parquet", row_group_size=8)
    found = planned(str(inputs / "parts"))
    assert (found.rows, found.counts.runs, found.duplicates) == (42, 1, 39)
    assert [line.partition(":")[0] for line in found.bad.shown] == [
        f"{inputs}/parts/{name}.parquet, row 10" for name in ("a", "b")
    ]


def test_a_plan_agrees_with_the_job_and_touches_nothing(finished_job):
    before = tree(finished_job)
    found = planned(str(finished_job / "manifest.parquet"), output=str(finished_job / "output"))
    assert tree(finished_job) == before
    job = json.loads((finished_job / "output" / "job.json").read_text())
    assert (found.rows, found.counts.runs) == (job["rows"], job["runs"])
    assert (found.duplicates, found.bad.count) == (1, 1)
    assert found.counts.finished == found.counts.runs == len(list((finished_job / "output" / "runs").iterdir()))
    assert sum(entry.batches for entry in found.counts.buckets) == 0 and not found.counts.to_compute


def test_what_is_not_finished_is_planned(finished_job, small_output):
    marker = min((small_output / "runs").iterdir())
    marker.unlink()
    (small_output / "runs" / "not-a-run.json").touch()
    found = planned(str(finished_job / "manifest.parquet"), output=str(small_output))
    assert (found.counts.finished, found.counts.runs) == (3, 4)
    assert [entry.to_compute for entry in found.counts.buckets] == [1]


def test_an_output_directory_that_cannot_be_is_a_usage_error(inputs, capsys):
    manifest = write_manifest(inputs / "m.parquet", [GOOD])
    (inputs / "file").touch()
    for output in (inputs / "file", inputs / "file" / "below"):
        assert main(["plan", "--manifest", manifest, "--output", str(output)]) == 2
        assert f"{inputs}/file: not a directory" in capsys.readouterr().err


def test_an_output_directory_that_is_not_there_yet_has_nothing_finished(inputs):
    manifest = write_manifest(inputs / "m.parquet", [GOOD])
    found = planned(manifest, output=str(inputs / "new"))
    assert found.counts.finished == 0
    assert not (inputs / "new").exists()


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("a download")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("STYLEBEAM_WEIGHTS_DIR", raising=False)
    for name in DOWNLOADS:
        monkeypatch.setitem(DOWNLOADS, name, refuse)


def test_without_weights_duplicates_still_count_and_nothing_is_downloaded(inputs, no_weights):
    imagenet = {**TINY, "weights": "imagenet"}
    rows = [{**GOOD, "config": imagenet}] * 2 + [{**GOOD, "config": {**imagenet, "backbone": "vgg16"}}, GOOD]
    found = planned(write_manifest(inputs / "m.parquet", rows), output=str(inputs / "out"))
    assert (found.counts.runs, found.duplicates, found.counts.unidentified) == (3, 1, 2)
    assert found.unknown_weights == (("vgg16", "imagenet"), ("vgg19", "imagenet"))
    assert "already finished in" in printed(found) and "not known of 2" in printed(found)
    assert "weights imagenet of vgg16 are not on this machine" in printed(found)
    assert not (inputs / "cache").exists()


def test_weights_in_a_directory_are_known(inputs, no_weights, monkeypatch):
    save_weights(random_network("vgg19", 1), inputs / "weights" / "vgg19.weights.h5")
    rows = [{**GOOD, "config": {**TINY, "weights": "imagenet"}}, {**GOOD, "config": TINY}]
    manifest = write_manifest(inputs / "m.parquet", rows)
    found = planned(manifest, weights_dir=str(inputs / "weights"))
    # The same numbers under two names are the same work.
    assert (found.unknown_weights, found.counts.runs, found.duplicates) == ((), 1, 1)
    monkeypatch.setenv("STYLEBEAM_WEIGHTS_DIR", str(inputs / "weights"))
    assert planned(manifest).unknown_weights == ()


def test_weights_named_by_a_path_must_be_there(inputs, capsys):
    rows = [{**GOOD, "config": {**TINY, "weights": "mine.h5"}}]
    assert main(["plan", "--manifest", write_manifest(inputs / "m.parquet", rows)]) == 2
    assert f"{inputs}/mine.h5: no such weights file" in capsys.readouterr().err


def fake_runs(count, seed):
    """Runs of three sizes and several lengths."""
    random = np.random.default_rng(seed)
    for index in range(count):
        config = StyleConfig.from_dict({**TINY, "iterations": int(random.choice([5, 50, 4000, 9000]))})
        row = ManifestRow(index, f"m, row {index}", f"row-{index}", "c", "c", (), config, None)
        side = int(random.choice([64, 200, 512]))
        content, style = (f"{number:04x}" for number in random.integers(2**16, size=2))
        yield Run(f"{random.integers(2**63):016x}", row, content, (style,), "w" * 64, side, side)


@pytest.mark.parametrize("seed", range(3))
def test_batches_are_counted_as_the_job_makes_them(seed, monkeypatch):
    monkeypatch.setattr(deal, "RUNS_PER_SHARD", 16)
    counter, runs = RunCounter(lambda _: True), list(fake_runs(400, seed))
    finished = {run.run_id for run in runs[:50]}
    ids = np.array([int(run.run_id, 16) for run in runs], np.uint64)
    places = np.array([place_of(run) for run in runs])
    groups = np.array([counter.number(run, batch_size_of(run, BatchLimits()), UNLIMITED) for run in runs])
    counter.add(ids, places, groups)
    counts = counter.counts(np.array([int(run_id, 16) for run_id in finished], np.uint64))
    assert counts.finished == 50 and sum(entry.to_compute for entry in counts.buckets) == 350

    def check(elements):
        made = Counter(batch.runs[0].bucket for group in elements for batch in group)
        assert {entry.bucket: entry.batches for entry in counts.buckets} == made

    with TestPipeline() as pipeline:
        todo = [run for run in runs if run.run_id not in finished]
        assert_that(pipeline | beam.Create(todo) | BatchRuns(BatchLimits()), check)


@pytest.mark.parametrize("finished", [0, 100_000])
def test_a_row_costs_less_than_64_bytes(finished):
    rows, rows_per_batch = 100_000, 1_000
    (run,) = fake_runs(1, 0)
    ids = np.random.default_rng(1).integers(2**63, size=rows, dtype=np.uint64)
    tracemalloc.start()
    try:
        counter = RunCounter(lambda _: True)
        for first in range(0, rows, rows_per_batch):
            some = ids[first : first + rows_per_batch]
            counter.add(some, some >> np.uint64(31), np.full(rows_per_batch, counter.number(run, 4, UNLIMITED)))
        counts = counter.counts(ids[:finished])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (counts.runs, counts.finished) == (rows, finished)
    assert peak_bytes < 64 * rows


def test_no_valid_row_is_no_error(inputs):
    found = planned(write_manifest(inputs / "m.parquet", [{**GOOD, "content": "missing.png"}]))
    assert (found.counts.runs, found.counts.buckets, found.bad.count) == (0, (), 1)
    assert "to compute: 0 runs in 0 batches" in printed(found)


def test_it_prints_no_bar_where_there_is_no_terminal(inputs, capfd):
    assert main(["plan", "--manifest", write_manifest(inputs / "m.parquet", [GOOD])]) == 0
    assert capfd.readouterr().err == ""


def test_the_memory_of_the_device_bounds_the_batches_of_a_plan_as_of_a_run(inputs, capsys):
    rows = [{**GOOD, "config": {**TINY, "seed": seed}} for seed in range(12)]
    manifest = write_manifest(inputs / "m.parquet", rows)
    sizes = {}
    for gigabytes in ("0.01", "0.02", "100"):
        options = ["--manifest", manifest, "--device_memory_gb", gigabytes]
        run_limits = batch_limits(PipelineOptions(options[2:]))
        (bucket,) = planned(manifest, device_memory_gb=float(gigabytes)).counts.buckets
        cost = evaluation_cost(bucket.bucket.kind, 36, 48)
        assert run_limits.room.memory_bytes == float(gigabytes) * 1e9
        assert bucket.batch_size == max(1, min(64, int(run_limits.room.memory_bytes * MEMORY_SHARE / cost.bytes_held)))
        sizes[gigabytes] = bucket.batch_size
        assert main(["plan", *options]) == 0
        assert f"12 runs in {-(-12 // bucket.batch_size)} batch" in capsys.readouterr().out
    assert 1 <= sizes["0.01"] < sizes["0.02"] < sizes["100"]


def test_it_says_which_sizes_are_computed_in_tiles_and_what_that_costs(inputs, capsys):
    manifest = write_manifest(inputs / "m.parquet", [{**GOOD, "config": TINY}])
    for gigabytes, how in (("0.005", "layers up to block1_pool computed twice, about 1."), ("1", None)):
        assert main(["plan", "--manifest", manifest, "--device_memory_gb", gigabytes]) == 0
        printed = capsys.readouterr().out
        assert f"  36 x 48: {how}" in printed if how else "layers" not in printed


def test_a_history_that_does_not_fit_comes_with_proposals(inputs, capsys):
    config = {**TINY, "optimizer": "lbfgs", "history_size": 100}
    manifest = write_manifest(inputs / "m.parquet", [{**GOOD, "config": config}])
    assert main(["plan", "--manifest", manifest, "--device_memory_gb", "0.01"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "will fail" in line)
    assert line.startswith("  36 x 48: will fail: image_size must be smaller: 48x36 pixels need about 0.0 GiB")
    assert "history_size " in line and line.endswith("or optimizer: adam would fit")


def test_styles_that_do_not_fit_are_named_once_for_each_size(inputs, capsys):
    styles = [[{"uri": name, "scale": scale}] for name in ("style_a.png", "style_b.png") for scale in (8.0, 1.0)]
    rows = [{**GOOD, "style": style, "config": {**TINY, "style_fit": "keep"}} for style in [*styles, *styles]]
    manifest = write_manifest(inputs / "m.parquet", rows)
    for gigabytes, sizes in (("0.01", ["384x384", "384x274"]), ("1", [])):
        assert main(["plan", "--manifest", manifest, "--device_memory_gb", gigabytes]) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if "will fail" in line]
        assert [line.split(" pixels")[0] for line in lines] == [
            f"  will fail: style scale must be smaller: {size}" for size in sizes
        ]


def test_tiles_that_are_too_small_are_refused(inputs, capsys):
    manifest = write_manifest(inputs / "m.parquet", [GOOD])
    with pytest.raises(SystemExit) as stop:
        main(["plan", "--manifest", manifest, "--tile_px", "32"])
    assert stop.value.code == 2
    assert "--tile_px: must be >= 56, the receptive field in pixels of the layers in tiles, got 32" in (
        capsys.readouterr().err
    )
    assert main(["plan", "--manifest", manifest, "--tile_px", "64"]) == 0
