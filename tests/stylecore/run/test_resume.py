"""What a batch goes through on the way: stages, restarts from snapshots, deadlines, memory that is not enough."""

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.images.resize import resize
from stylecore.networks.weights.sources import random_network
from stylecore.planning.buckets import step_kind
from stylecore.run import loop
from stylecore.run.engine import Engine
from stylecore.run.problem import prepare
from stylecore.run.result import (
    DeadlineError,
    DeviceError,
    Frame,
    OutOfMemoryError,
    Progress,
    frame_iterations,
    history_stride,
)
from stylecore.run.snapshot import SnapshotError, read_snapshot
from tests.support import small_problems
from tests.support.pictures import gradient
from tests.support.small_problems import SHALLOW, bits, problem, relative

ADAM: dict[str, Any] = {}
LBFGS = {"optimizer": "lbfgs", "history_size": 4}
COARSE = {"pyramid": ((0.5, 0.25), (0.75, 0.25), (1.0, 0.5))}

# Small problems would be done within one or two calls into TensorFlow.
Optimization = functools.partial(loop.Optimization, max_evaluations=4)
run = functools.partial(small_problems.run, max_evaluations=4)


@functools.cache
def network():
    return random_network("vgg19", 0)


def new_engine(optimizer="adam", pooling="max", **options):
    config = StyleConfig(**SHALLOW, optimizer=optimizer, pooling=pooling)
    return Engine(step_kind(config, "0"), network(), **options)


@pytest.fixture(scope="module")
def engines():
    return {name: new_engine(name) for name in ("adam", "lbfgs")}


def snapshots_when(optimization, stop):
    """Advances until `stop(progress)`; returns the snapshots of the runs that are not done by then."""
    done: set[int] = set()
    for event in optimization.events():
        if isinstance(event, Progress):
            if stop(event):
                return {index: optimization.snapshot(index) for index in set(range(len(event.iterations))) - done}
        else:
            done.add(event[0])
    raise AssertionError("over before it was to stop")


@pytest.fixture(scope="module")
def undisturbed_bits(engines):
    """Makes the bits of three problems' results, once for each choice of settings."""
    known: dict[str, list[Any]] = {}

    def made(settings, problems):
        if repr(settings) not in known:
            results = run(engines[settings.get("optimizer", "adam")], problems, batch_size=3)
            known[repr(settings)] = [bits(result) for result in results]
        return known[repr(settings)]

    return made


@pytest.mark.parametrize("optimizer", [ADAM, LBFGS], ids=["adam", "lbfgs"])
@pytest.mark.parametrize("pyramid", [{}, COARSE], ids=["one size", "coarse to fine"])
@pytest.mark.parametrize("after", [0, 5, 9, 17])
def test_a_run_goes_on_from_its_snapshot_to_the_same_bits_in_any_batch(
    engines, undisturbed_bits, optimizer, pyramid, after
):
    settings = {**optimizer, **pyramid, "iterations": 24, "early_stop_window": 18, "early_stop_tolerance": 0.0}
    engine = engines[settings.get("optimizer", "adam")]
    problems = [problem(seed, **settings, seed=seed) for seed in range(3)]
    undisturbed = undisturbed_bits(settings, problems)
    left = snapshots_when(
        Optimization(engine, problems, batch_size=3), lambda progress: progress.iterations.max() >= after
    )
    for snapshot in left.values():
        assert after <= int(snapshot.state.iteration) + snapshot.steps_before <= after + 5
    stored = {index: read_snapshot(snapshot.to_bytes(), problems[index]) for index, snapshot in left.items()}
    # Taken up again in other company, at another place, one of them from the beginning.
    order = [2, 0]
    resumed = Optimization(
        engine,
        [problems[index] for index in order],
        batch_size=3,
        snapshots={place: stored[index] for place, index in enumerate(order) if index != 2},
    )
    results = dict(events_of(resumed, tuple))
    assert [bits(results[place]) for place in range(2)] == [undisturbed[index] for index in order]


def events_of(optimization, kind):
    return [event for event in optimization.events() if isinstance(event, kind)]


