"""The style losses beside Gram matrices in whole runs: optimisers, precision, blends, regions, batches, restarts."""

import functools
from typing import Any

import numpy as np
import pytest

from stylecore.config.style_config import StyleConfig
from stylecore.images.style import Style
from stylecore.networks.weights.sources import random_network
from stylecore.objective.style_losses.gaussian import POLAR_STEPS
from stylecore.planning.buckets import bucket_of, step_kind
from stylecore.planning.costs import GAUSSIAN_PRODUCTS, evaluation_cost
from stylecore.run.engine import Engine
from stylecore.run.loop import Optimization
from stylecore.run.problem import prepare
from stylecore.run.result import Progress
from stylecore.run.snapshot import read_snapshot
from tests.support import small_problems
from tests.support.pictures import columns, gradient
from tests.support.small_problems import SHALLOW, bits, problem

run = functools.partial(small_problems.run, max_evaluations=4)

LOSSES: dict[str, dict[str, Any]] = {
    "gaussian": {"style_loss": "gaussian", "content_weight": 0.01, "style_weight": 1.0, "tv_weight": 0.0},
    "sliced": {"style_loss": "sliced", "content_weight": 0.01, "style_weight": 1.0, "tv_weight": 0.0},
    "softmax": {"feature_map": "softmax"},
}
OPTIMIZERS: dict[str, dict[str, Any]] = {"adam": {}, "lbfgs": {"optimizer": "lbfgs", "history_size": 4}}


@pytest.fixture(scope="module")
def engine_of():
    network = random_network("vgg19", 0)
    engines: dict[Any, Engine] = {}

    def get(settings, regions=False):
        kind = step_kind(StyleConfig(**{**SHALLOW, **settings}), "0", regions)
        return engines.setdefault(kind, Engine(kind, network))

    return get


@pytest.mark.parametrize(
    ("loss", "optimizer", "precision"),
    [
        *((loss, optimizer, "float32") for loss in LOSSES for optimizer in OPTIMIZERS),
        ("gaussian", "lbfgs", "bfloat16"),
        ("sliced", "adam", "bfloat16"),
        ("softmax", "adam", "bfloat16"),
    ],
)
def test_the_style_loss_falls(engine_of, loss, optimizer, precision):
    settings = {**LOSSES[loss], **OPTIMIZERS[optimizer], "precision": precision, "iterations": 15}
    (result,) = run(engine_of(settings), [problem(1, **settings)])
    assert result.error is None
    assert result.loss_style < 0.5 * result.history[0].style or loss == "softmax"
    assert result.loss_total < result.history[0].total


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_directions_are_fresh_under_adam_alone(engine_of, optimizer):
    """At a learning rate of almost 0 the picture stands still, and only other directions change the loss."""
    settings = {**LOSSES["sliced"], "iterations": 3, "learning_rate": 1e-6}
    (result,) = run(engine_of(settings), [problem(1, **settings)])
    losses = [entry.style for entry in result.history]
    assert len(set(losses)) == len(losses)
    assert max(losses) < 1.3 * min(losses)


def test_the_directions_of_l_bfgs_stay(engine_of):
    settings = {**LOSSES["sliced"], **OPTIMIZERS["lbfgs"], "iterations": 12}
    (result,) = run(engine_of(settings), [problem(1, **settings)])
    totals = [entry.total for entry in result.history]
    assert totals == sorted(totals, reverse=True)


def test_pictures_of_all_seeds_are_measured_along_the_same_directions(engine_of):
    one, other = (problem(1, **LOSSES["sliced"], seed=seed, init="content") for seed in (1, 2))
    engine, picture = engine_of(LOSSES["sliced"]), gradient(40, 32, 5).astype(np.uint8)
    assert engine.measure(picture, one) == engine.measure(picture, other)
    images = np.stack([picture] * 2).astype(np.float32)
    first, second = engine.losses_and_gradient(images, engine.constants([one, other]))[0].style.numpy()
    assert first != second and first == pytest.approx(second, rel=0.3)


