"""Batches of unlike problems: each is optimised as if it were alone, stops for its own reason and fails by itself."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stylecore.api import stylize
from stylecore.config.style_config import StyleConfig
from stylecore.images.recolour import LUMINANCE, grey
from stylecore.networks import convolutions
from stylecore.networks.weights.sources import random_network
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine, LoopState
from stylecore.run.problem import prepare
from stylecore.run.result import NotFiniteError, history_stride
from tests.support import reference
from tests.support.graphs import operations_of
from tests.support.pictures import gradient
from tests.support.small_problems import SHALLOW, assert_batch_is_each_alone, bits, problem, run

MIXED: list[dict[str, Any]] = [
    {},
    {"content_weight": 1.0, "style_weight": 2e4, "tv_weight": 0.0, "learning_rate": 2, "seed": 7, "iterations": 3},
    {"init": "content", "learning_rate": 40, "beta_1": 0.5, "iterations": 14},
    {"init": "style", "reduction": "sum", "style_layers": {"conv1_1": 0.9, "conv2_1": 0.1}, "iterations": 0},
]
TERMS = ("total", "content", "style", "tv")


def mixed_problems():
    return [problem(image, **settings) for image, settings in enumerate(MIXED)]


@pytest.fixture(scope="module")
def network():
    return random_network("vgg19", 0)


@pytest.fixture(scope="module")
def engine(network):
    return Engine(step_kind(StyleConfig(**SHALLOW), "0"), network)


def test_losses_and_gradients_are_those_of_the_problem_alone(engine):
    problems = mixed_problems()
    batch = engine.constants(problems)
    state = engine.start(problems)
    for _ in range(4):
        assert_batch_is_each_alone(engine, problems, state.images.numpy(), batch)
        state, _, _ = engine.advance(state, batch, 3)


def test_a_run_stops_when_and_why_it_stops_alone(engine):
    problems = mixed_problems()
    for result, single in zip(run(engine, problems), problems, strict=True):
        (alone,) = run(engine, [single])
        assert (result.iterations, result.stop_reason) == (alone.iterations, alone.stop_reason)


def test_neighbours_and_position_change_no_bit(engine):
    problems = mixed_problems()
    # Of an odd batch threads get different shares.
    odd = [bits(result) for result in run(engine, problems, batch_size=5)]
    assert [bits(result) for result in run(engine, problems[::-1], batch_size=5)] == odd[::-1]
    first = [bits(result) for result in run(engine, problems, batch_size=4)]
    for order in ([3, 2, 1, 0], [2, 0, 3, 1]):
        again = run(engine, [problems[index] for index in order], batch_size=4)
        assert [bits(result) for result in again] == [first[index] for index in order]
    others = [problem(50 + n, seed=n, iterations=5) for n in range(3)]
    assert bits(run(engine, [*others, problems[0]], batch_size=4)[3]) == first[0]
    assert [bits(result) for result in run(engine, problems[:2], batch_size=4)] == first[:2]


def test_how_many_evaluations_run_in_a_call_changes_no_bit(engine):
    problems = mixed_problems()
    batch = engine.constants(problems)
    at_once, _, losses = engine.advance(engine.start(problems), batch, 9)
    state, parts = engine.start(problems), []
    for evaluations in (4, 1, 4):
        state, _, part = engine.advance(state, batch, evaluations)
        parts.append(part.total)
    np.testing.assert_array_equal(np.concatenate(parts), losses.total)
    np.testing.assert_array_equal(state.images, at_once.images)


def test_all_batches_share_one_trace(network):
    engine = Engine(step_kind(StyleConfig(**SHALLOW), "0"), network)
    run(engine, mixed_problems())
    run(engine, [problem(height=21, width=33, early_stop_window=3)])
    run(engine, [problem(seed, height=34, width=19, style_fit="keep") for seed in range(3)], batch_size=5)
    assert engine.traces == 1


def test_a_batch_is_computed_by_plain_convolutions_where_a_single_picture_is_not(monkeypatch):
    monkeypatch.setattr(convolutions, "gradients_are_faster", lambda: True)
    engine = Engine(step_kind(StyleConfig(**SHALLOW), "0"), random_network("vgg19", 0))
    problems = [problem(seed, height=96, width=96) for seed in range(2)]

    def operations(members):
        batch = engine.constants(members)
        return operations_of(engine.compiled_advance(engine.start(members), batch, 1).get_concrete_function().graph)

    # The gradient of the first convolution is a convolution as well.
    assert "Conv2D" in operations(problems)
    assert "Conv2D" not in operations(problems[:1])
    for result, single in zip(run(engine, problems), problems, strict=True):
        (alone,) = run(engine, [single])
        np.testing.assert_allclose(result.history[0][1:], alone.history[0][1:], rtol=1e-4)
    assert engine.traces == 2


@pytest.mark.parametrize("init", ["noise", "content", "style"])
def test_no_iterations_deliver_the_initial_image(engine, init):
    initial = problem(init=init, iterations=0)
    (result,) = run(engine, [initial])
    np.testing.assert_array_equal(result.image, np.rint(initial.initial))
    assert (result.iterations, result.stop_reason, result.error) == (0, "iterations", None)
    assert [entry.iteration for entry in result.history] == [0]


@pytest.mark.parametrize("window", [1, 4, 9, 30])
@pytest.mark.parametrize("rank", [0.2, 0.8])
def test_early_stop_is_at_the_first_iterate_that_gained_too_little(engine, window, rank):
    free = problem(iterations=40)
    totals = [entry.total for entry in run(engine, [free, free])[0].history]
    gained = [(before - after) / before for before, after in zip(totals, totals[window:])]
    below, above = sorted(gained)[int(rank * len(gained)) :][:2]
    tolerance = (below + above) / 2
    stop = next(n for n, gain in enumerate(gained) if gain < tolerance) + window
    watched = problem(iterations=40, early_stop_window=window, early_stop_tolerance=tolerance)
    plain, stopped = run(engine, [free, watched])
    assert (plain.iterations, plain.stop_reason) == (40, "iterations")
    assert (stopped.iterations, stopped.stop_reason) == (stop, "converged" if stop < 40 else "iterations")
    assert stopped.history == plain.history[: stop + 1]


@pytest.mark.parametrize("window", [1, 5, 12])
def test_a_tolerance_of_one_stops_as_soon_as_the_window_is_full(engine, window):
    (result,) = run(engine, [problem(iterations=20, early_stop_window=window, early_stop_tolerance=1)])
    assert (result.iterations, result.stop_reason) == (window, "converged")


@pytest.mark.parametrize("settings", [{"early_stop_window": 13}, {"early_stop_window": 4, "early_stop_tolerance": 0}])
def test_no_early_stop_before_the_window_is_full_or_while_the_loss_falls(engine, settings):
    (result,) = run(engine, [problem(**settings)])
    assert (result.iterations, result.stop_reason) == (12, "iterations")


def test_a_line_search_that_finds_nothing_lower_stalls_and_did_not_converge(network):
    engine = Engine(step_kind(StyleConfig(**SHALLOW, optimizer="lbfgs"), "0"), network)
    # Without a content or style loss a flat picture has nothing to lose, whatever the processor's rounding.
    flat = np.full((40, 32, 3), 128, np.uint8)
    smoothing: dict[str, Any] = {"init": "content", "content_weight": 0.0, "style_weight": 0.0, "early_stop_window": 0}
    at_the_minimum = prepare(flat, flat, StyleConfig(**SHALLOW, optimizer="lbfgs", **smoothing))
    results = run(engine, [at_the_minimum, problem(optimizer="lbfgs")])
    assert [(result.iterations, result.stop_reason) for result in results] == [(0, "stalled"), (12, "iterations")]


OVERFLOWS: dict[str, dict[str, Any]] = {
    # Noise is far from the content: the very first loss is infinite.
    "at once": {"content_weight": 3e38},
    # The content image has no content loss, or next to none: the loss is infinite only after a step.
    "later": {"content_weight": 3e38, "init": "content"},
}


@pytest.mark.parametrize("when", OVERFLOWS)
@pytest.mark.parametrize("position", [0, 2])
def test_a_problem_that_overflows_fails_alone(engine, when, position):
    healthy = mixed_problems()[:3]
    expected = [bits(result) for result in run(engine, healthy)]
    results = run(engine, [*healthy[:position], problem(9, **OVERFLOWS[when]), *healthy[position + 1 :]])
    failed = results[position]
    assert isinstance(failed.error, NotFiniteError)
    iteration = int(str(failed.error).rpartition("not finite at iteration ")[2])
    assert (iteration == 0) == (when == "at once")
    assert (failed.image is None, failed.stop_reason, len(failed.history)) == (iteration == 0, None, iteration)
    for index in {0, 1, 2} - {position}:
        assert bits(results[index]) == expected[index]


@pytest.mark.parametrize(
    ("iterations", "stride"), [(0, 1), (100, 1), (101, 2), (250, 5), (999, 10), (1500, 20), (1_000_000, 10_000)]
)
def test_history_stride_gives_at_most_a_hundred_points(iterations, stride):
    assert history_stride(iterations) == stride


@pytest.mark.parametrize(("iterations", "expected"), [(12, range(13)), (103, [*range(11), *range(12, 103, 2), 103])])
def test_history_has_the_first_ten_a_stride_and_the_last(engine, iterations, expected):
    (result,) = run(engine, [problem(height=16, width=17, iterations=iterations)])
    assert [entry.iteration for entry in result.history] == list(expected)


def test_losses_are_those_of_the_delivered_picture(engine, network):
    weights = {layer.name: layer.get_weights() for layer in network.layers if "conv" in layer.name}
    problems = [problem(image, 21, 18, **settings) for image, settings in enumerate(MIXED[:3])]
    for single, result in zip(problems, run(engine, problems), strict=True):
        config = single.config
        names = SimpleNamespace(
            content_layers=dict(config.content_layers), style_layers=dict(config.style_layers),
            alpha=config.content_weight, beta=config.style_weight, gamma=config.tv_weight,
            content_loss=config.content_loss, reduction=config.reduction, pooling=config.pooling,
        )  # fmt: skip
        expected = reference.objective(
            result.image, single.content, [style[:2] for style in single.styles], names, weights
        )
        found = {term: getattr(result, f"loss_{term}") for term in TERMS}
        assert found == pytest.approx(expected, rel=1e-4)


def test_losses_in_bfloat16_are_measured_in_float32(engine, network):
    """Of both precisions' pictures, the losses are the same functions, to the bit."""
    half = Engine(step_kind(StyleConfig(**SHALLOW, precision="bfloat16"), "0"), network)
    single = problem(precision="bfloat16", iterations=3)
    (result,) = run(half, [single])
    measured = engine.measure(result.image, single)
    assert [getattr(result, f"loss_{term}") for term in TERMS] == list(measured)
    in_half, _ = half.losses_and_gradient(result.image[np.newaxis].astype(np.float32), half.constants([single]))
    assert [float(term[0]) for term in in_half[1:3]] != list(measured[1:3])


