"""StylizeRuns: out of time, diverging, without memory, disk or images: one run, one fate."""

import dataclasses
import io
import json
import logging
import shutil
import time
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from stylecore.images.codec import decode_image
from stylecore.planning.costs import evaluation_cost, targets_bytes_held
from stylecore.planning.room import Room, target_tiles_of, tiles_of
from stylecore.run.engine import Engine
from tests.support.disks import full_disk
from tests.support.pictures import paint
from tests.support.stylizing import (
    DIVERGING,
    OFTEN,
    SAME_BYTES,
    Watch,
    begun,
    left_in_the_middle,
    marker,
    names,
    picture_bytes,
    started,
    stylize,
)
from transforms.output import storage
from transforms.records import Reason
from transforms.stylize import progress

AT_ONCE = {"run_timeout_secs": 1e-9}

NO_ROOM = Room(1)


# --- frames ---


def frame_names(output, run):
    return sorted(int(name.removesuffix(".webp")) for name in names(output, f"frames/{run.run_id}"))


def test_frames_are_stored_before_the_marker_and_named_in_record_and_picture(inputs, runs, output):
    one, coarse = runs(iterations=24), runs(iterations=24, pyramid=[(0.5, 0.5), (1.0, 0.5)])
    outcomes = stylize(output, [one], [coarse], frames=4)
    for made in (one, coarse):
        assert outcomes[made.run_id].frames == marker(output, made)["frames"] == frame_names(output, made)
        assert frame_names(output, made) == [0, 6, 12, 18]
        shapes = {Image.open(path).size for path in (inputs / "out" / "frames" / made.run_id).iterdir()}
        assert shapes == {Image.open(inputs / "out" / "thumbs" / f"{made.run_id}.webp").size}


def test_frames_that_nobody_wants_are_neither_made_nor_recorded(runs, output):
    (record,) = stylize(output, [runs()]).values()
    assert record.frames is None and not storage.exists(storage.join(output.root, "frames"))


def test_frames_from_before_a_stop_are_kept_and_counted(runs, output):
    one = runs(iterations=24)
    left_in_the_middle(output, [one], iteration=10, frames=8)
    before = frame_names(output, one)
    storage.write(output.frame(one.run_id, 23), b"of an attempt that was lost", "image/webp")
    (record,) = stylize(output, [one], frames=8).values()
    assert before[:4] == [0, 3, 6, 9] and record.frames == [0, 3, 6, 9, 12, 15, 18, 21]


def test_a_frame_that_cannot_be_written_is_left_out_and_its_run_is_done(inputs, runs, output, caplog):
    (inputs / "out" / "frames").write_text("in the way")
    (record,) = stylize(output, [runs()], frames=2).values()
    assert (record.status, record.frames) == ("done", [])
    assert "no frame: " in caplog.text


# --- limits and failures of single runs ---


def test_a_run_out_of_time_fails_and_goes_on_when_it_is_taken_up_again(inputs, runs, output):
    one = runs(iterations=8)
    reached = []
    for _ in range(3):
        (reason,) = stylize(output, [one], **AT_ONCE, **SAME_BYTES).values()
        assert reason.error_type == "DeadlineError"
        reached.append(int(reason.error_message.partition("at iteration ")[2].partition(" of 8")[0]))
        failure = json.loads(storage.read_bytes(output.failure(one.run_id)))
        assert failure["error_message"] == reason.error_message
        assert Image.open(inputs / "out" / "partial" / f"{one.run_id}.png").size == (48, 36)
    assert reached == [0, 1, 2]
    (record,) = stylize(output, [one], **SAME_BYTES).values()
    assert (record.status, record.iterations) == ("done", 8)
    assert [names(output, folder) for folder in ("failures", "partial", "checkpoints")] == [[], [], []]


@pytest.mark.parametrize(("settings", "has_picture"), [(DIVERGING, True), ({"content_weight": 3e38}, False)])
def test_a_diverging_run_fails_alone(inputs, runs, output, settings, has_picture):
    healthy = [runs(seed=seed) for seed in (1, 2)]
    alone = begun(inputs / "alone")
    shutil.copytree(inputs / "out" / "weights", inputs / "alone" / "weights")
    stylize(alone, [*healthy, runs(seed=3)], **SAME_BYTES)
    culprit = runs(**settings)
    outcomes = stylize(output, [healthy[0], culprit, healthy[1]], **SAME_BYTES)
    assert {run_id for run_id, outcome in outcomes.items() if isinstance(outcome, Reason)} == {culprit.run_id}
    assert "not finite at iteration" in outcomes[culprit.run_id].error_message
    assert [picture_bytes(output, one) for one in healthy] == [picture_bytes(alone, one) for one in healthy]
    assert names(output, "partial") == ([f"{culprit.run_id}.png"] if has_picture else [])