def snapshots_after(optimization, iterations, count):
    for event in optimization.events():
        if isinstance(event, Progress) and event.iterations.max() >= iterations:
            return [optimization.snapshot(index) for index in range(count)]
    raise AssertionError("over before it was to stop")


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("loss", [LOSSES["gaussian"], LOSSES["sliced"]], ids=["gaussian", "sliced"])
def test_a_run_goes_on_to_the_same_bits_in_any_place_of_a_batch(engine_of, loss, optimizer):
    settings = {**loss, **optimizer, "iterations": 14}
    engine = engine_of(settings)
    problems = [problem(seed, **settings, seed=seed) for seed in range(3)]
    undisturbed = [bits(result) for result in run(engine, problems, batch_size=3)]
    begun = Optimization(engine, problems, batch_size=3, max_evaluations=4, secs_per_call=1e-9)
    stood = [
        read_snapshot(snapshot.to_bytes(), own)
        for snapshot, own in zip(snapshots_after(begun, 5, 3), problems, strict=True)
    ]
    turned = dict(enumerate(reversed(stood)))
    again = run(engine, problems[::-1], batch_size=3, snapshots=turned)
    assert [bits(result) for result in reversed(again)] == undisturbed


@pytest.mark.parametrize("loss", [LOSSES["gaussian"], LOSSES["sliced"]], ids=["gaussian", "sliced"])
def test_blends_of_styles_of_all_sizes_share_a_batch(engine_of, loss):
    config = StyleConfig(**{**SHALLOW, **loss, "style_fit": "keep"})
    styles = [gradient(32, 40, 1), gradient(20, 60, 2), gradient(90, 80, 3)]
    blends = [[(styles[0], 1.0)], [(styles[1], 0.5), (styles[2], 1.5)], [(styles[0], 2.0), (styles[1], 0.0)]]
    content = gradient(40, 32, 9)
    problems = [prepare(content, blend, config) for blend in blends]
    engine, images = engine_of({**loss, "style_fit": "keep"}), np.stack([content] * 3)
    together = engine.losses_and_gradient(images, engine.constants(problems))[0].style.numpy()
    alone = [
        float(engine.losses_and_gradient(images[:1], engine.constants([single]))[0].style[0]) for single in problems
    ]
    assert together == pytest.approx(alone, rel=1e-4)
    # A style of weight 0 is not there, and the weights' sum multiplies the loss.
    assert together[2] == pytest.approx(2 * together[0], rel=1e-4)


@pytest.mark.parametrize("loss", [LOSSES["gaussian"], LOSSES["sliced"]], ids=["gaussian", "sliced"])
def test_regions(engine_of, loss):
    """An all-white mask gives the loss of no mask; each half of the picture comes nearer to its own painting."""
    settings = {**loss, "iterations": 25, "content_weight": 0.0, "init": "content"}
    config = StyleConfig(**{**SHALLOW, **settings})
    content, paintings = gradient(32, 64, 9), [columns(32, 64, seed) for seed in (1, 2)]
    white, left = np.full((32, 64), 255, np.uint8), np.zeros((32, 64), np.uint8)
    left[:, :32] = 255
    masked = engine_of(settings, regions=True)
    whole = prepare(content, [Style(paintings[0], 1.5, content_mask=white)], config)
    plain = prepare(content, [Style(paintings[0], 1.5)], config)
    found, wanted = (
        float(engine.losses_and_gradient(content[np.newaxis], engine.constants([one]))[0].style[0])
        for engine, one in ((masked, whole), (engine_of(settings), plain))
    )
    assert found == pytest.approx(wanted, rel=1e-3)
    halves = [Style(paintings[0], content_mask=left), Style(paintings[1], content_mask=255 - left)]
    (result,) = run(masked, [prepare(content, halves, config)])
    picture = result.image.astype(np.float32)

    def distance(part, painting):
        one, other = (np.sort(pixels.reshape(-1, 3), axis=0) for pixels in (part, painting[:, : part.shape[1]]))
        return float(np.abs(one - other).mean())

    assert distance(picture[:, :32], paintings[0]) < distance(picture[:, :32], paintings[1])
    assert distance(picture[:, 32:], paintings[1]) < distance(picture[:, 32:], paintings[0])


def test_each_style_loss_has_buckets_of_its_own_and_counts_its_memory():
    kinds = [StyleConfig(**settings) for settings in ({}, *LOSSES.values())]
    assert len({bucket_of(config, "0", 64, 64) for config in kinds}) == len(kinds)
    gram, gaussian, sliced = (
        evaluation_cost(step_kind(StyleConfig(style_loss=loss), "0"), 256, 256)
        for loss in ("gram", "gaussian", "sliced")
    )
    assert GAUSSIAN_PRODUCTS == 2 * POLAR_STEPS + 4
    style_features = 4 * 256**2 * (64 + 128 / 4 + 256 / 16 + 512 / 64 + 512 / 256)
    assert gaussian.gram_flops > 2 * gram.gram_flops
    assert sliced.bytes_held > gram.bytes_held + 3 * style_features