def test_total_is_the_weighted_sum_of_the_terms(engine):
    problems = mixed_problems()
    for single, result in zip(problems, run(engine, problems), strict=True):
        config = single.config
        delivered = (result.loss_total, result.loss_content, result.loss_style, result.loss_tv)
        for total, content, style, tv in [delivered, *(entry[1:] for entry in result.history)]:
            parts = config.content_weight * content + config.style_weight * style + config.tv_weight * tv
            assert total == pytest.approx(parts, rel=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_picture_that_keeps_the_contents_colours_has_its_chroma(network, optimizer):
    engine = Engine(step_kind(StyleConfig(**SHALLOW, optimizer=optimizer), "0"), network)
    single = problem(color="content", optimizer=optimizer)
    (result,) = run(engine, [single])
    assert result.history[-1].total < 0.9 * result.history[0].total
    luminance = result.image @ LUMINANCE
    chroma = single.in_colour.content - (single.in_colour.content @ LUMINANCE)[..., np.newaxis]
    wanted = luminance[..., np.newaxis] + chroma
    in_gamut = ((wanted > 1) & (wanted < 254)).all(axis=-1)
    assert in_gamut.mean() > 0.5
    assert np.abs(result.image - wanted)[in_gamut].max() <= 1.0
    # What is measured is the delivered picture's luminance.
    found = engine.losses_and_gradient(grey(result.image)[np.newaxis], engine.constants([single]))[0]
    assert result.loss_total == pytest.approx(float(found.total[0]), rel=1e-5)


def test_the_gradient_of_a_grey_picture_is_that_of_its_luminance(engine):
    kept = problem(color="content")
    image = grey(kept.in_colour.content)[np.newaxis]
    constants = engine.constants([kept])
    gradient = engine.losses_and_gradient(image, constants)[1].numpy()
    assert (gradient == gradient[..., :1]).all()
    steepest = gradient / np.linalg.norm(gradient)
    up, down = (
        float(engine.losses_and_gradient(image + sign * steepest, constants)[0].total[0]) for sign in (1.0, -1.0)
    )
    assert (up - down) / 2 == pytest.approx(np.linalg.norm(gradient), rel=2e-3)


def test_pictures_of_any_colours_share_a_batch_and_its_trace(network):
    engine = Engine(step_kind(StyleConfig(**SHALLOW), "0"), network)
    problems = [problem(image, color=color) for image, color in enumerate(("style", "content", "match"))]
    together = run(engine, problems, batch_size=3)
    alone = [run(engine, [single], batch_size=3)[0] for single in problems]
    assert [bits(result) for result in together] == [bits(result) for result in alone]
    assert engine.traces == 1


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_what_is_delivered_is_the_mean_of_the_iterates(engine, decay):
    """Weights (1 - d) d^(n - k) over the n steps, divided by their sum; the initial image does not count."""
    count = 5
    iterates = [state_after(engine, problem(), steps) for steps in range(1, count + 1)]
    weights = decay ** np.arange(count - 1, -1, -1.0)
    expected = np.tensordot(weights / weights.sum(), np.stack(iterates), 1)
    averaged = problem(average_decay=decay, iterations=count)
    (result,) = run(engine, [averaged])
    assert np.abs(result.image - expected).max() < 0.51
    assert np.abs(result.image - iterates[-1]).max() > 1
    assert result.loss_total == pytest.approx(engine.measure(result.image, averaged).total, rel=1e-6)
    (first,) = run(engine, [problem(average_decay=decay, iterations=0)])
    assert bits(first)[1] == bits(run(engine, [problem(iterations=0)])[0])[1]


def state_after(engine, single, steps):
    """Returns the float picture after so many steps."""
    state, _, _ = engine.advance(engine.start([single]), engine.constants([single]), steps)
    return state.images.numpy()[0].astype(np.float64)


def test_pixels_stay_within_their_range(engine):
    problems = [problem(learning_rate=200), problem(1, learning_rate=1e30)]
    batch = engine.constants(problems)
    state, _, _ = engine.advance(engine.start(problems), batch, 6)
    assert (state.images.numpy().min(), state.images.numpy().max()) == (0, 255)
    assert [result.image.dtype for result in run(engine, problems)] == [np.uint8, np.uint8]


def test_the_loss_falls(engine):
    (result,) = run(engine, [problem(iterations=60)])
    assert result.history[-1].total < 0.5 * result.history[0].total


def test_progress_counts_up_to_the_limits(engine):
    seen = []
    run(engine, mixed_problems(), batch_size=5, on_progress=lambda progress: seen.append(progress.iterations.tolist()))
    assert seen[-1] == [settings.get("iterations", 12) for settings in MIXED]
    assert all(np.all(np.subtract(after, before) >= 0) for before, after in pairwise(seen))


class Counting:
    """An engine that counts the sizes of its calls and how often their status, iteration and picture are fetched."""

    def __init__(self, engine):
        self._engine = engine
        self.sizes, self.fetched = [], 0

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def start(self, problems, states):
        return self._counted(self._engine.start(problems, states))

    def advance(self, state, constants, evaluations):
        self.sizes.append(len(constants.limits.iterations))
        plain = LoopState(*(part.tensor if isinstance(part, Counted) else part for part in state))
        following, numbers, losses = self._engine.advance(plain, constants, evaluations)
        return self._counted(following), numbers, losses

    def _counted(self, state):
        parts = {name: Counted(self, getattr(state, name)) for name in ("status", "iteration", "delivered")}
        return state._replace(**parts)


class Counted:
    def __init__(self, engine, tensor):
        self.engine, self.tensor = engine, tensor

    def __getitem__(self, index):
        self.engine.fetched += 1
        return self.tensor[index]

    def numpy(self):
        self.engine.fetched += 1
        return self.tensor.numpy()


@pytest.mark.parametrize(("batch_size", "sizes"), [(None, {4, 2, 1}), (4, {4})])
def test_who_stopped_is_computed_on_only_in_batches_of_a_fixed_size(engine, batch_size, sizes):
    problems = [problem(image, iterations=count) for image, count in enumerate((4, 40, 4, 70))]
    counting = Counting(engine)
    results = run(counting, problems, batch_size=batch_size, max_evaluations=4)
    assert [(result.iterations, result.error) for result in results] == [(count, None) for count in (4, 40, 4, 70)]
    assert [entry.iteration for entry in results[3].history] == list(range(71))
    assert counting.sizes == sorted(counting.sizes, reverse=True)
    assert set(counting.sizes) == sizes


def test_what_a_call_says_of_its_pictures_is_fetched_once(engine):
    counting = Counting(engine)
    run(counting, [problem(image, iterations=24) for image in range(6)], max_evaluations=4)
    # Status and iteration at the start and after each call; the pictures, which end together, once.
    assert counting.fetched == 2 * (1 + len(counting.sizes)) + 1


def test_stylize_returns_results_in_order_and_fails_one_by_one():
    images = [gradient(40, 32, 0), gradient(64, 48, 1).astype(np.uint8), gradient(40, 32, 2), gradient(2, 1, 3)]
    configs = [StyleConfig(**{**SHALLOW, "image_size": 24, "iterations": n}) for n in (3, 1, 2, 4)]
    styles = [images[1], [(images[0], 0.5), (images[2], 0.5)], np.full((5, 5, 3), 300, np.float32), images[0]]
    results = stylize(images, styles, configs)
    assert [result.image is None or result.image.shape for result in results] == [(24, 19, 3), (24, 18, 3), True, True]
    assert [result.iterations for result in results] == [3, 1, 0, 0]
    assert str(results[2].error) == "style must lie in 0..255, got 300.0..300.0"
    assert "1x2 pixels is too small" in str(results[3].error)


def test_stylize_at_a_fixed_batch_size_gives_the_same_bits_in_any_company():
    images = [gradient(40, 32, seed) for seed in range(5)]
    configs = [StyleConfig(**{**SHALLOW, "image_size": 30, "iterations": n}) for n in (6, 2, 9, 4, 6)]
    together = stylize(images, images[::-1], configs, batch_size=2)
    for index in (0, 3):
        alone = stylize(images[index : index + 1], [images[4 - index]], configs[index : index + 1], batch_size=2)
        assert bits(alone[0]) == bits(together[index])


def test_stylize_takes_pictures_with_and_without_a_pyramid_in_one_call():
    images = [gradient(40, 32, 0)] * 3
    pyramids = [((0.5, 0.5), (1.0, 0.5)), (), ((0.75, 0.5), (1.0, 0.5))]
    configs = [StyleConfig(**SHALLOW, pyramid=pyramid) for pyramid in pyramids]
    results = stylize(images, [gradient(32, 40, 1)] * 3, configs)
    assert [(result.error, result.iterations) for result in results] == [(None, 12)] * 3
    assert all(result.image is not None and result.image.shape == (40, 32, 3) for result in results)


@pytest.mark.parametrize(
    ("counts", "batch_size", "message"),
    [
        ((2, 1, 1), None, "got 2, 1 and 1"),
        ((1, 1, 0), None, "got 1, 1 and 0"),
        ((0, 0, 0), 0, "batch_size must be >= 1, got 0"),
    ],
)
def test_stylize_refuses_uneven_lists_and_empty_batches(counts, batch_size, message):
    contents, styles, configs = counts
    photo, painting = gradient(40, 32, 0), gradient(40, 32, 1)
    with pytest.raises(ValueError, match=message):
        stylize([photo] * contents, [painting] * styles, [StyleConfig()] * configs, batch_size=batch_size)
