"""Runs that are stopped or killed: saved, taken up again to the same bytes, and found out if they kill."""

import contextlib
import logging
import shutil
import threading
from typing import Any

import pytest

from stylecore.run.snapshot import read_snapshot
from tests.support.inputs import TINY, write_manifest
from tests.support.jobs import run
from tests.support.processes import Process
from tests.support.stylizing import (
    DIVERGING,
    OFTEN,
    SAME_BYTES,
    Watch,
    begun,
    left_in_the_middle,
    names,
    picture_bytes,
    started,
    stylize,
)
from transforms.output import storage
from transforms.stylize import progress, stopping
from transforms.stylize.loading import load_problem

# --- saved and taken up again ---


def test_running_pictures_are_saved_again_and_again_until_they_are_done(runs, output):
    made = [runs(seed=seed, iterations=16) for seed in (1, 2)]
    seen = []
    with progress.listening(Watch(lambda _: seen.append(names(output, "checkpoints")))):
        stylize(output, made, **OFTEN)
    # They are written beside the computation; at the first report there is none.
    assert seen[0] == [] and sorted(f"{run.run_id}.npz" for run in made) in seen
    assert names(output, "checkpoints") == []


def test_the_computation_goes_on_while_checkpoints_are_written_and_a_commit_waits_for_them(runs, output, monkeypatch):
    """The first checkpoint is not written before the last iteration is reported."""
    one = runs(iterations=24)
    write, reached_end, saved = storage.write, threading.Event(), []

    def slow(uri, *arguments):
        if "/checkpoints/" in uri:
            saved.append(reached_end.wait(60))
        return write(uri, *arguments)

    monkeypatch.setattr(storage, "write", slow)
    with progress.listening(Watch(lambda iteration: reached_end.set() if iteration == 24 else None)):
        stylize(output, [one], **OFTEN)
    assert saved == [True] and names(output, "checkpoints") == []


def test_a_stop_waits_for_the_checkpoint_in_flight_and_saves_the_last_state(runs, output, monkeypatch):
    one = runs(iterations=1_000_000)
    write, reached, sizes = storage.write, threading.Event(), []

    def slow(uri, data, *arguments):
        if "/checkpoints/" in uri:
            assert reached.wait(60)
            sizes.append(len(data))
        return write(uri, data, *arguments)

    monkeypatch.setattr(storage, "write", slow)
    with progress.listening(Watch(lambda iteration: reached.set() if iteration >= 12 else None)):
        left_in_the_middle(output, [one], iteration=12, **OFTEN)
    assert len(sizes) == 2
    data = storage.read_bytes(output.checkpoint(one.run_id))
    assert read_snapshot(data, load_problem(one)).iterations >= 12


def test_nothing_is_saved_before_it_is_time(runs, output):
    stylize(output, [runs(iterations=16)], checkpoint_secs=3600)
    assert not storage.exists(storage.join(output.root, "checkpoints"))


TWO_HALVES = [
    {"uri": "style_a.png", "content_mask": "left.png"},
    {"uri": "style_b.png", "content_mask": "right.png", "style_mask": "left.png"},
]
STOPPED: dict[str, dict[str, Any]] = {
    "adam": {},
    "lbfgs": {"optimizer": "lbfgs"},
    "masks": {"style": TWO_HALVES},
    "initial": {"init": "image", "initial": "tall.png", "noise_blend": 0.5},
}


@pytest.mark.parametrize("settings", STOPPED.values(), ids=STOPPED)
def test_a_stopped_run_goes_on_in_another_batch_to_the_same_bytes(inputs, runs, output, caplog, settings):
    made = [runs(seed=seed, iterations=24, **settings) for seed in (1, 2)]
    undisturbed = begun(inputs / "undisturbed")
    shutil.copytree(inputs / "out" / "weights", inputs / "undisturbed" / "weights")
    stylize(undisturbed, made, **SAME_BYTES)
    left_in_the_middle(output, made, **SAME_BYTES)
    assert names(output, "images") == [] and len(names(output, "checkpoints")) == 2
    with caplog.at_level(logging.INFO, logger="transforms.stylize.stylize_runs"):
        stylize(output, made[1:], [made[0], runs(seed=3, iterations=24, **settings)], **SAME_BYTES)
    assert all(started(caplog)[one.run_id] >= 10 for one in made)
    assert [picture_bytes(output, one) for one in made] == [picture_bytes(undisturbed, one) for one in made]
    assert names(output, "checkpoints") == []


def test_a_run_that_is_done_when_somebody_stops_is_kept(runs, output):
    """Both end in the very call after which the stop is noticed."""
    made = [runs(seed=seed, iterations=3) for seed in (1, 2)]
    left_in_the_middle(output, made, iteration=3, **OFTEN)
    assert names(output, "runs") == sorted(f"{one.run_id}.json" for one in made)
    assert names(output, "checkpoints") == []