@pytest.mark.parametrize("optimizer", [ADAM, LBFGS], ids=["adam", "lbfgs"])
@pytest.mark.parametrize("pyramid", [{}, COARSE], ids=["one size", "coarse to fine"])
def test_frames_show_the_iterates_that_shorter_runs_deliver(engines, optimizer, pyramid):
    """Every frame is what a run with so many iterations ends with; frames change no bit of a result."""
    settings = {**optimizer, **pyramid, "iterations": 24}
    engine = engines[settings.get("optimizer", "adam")]
    problems = [problem(seed, **settings, seed=seed) for seed in range(2)]
    events = list(Optimization(engine, problems, frames=4).events())
    frames = [event for event in events if isinstance(event, Frame)]
    for index in range(2):
        assert [frame.iteration for frame in frames if frame.index == index] == [0, 6, 12, 18]
    results = dict(event for event in events if isinstance(event, tuple))
    assert [bits(results[index]) for index in range(2)] == [bits(result) for result in run(engine, problems)]
    if pyramid:
        assert [frame.image.shape for frame in frames[::2]] == [(20, 16, 3), (20, 16, 3), (30, 24, 3), (40, 32, 3)]
        return
    for iteration in (6, 12, 18):
        shorter = [problem(seed, **{**settings, "iterations": iteration}, seed=seed) for seed in range(2)]
        delivered = [result.image for result in run(engine, shorter)]
        shown = [frame.image for frame in frames if frame.iteration == iteration]
        np.testing.assert_array_equal(shown, delivered)


@pytest.mark.parametrize("after", [0, 5, 11])
def test_frames_go_on_where_a_run_was_left(engines, after):
    single = problem(iterations=24, **COARSE)
    optimization = Optimization(engines["adam"], [single], frames=8)
    before, snapshot = [], None
    for event in optimization.events():
        if isinstance(event, Frame):
            before.append(event.iteration)
        elif isinstance(event, Progress) and event.iterations[0] >= after:
            snapshot = read_snapshot(optimization.snapshot(0).to_bytes(), single)
            break
    assert snapshot is not None
    resumed = Optimization(engines["adam"], [single], snapshots={0: snapshot}, frames=8)
    assert before + [frame.iteration for frame in events_of(resumed, Frame)] == frame_iterations(24, 8)


def test_no_frame_shows_a_run_that_failed_or_ended(engines):
    ending = problem(iterations=40, early_stop_window=2, early_stop_tolerance=1.0)
    diverging = problem(iterations=40, content_weight=3e38)
    assert [frame.iteration for frame in events_of(Optimization(engines["adam"], [ending], frames=20), Frame)] == [0]
    assert events_of(Optimization(engines["adam"], [diverging], frames=20), Frame) == []


def test_frames_are_evenly_spread_and_stand_in_the_history():
    assert frame_iterations(300, 0) == []
    assert frame_iterations(300, 1) == [0]
    assert frame_iterations(300, 6) == [0, 50, 100, 150, 200, 250]
    assert frame_iterations(300, 7) == [0, 45, 85, 130, 170, 215, 255]
    assert frame_iterations(3, 100) == [0, 1, 2]
    for iterations in (1, 9, 11, 101, 1_000, 12_345):
        for count in (1, 5, 100):
            found = frame_iterations(iterations, count)
            assert found[0] == 0 and found[-1] < iterations and len(found) <= count
            assert all(number <= 10 or number % history_stride(iterations) == 0 for number in found)


def test_pairs_survive_a_batch_with_a_longer_history(engines):
    engine = engines["lbfgs"]
    problems = [problem(0, **LBFGS, iterations=14), problem(1, optimizer="lbfgs", history_size=9, iterations=14)]
    (alone,) = run(engine, problems[:1], batch_size=2)
    left = snapshots_when(Optimization(engine, problems), lambda progress: progress.iterations.min() >= 8)
    assert [len(left[index].state.optimizer.steps) for index in (0, 1)] == [4, left[1].state.optimizer.kept]
    (resumed,) = events_of(Optimization(engine, problems[:1], batch_size=2, snapshots={0: left[0]}), tuple)
    # A ring of another length adds the same numbers in another order.
    assert relative(resumed[1].image.astype(float), alone.image.astype(float)) < 0.02