def test_a_batch_without_memory_is_done_in_parts(runs, output, monkeypatch):
    sizes, advance = [], Engine.advance

    def small(engine, state, batch, evaluations):
        sizes.append(len(state.status))
        if len(state.status) > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "provoked")
        return advance(engine, state, batch, evaluations)

    monkeypatch.setattr(Engine, "advance", small)
    made = [runs("tall.png", seed=seed) for seed in range(5)]
    outcomes = stylize(output, made)
    assert all(outcome.status == "done" for outcome in outcomes.values())
    assert sizes[:2] == [5, 5] and max(sizes[2:]) == 2


def test_no_result_is_lost_if_there_is_no_memory_to_measure_the_next(runs, output, monkeypatch):
    """Of pictures that end together the first is measured; then memory fails once."""
    calls, measure = [], Engine.measure

    def failing_once(engine, *arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise tf.errors.ResourceExhaustedError(None, None, "provoked")
        return measure(engine, *arguments)

    monkeypatch.setattr(Engine, "measure", failing_once)
    made = [runs("style_b.png", seed=seed) for seed in range(3)]
    outcomes = stylize(output, made)
    assert [outcomes[one.run_id].iterations for one in made] == [5, 5, 5]


def least_held(run):
    """Returns the memory of a picture that is computed with as little as possible."""
    kind = run.bucket.kind
    tiles = tiles_of(kind, run.height, run.width, 0, NO_ROOM)
    return evaluation_cost(kind, run.height, run.width, tiles=tiles).bytes_held


def test_a_picture_larger_than_the_memory_fails_with_its_reason(runs, output):
    small, large = runs(image_size=32), runs(image_size=64)
    needed = [least_held(one) for one in (small, large)]
    outcomes = stylize(output, [large], [small], room=Room(sum(needed) // 2))
    assert outcomes[small.run_id].status == "done"
    assert outcomes[large.run_id].error_type == "OutOfMemoryError"
    assert "image_size must be smaller: 64x48 pixels need" in outcomes[large.run_id].error_message


OWN_SCALE = [{"uri": "style_a.png", "scale": 6.0}]


@pytest.mark.parametrize(
    ("field", "settings"), [("style_scale", {"style_scale": 6.0}), ("style scale", {"style": OWN_SCALE})]
)
def test_a_style_larger_than_the_memory_fails_its_run_alone(runs, output, field, settings):
    plain, large = runs(), runs(style_fit="keep", **settings)
    kind, side = large.bucket.kind, 6 * 48
    needed = targets_bytes_held(kind, side, side, tiles=target_tiles_of(kind, side, side, NO_ROOM))
    assert needed > 2 * evaluation_cost(plain.bucket.kind, plain.height, plain.width).bytes_held
    outcomes = stylize(output, [large, plain], room=Room(needed - 1))
    assert outcomes[plain.run_id].status == "done"
    assert outcomes[large.run_id].error_type == "OutOfMemoryError"
    assert f"{field} must be smaller: 288x288 pixels need" in outcomes[large.run_id].error_message
    assert stylize(output, [large], room=Room(needed))[large.run_id].status == "done"


def vanishes(path):
    path.unlink()


def changes(path):
    path.write_bytes(path.read_bytes() + b" ")


def breaks(path):
    path.write_bytes(path.read_bytes()[:100])


USED_AS: dict[str, dict[str, Any]] = {
    "style": {"style": "mine.png"},
    "mask": {"style": [{"uri": "style_a.png", "content_mask": "left.png", "style_mask": "mine.png"}]},
    "initial": {"init": "image", "initial": "mine.png"},
}


@pytest.mark.parametrize("used_as", USED_AS)
@pytest.mark.parametrize(
    ("number", "fault", "error_type"),
    [(1, vanishes, "NotFoundError"), (2, changes, "ChangedError"), (3, breaks, "ChangedError")],
)
def test_an_image_that_is_not_what_was_probed_fails_its_run_alone(
    inputs, runs, output, number, fault, error_type, used_as
):
    # A picture of its own, so that no cache of this process has it.
    paint(inputs / "mine.png", 48, 64, seed=1000 + 10 * number + list(USED_AS).index(used_as))
    made = [runs(seed=1), runs(**USED_AS[used_as]), runs(seed=2)]
    fault(inputs / "mine.png")
    outcomes = stylize(output, made)
    assert outcomes[made[1].run_id].error_type == error_type
    assert "mine.png" in outcomes[made[1].run_id].error_message
    assert [outcomes[made[index].run_id].status for index in (0, 2)] == ["done", "done"]


def test_weights_that_are_gone_end_the_job_and_fail_no_run(runs, output):
    one = dataclasses.replace(runs(), weights_sha256="0" * 64)  # No engine of this process has them.
    with pytest.raises(Exception, match=r"weights\.h5: (not found|no such)"):
        stylize(output, [one])
    assert names(output, "failures") == []


# --- commits ---


def test_pictures_are_committed_while_others_compute(runs, output):
    short, long = runs(iterations=1), runs(iterations=30)
    seen = []

    def wait_for_the_short_one(iteration):
        deadline = time.monotonic() + 60
        while iteration >= 5 and not storage.exists(output.marker(short.run_id)) and time.monotonic() < deadline:
            time.sleep(0.01)
        seen.append((iteration, storage.exists(output.marker(short.run_id))))

    with progress.listening(Watch(wait_for_the_short_one)):
        stylize(output, [short, long])
    assert all(is_there for iteration, is_there in seen if 5 <= iteration < 30)


def test_a_bundle_that_is_retried_computes_nothing_again(runs, output, caplog):
    made = [runs(seed=seed) for seed in (1, 2)]
    first = stylize(output, made)
    before = [picture_bytes(output, one) for one in made]
    with caplog.at_level(logging.INFO, logger="transforms.stylize.stylize_runs"):
        assert stylize(output, made) == first
    assert started(caplog) == {}
    assert [picture_bytes(output, one) for one in made] == before


@pytest.mark.parametrize("deterministic", [False, True])
def test_seconds_are_in_the_marker_and_not_in_a_picture_that_must_have_the_same_bytes(runs, output, deterministic):
    one = runs()
    (record,) = stylize(output, [one], deterministic=deterministic).values()
    carried = json.loads(Image.open(io.BytesIO(picture_bytes(output, one))).text["stylebeam"])  # type: ignore[attr-defined]
    assert marker(output, one) == record.to_dict() and record.seconds > 0
    assert carried["seconds"] == (None if deterministic else record.seconds)
    assert record.measure_ssim is not None and record.measure_palette is not None
    for name in ("measure_ssim", "measure_palette"):
        assert carried[name] == (None if deterministic else getattr(record, name))


def test_pictures_are_not_measured_where_nobody_asks(runs, output):
    (record,) = stylize(output, [runs()], measures=False).values()
    assert record.measure_ssim is None and record.measure_palette is None


@pytest.mark.parametrize("folder", ["images", "thumbs", "runs"])
def test_a_full_disk_ends_the_bundle_and_a_rerun_completes_it(inputs, runs, output, monkeypatch, caplog, folder):
    made = [runs(seed=seed) for seed in range(3)]
    with monkeypatch.context() as patch:
        full_disk(patch, folder, after=1)
        with pytest.raises(storage.StorageError, match=f"{folder}/.*: cannot write it: .*No space left on device"):
            stylize(output, made[:1], made[1:], **SAME_BYTES)
    assert not list((inputs / "out").rglob(".part-*"))
    for name in names(output, "images"):
        decode_image(storage.read_bytes(storage.join(output.root, "images", name)))
    kept = {name: (inputs / "out" / "images" / name).stat().st_mtime_ns for name in names(output, "images")}
    with caplog.at_level(logging.INFO, logger="transforms.stylize.stylize_runs"):
        outcomes = stylize(output, made, **SAME_BYTES)
    assert all(outcome.status == "done" and outcome.seconds > 0 for outcome in outcomes.values())
    assert started(caplog).keys() == {one.run_id for one in made} - {name.partition(".")[0] for name in kept}
    for name, written in kept.items():
        assert (inputs / "out" / "images" / name).stat().st_mtime_ns == written
    assert names(output, "checkpoints") == []


def test_no_room_for_checkpoints_is_no_reason_to_stop(runs, output, monkeypatch, caplog):
    write = storage.write

    def without_room(uri, *arguments):
        if "/checkpoints/" in uri:
            raise storage.StorageError(f"{uri}: cannot write it: No space left on device")
        return write(uri, *arguments)

    monkeypatch.setattr(storage, "write", without_room)
    (record,) = stylize(output, [runs(iterations=12)], **OFTEN).values()
    assert record.status == "done"
    assert "no checkpoint: " in caplog.text and "No space left on device" in caplog.text


def test_an_output_directory_that_vanished_is_not_made_anew(inputs, runs, output):
    first, second = runs(iterations=1), runs(iterations=12)

    def vanish(iteration):
        while iteration >= 8 and not (inputs / "away").exists():  # Until the first one is committed.
            if names(output, "runs"):
                (inputs / "out").rename(inputs / "away")
            time.sleep(0.01)

    with (
        progress.listening(Watch(vanish)),
        pytest.raises(storage.StorageError, match="out: the output directory has vanished"),
    ):
        stylize(output, [first, second])
    assert not (inputs / "out" / "images").exists()
    assert len(list((inputs / "away" / "images").iterdir())) == 1


def test_histories_go_on_where_they_were_left(runs, output):
    one = runs(iterations=24)
    left_in_the_middle(output, [one])
    (record,) = stylize(output, [one]).values()
    assert [entry["iteration"] for entry in record.history] == list(range(25))
    assert np.isfinite([entry["total"] for entry in record.history]).all()