def test_who_is_done_is_committed_and_who_is_not_is_saved(runs, output):
    short, long = runs(iterations=2), runs(iterations=1_000_000)
    left_in_the_middle(output, [short, long], iteration=8)
    assert names(output, "runs") == [f"{short.run_id}.json"]
    assert names(output, "checkpoints") == [f"{long.run_id}.npz"]


def garbage(path, other):
    path.write_bytes(b"PK\3\4 but no archive")


def cut(path, other):
    path.write_bytes(path.read_bytes()[:-200])


def empty(path, other):
    path.write_bytes(b"")


def of_another_configuration(path, other):
    shutil.copy(other, path)


@pytest.mark.parametrize("damage", [garbage, cut, empty, of_another_configuration])
def test_a_checkpoint_that_cannot_be_used_is_ignored_and_said(inputs, runs, output, caplog, damage):
    one, other = runs(iterations=12), runs(iterations=12, optimizer="lbfgs", init="content")
    for single in (one, other):
        left_in_the_middle(output, [single], iteration=5)
    damage(inputs / "out" / f"checkpoints/{one.run_id}.npz", inputs / "out" / f"checkpoints/{other.run_id}.npz")
    with caplog.at_level(logging.INFO, logger="transforms"):
        (outcome,) = stylize(output, [one]).values()
    assert started(caplog) == {one.run_id: 0}
    assert f"{one.run_id}: begins anew" in caplog.text
    assert outcome.iterations == 12


KILLED = """
import sys
from pipeline.run import run
from stylecore.run.engine import Engine

advance = Engine.advance
Engine.advance = lambda engine, state, constants, evaluations: advance(engine, state, constants, min(4, evaluations))
run(sys.argv[1:])
"""


def test_a_job_killed_after_its_second_checkpoint_ends_with_the_same_bytes(inputs, caplog):
    rows = [
        {"content": "content.png", "style": style, "config": {**TINY, "iterations": 60}}
        for style in ("style_a.png", "style_b.png")
    ]
    options = ["--manifest", write_manifest(inputs / "m.parquet", rows), "--deterministic", "--batch_size=2"]
    killed = [*options, "--output", str(inputs / "killed")]
    job = Process(KILLED, *killed, "--checkpoint_secs=0.001")
    versions: set[tuple[str, int]] = set()
    while len(versions) < 4 and job.poll() is None:  # Two runs, two of each.
        for path in (inputs / "killed").glob("checkpoints/*.npz"):
            with contextlib.suppress(FileNotFoundError):
                versions.add((path.name, path.stat().st_mtime_ns))
    job.kill()
    assert job.wait() == -9
    with caplog.at_level(logging.INFO, logger="transforms.stylize.stylize_runs"):
        assert run(killed).computed == 2
    assert min(started(caplog).values()) > 0
    run([*options, "--output", str(inputs / "undisturbed")])
    pictures = {path.name: path.read_bytes() for path in (inputs / "killed" / "images").iterdir()}
    assert pictures == {path.name: path.read_bytes() for path in (inputs / "undisturbed" / "images").iterdir()}
    assert len(pictures) == 2


# --- a run that kills its process ---


def killed_in_the_middle(output, made):
    """Computes runs until one has made a few iterations; leaves what a process leaves that is killed then."""
    directory = storage.join(output.root, "attempts")
    attempts: dict[str, bytes] = {}

    def as_if_killed(iteration):
        if iteration >= 4:
            attempts.clear()
            attempts.update(
                {name: storage.read_bytes(storage.join(directory, name)) for name in names(output, "attempts")}
            )
            stopping.request()

    try:
        with progress.listening(Watch(as_if_killed)), pytest.raises(stopping.StoppedError):
            stylize(output, made)
    finally:
        stopping._requested.clear()
    assert attempts
    for name, data in attempts.items():
        storage.write(storage.join(directory, name), data, "application/json")


def test_runs_whose_process_is_killed_twice_are_computed_alone_and_done(runs, output, caplog):
    made = [runs(seed=seed, iterations=12) for seed in range(3)]
    for _ in range(2):
        killed_in_the_middle(output, made)
    caplog.clear()
    outcomes = stylize(output, made)
    assert all(outcome.status == "done" for outcome in outcomes.values())
    assert caplog.text.count("computed alone") == 3
    assert names(output, "attempts") == [] and names(output, "failures") == []


def test_a_run_whose_process_dies_twice_while_it_computes_alone_fails_alone(runs, output):
    """`make faults` shows it with processes that are killed."""
    made = [runs(seed=seed, iterations=40) for seed in range(3)]
    for _ in range(3):
        killed_in_the_middle(output, made)
    outcomes = stylize(output, made)
    assert outcomes[made[0].run_id].error_type == "ProcessDiedError"
    assert [outcomes[one.run_id].status for one in made[1:]] == ["done"] * 2


def test_neither_a_stop_nor_an_error_makes_suspects(inputs, runs, output, caplog):
    left_in_the_middle(output, [runs(iterations=24)])
    stylize(output, [runs(**DIVERGING), runs(seed=3)])
    assert names(output, "attempts") == []