def test_stages_share_the_iterations_and_end_at_the_full_size(engines):
    coarse = problem(height=40, width=32, iterations=41, **COARSE)
    assert [stage.content.shape[:2] for stage in coarse.stages] == [(20, 16), (30, 24), (40, 32)]
    assert [stage.iterations for stage in coarse.stages] == [10, 10, 21]
    assert coarse.stages[0].initial.shape == (20, 16, 3) and coarse.initial is None
    seen = []
    (result,) = run(engines["adam"], [coarse], on_progress=lambda progress: seen.append(int(progress.iterations[0])))
    assert (result.image.shape, result.iterations, result.stop_reason) == ((40, 32, 3), 41, "iterations")
    assert [entry.iteration for entry in result.history] == list(range(42))
    assert seen == sorted(seen) and seen[-1] == 41
    assert engines["adam"].traces == 1


def test_a_pyramid_of_one_full_stage_is_none():
    plain, single = StyleConfig(**SHALLOW), StyleConfig(**SHALLOW, pyramid=((1.0, 1.0),))
    assert single == plain


def test_a_stage_that_converged_leaves_its_other_iterations_out(engines):
    settings = {**COARSE, "iterations": 40, "early_stop_window": 2, "early_stop_tolerance": 1.0}
    (result,) = run(engines["adam"], [problem(**settings)])
    assert (result.iterations, result.stop_reason) == (6, "converged")


def test_coarse_to_fine_begins_with_what_the_stage_before_made(engines):
    """With no iterations but at the first stage, the result is that stage's picture, enlarged."""
    config = StyleConfig(**{**SHALLOW, "iterations": 12, "pyramid": ((0.5, 0.999), (1.0, 0.001))})
    content, style = gradient(40, 32, 0), gradient(32, 40, 100)
    (result,) = run(engines["adam"], [prepare(content, style, config)])
    small = prepare(content, style, dataclasses.replace(config, pyramid=(), image_size=20))
    (coarse,) = run(engines["adam"], [small])
    enlarged = resize(coarse.image.astype(np.float32), 40, 32)
    assert np.abs(result.image - enlarged).max() <= 2


def test_a_deadline_fails_the_run_with_its_last_picture_and_a_snapshot(engines):
    problems = [problem(seed, iterations=100_000) for seed in range(2)]
    optimization = Optimization(engines["adam"], problems, timeout_secs=0.5)
    results = dict(events_of(optimization, tuple))
    for index, result in results.items():
        assert isinstance(result.error, DeadlineError)
        assert str(result.error) == f"not done after 0.5 seconds, at iteration {result.iterations} of 100000"
        assert result.image.shape == (40, 32, 3)
        state = optimization.snapshot(index).state
        np.testing.assert_array_equal(np.rint(state.delivered), result.image)
        assert state.iteration == result.iterations + 1


class SmallMemory:
    """An engine on a device with memory for so many images, and none for those with a certain seed."""

    def __init__(self, engine, images, culprit=None):
        self._engine, self._images, self._culprit = engine, images, culprit
        self.sizes = []

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def constants(self, problems):
        self.sizes.append(len(problems))
        if any(single.config.seed == self._culprit for single in problems):
            raise tf.errors.ResourceExhaustedError(None, None, "no memory for the targets")
        return self._engine.constants(problems)

    def advance(self, state, batch, evaluations):
        if len(state.status) > self._images and int(state.iteration[0]) >= 3:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory for the step")
        return self._engine.advance(state, batch, evaluations)


def test_a_batch_without_memory_goes_on_in_halves_and_the_size_is_remembered():
    # Last bits depend on the batch size. With max pooling one decides which pixel is the greatest, and Adam's steps
    # make more of it: what is compared are the first steps after the batch went in halves.
    engine = new_engine(pooling="avg")
    problems = [problem(seed, seed=seed, pooling="avg") for seed in range(5)]
    undisturbed = run(engine, problems)
    small = SmallMemory(engine, 2)
    results = run(small, problems)
    assert small.sizes == [5, 5, 2, 2, 1]  # The second time without cached targets.
    assert [result.error for result in results] == [None] * 5
    for result, whole in zip(results, undisturbed, strict=True):
        assert result.history[:3] == whole.history[:3]
        np.testing.assert_allclose(result.history[3:6], whole.history[3:6], rtol=1e-4)
        assert result.iterations == whole.iterations
    small.sizes.clear()
    run(small, problems[:3])
    assert small.sizes == [2, 1]


def test_what_a_lack_of_memory_taught_is_of_its_kind_and_forgotten_in_time():
    now = [0.0]
    engine = new_engine(clock=lambda: now[0])
    large = problem(9, style_fit="keep", style_scale=4.0)
    small = SmallMemory(engine, 2)
    run(small, [*(problem(seed) for seed in range(3)), large])
    assert small.sizes == [4, 4, 2, 2]
    run(small, [problem(seed) for seed in range(2)])
    others = SmallMemory(engine, 4)
    run(others, [problem(seed) for seed in range(4)])
    assert others.sizes == [4]
    for passed, expected in ((0.0, [2, 2]), (599.0, [2, 2]), (601.0, [4])):
        now[0], others.sizes[:] = passed, []
        run(others, [*(problem(seed) for seed in range(3)), large])
        assert others.sizes == expected


def test_target_caches_give_way_before_batches():
    """There is memory for one more tensor only once the cached targets of other pictures are gone."""
    engine = new_engine()
    run(engine, [problem(50)])
    calls: list[int] = []
    advance = engine.advance

    class Tight(SmallMemory):
        def advance(self, state, constants, evaluations):
            calls.append(engine.release_targets() if len(calls) else True)
            if len(calls) == 1:
                raise tf.errors.ResourceExhaustedError(None, None, "no memory beside the caches")
            return advance(state, constants, evaluations)

    tight = Tight(engine, 9)
    results = run(tight, [problem(seed) for seed in range(3)])
    assert [result.error for result in results] == [None] * 3
    assert tight.sizes == [3, 3]
    assert calls[1:] == [False] * (len(calls) - 1)  # Nor are targets cached again at once.


def test_only_the_picture_that_never_fits_fails():
    engine = new_engine()
    results = run(SmallMemory(engine, 4, culprit=2), [problem(seed, seed=seed) for seed in range(4)])
    assert [type(result.error) for result in results] == [type(None), type(None), OutOfMemoryError, type(None)]
    assert "32x40 pixels" in str(results[2].error)


class FailingDevice:
    """An engine whose step fails whenever a batch holds the culprit, once it has made a few iterations."""

    def __init__(self, engine, error, culprit=None, failures=10**9):
        self._engine, self._error, self._culprit, self._left = engine, error, culprit, failures
        self.sizes = []

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def constants(self, problems):
        self._seeds = [single.config.seed for single in problems]
        return self._engine.constants(problems)

    def advance(self, state, constants, evaluations):
        self.sizes.append(len(state.status))
        if self._culprit in self._seeds and int(tf.reduce_max(state.iteration)) >= 3 and self._left:
            self._left -= 1
            raise self._error(None, None, "cuDNN launch failure:\n input shape")
        return self._engine.advance(state, constants, evaluations)


@pytest.mark.parametrize("error", [tf.errors.InternalError, tf.errors.UnknownError, tf.errors.NotFoundError])
def test_a_picture_on_which_the_device_fails_fails_alone(engines, error):
    problems = [problem(seed, seed=seed) for seed in range(4)]
    device = FailingDevice(engines["adam"], error, culprit=2)
    results = run(device, problems)
    assert [type(result.error) for result in results] == [type(None), type(None), DeviceError, type(None)]
    assert str(results[2].error) == ("the device failed on this picture, even alone: cuDNN launch failure: input shape")
    assert [result.iterations for index, result in enumerate(results) if index != 2] == [12] * 3
    for index in (0, 1, 3):
        (alone,) = run(engines["adam"], [problems[index]])
        np.testing.assert_allclose(results[index].history[:11], alone.history[:11], rtol=1e-4)
    assert device.sizes.count(4) <= 4 and set(device.sizes) == {1, 4}


def test_a_device_that_fails_once_fails_no_picture(engines):
    problems = [problem(seed, seed=seed) for seed in range(3)]
    device = FailingDevice(engines["adam"], tf.errors.InternalError, culprit=0, failures=1)
    results = run(device, problems, batch_size=4)
    assert [(result.error, result.iterations) for result in results] == [(None, 12)] * 3
    # At the fixed batch size nobody can tell.
    assert [bits(result) for result in results] == [bits(one) for one in run(engines["adam"], problems, batch_size=4)]


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "garbage": lambda data: b"\0" * len(data),
    "flipped": lambda data: data[:400] + bytes(255 - byte for byte in data[400:440]) + data[440:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("optimizer", [ADAM, LBFGS], ids=["adam", "lbfgs"])
def test_a_damaged_snapshot_is_refused(engines, damage, optimizer):
    single = problem(**optimizer)
    engine = engines[single.config.optimizer]
    snapshot = snapshots_when(Optimization(engine, [single]), lambda progress: True)[0]
    with pytest.raises(SnapshotError):
        read_snapshot(damage(snapshot.to_bytes()), single)


@pytest.mark.parametrize(
    "other",
    [problem(height=44), problem(**LBFGS)],
    ids=["size", "optimiser"],
)
def test_a_snapshot_of_another_problem_is_refused(engines, other):
    snapshot = snapshots_when(Optimization(engines["adam"], [problem()]), lambda progress: True)[0]
    with pytest.raises(SnapshotError):
        read_snapshot(snapshot.to_bytes(), other)


def with_state(**changes):
    return lambda snapshot: dataclasses.replace(snapshot, state=snapshot.state._replace(**changes))


def with_optimizer(**changes):
    def damaged(snapshot):
        optimizer = snapshot.state.optimizer
        return dataclasses.replace(snapshot, state=snapshot.state._replace(optimizer=optimizer._replace(**changes)))

    return damaged


IMPOSSIBLE = {
    "status": (ADAM, with_state(status=np.int32(7)), "status must be one of"),
    "iteration below 0": (ADAM, with_state(iteration=np.int32(-1)), "iteration must lie in 0..13, got -1"),
    "iteration too high": (ADAM, with_state(iteration=np.int32(99)), "iteration must lie in 0..13, got 99"),
    "iteration's dtype": (ADAM, with_state(iteration=np.float32(1)), "iteration is float32"),
    "picture's dtype": (ADAM, lambda s: with_state(images=s.state.images.astype(np.float64))(s), "images is float64"),
    "window's length": (ADAM, with_state(window=np.zeros(3, np.float32)), r"window is float32 of the shape \(3,\)"),
    "steps of Adam": (ADAM, with_optimizer(steps=np.float32(-1)), "counters"),
    "steps of a stage": (ADAM, lambda s: dataclasses.replace(s, steps_before=4), "steps_before must lie in 0..0"),
    "seconds": (ADAM, lambda s: dataclasses.replace(s, seconds=-1.0), "seconds must be"),
    "pairs": (LBFGS, with_optimizer(kept=np.int32(3)), "counters"),
    "newest pair": (LBFGS, with_optimizer(newest=np.int32(4)), "counters"),
    "length of the ring": (LBFGS, with_optimizer(history_size=np.int32(0)), "counters"),
    "trials": (LBFGS, with_optimizer(trials=np.int32(-2)), "counters"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "damage", "message"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_snapshot_with_impossible_numbers_is_refused(engines, settings, damage, message):
    single = problem(**settings)
    engine = engines[single.config.optimizer]
    snapshot = snapshots_when(Optimization(engine, [single]), lambda progress: True)[0]
    read_snapshot(snapshot.to_bytes(), single)
    with pytest.raises(SnapshotError, match=message):
        read_snapshot(damage(snapshot).to_bytes(), single)
