"""Regions in the loop: two halves with two paintings, mirrored masks, both optimisers, batches, what is reported."""

import functools

import numpy as np
import pytest

from stylecore import Style, StyleConfig, stylize
from stylecore.images.resize import resize
from stylecore.networks.features import FeatureExtractor
from stylecore.networks.weights.sources import WeightsError, load_weights, random_network
from stylecore.objective.style_losses.gram import Gram
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.loop import Optimization
from stylecore.run.problem import prepare
from stylecore.run.result import Progress
from stylecore.run.snapshot import read_snapshot
from tests.support.pictures import noise
from tests.support.real_pictures import painting, photograph
from tests.support.small_problems import SHALLOW, bits, run

LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1")


def halves(height, width):
    """The masks of the left and of the right half, uint8."""
    left = np.zeros((height, width), np.uint8)
    left[:, : width // 2] = 255
    return left, 255 - left


def gram_distance(features, picture, painting):
    """The root of the sum over the layers of E, between two images."""
    gram = Gram()
    made, wanted = (features(image[np.newaxis].astype(np.float32)) for image in (picture, painting))
    losses = [gram.loss(gram.statistics(made[name]), gram.statistics(wanted[name])) for name in LAYERS]
    return float(np.sqrt(sum(loss[0] for loss in losses)))


@pytest.mark.imagenet
def test_each_half_takes_after_its_own_painting():
    try:
        loaded = load_weights("vgg19", "imagenet")
    except WeightsError as error:
        pytest.fail(f"the package index should have the weights: {error}")
    height, width = 64, 96
    cat = resize(photograph("chelsea"), height, width)
    paintings = [resize(painting(name), height, width) for name in ("geometric_forms", "woodcut_waves")]
    masks = halves(height, width)
    styles = [Style(painting, content_mask=mask) for painting, mask in zip(paintings, masks, strict=True)]
    config = StyleConfig.from_dict({"iterations": 60, "learning_rate": 10.0, "style_layers": list(LAYERS)})
    (result,) = stylize([cat], [styles], [config], weights=loaded)
    assert (result.error, result.notes) == (None, ())
    features = FeatureExtractor(loaded.network, LAYERS, "max")
    assert result.image is not None
    parts = result.image[:, : width // 2], result.image[:, width // 2 :]
    for part, own, other in zip(parts, paintings, paintings[::-1], strict=True):
        assert gram_distance(features, part, own) < 0.5 * gram_distance(features, part, other)


@pytest.mark.parametrize("mask", ["halves", "soft"])
def test_mirrored_masks_give_the_mirrored_result(mask):
    """With kernels that are symmetric; sides that are even at every layer are pooled alike from both ends."""
    network = random_network("vgg19", 0)
    for layer in network.layers:
        if layer.name.endswith(("conv1", "conv2", "conv3", "conv4")):
            kernel, bias = layer.get_weights()
            layer.set_weights([(kernel + kernel[:, ::-1]) / 2, bias])
    height, width = 24, 32
    masks = halves(height, width) if mask == "halves" else [noise(height, width, seed)[..., 0] for seed in (1, 2)]
    content, paintings = noise(height, width, 3), [noise(height, width, seed) for seed in (4, 5)]
    config = StyleConfig(**{**SHALLOW, "init": "content", "iterations": 6})
    engine = Engine(step_kind(config, "0", regions=True), network)

    def made(flip):
        styles = [Style(flip(image), content_mask=flip(own)) for image, own in zip(paintings, masks, strict=True)]
        return run(engine, [prepare(flip(content), styles, config)])[0]

    plain, mirrored = made(lambda image: image), made(lambda image: np.ascontiguousarray(image[:, ::-1]))
    assert np.abs(mirrored.image[:, ::-1].astype(int) - plain.image).max() <= 1
    assert (mirrored.image[:, ::-1] != plain.image).mean() < 0.01
    assert mirrored.loss_style == pytest.approx(plain.loss_style, rel=1e-3)
    assert np.abs(plain.image[:, ::-1].astype(int) - plain.image).max() > 20


def masked(seed, height=20, width=24, **settings):
    """A problem whose masks depend on the seed: two halves, two soft regions, a part and the whole."""
    left, right = halves(height, width)
    soft = noise(height, width, seed)[..., 0]
    pairs = [(left, right), (soft, 255 - soft), (soft, None)][seed % 3]
    styles = [Style(noise(width, height, 50 + n), content_mask=mask) for n, mask in enumerate(pairs)]
    return prepare(noise(height, width, seed), styles, StyleConfig(**{**SHALLOW, **settings}))


@functools.cache
def engine_of(kind):
    return Engine(kind, random_network("vgg19", 0))


def engine_for(problem):
    return engine_of(step_kind(problem.config, "0", problem.has_regions))


@pytest.mark.parametrize("settings", [{}, {"optimizer": "lbfgs"}, {"color": "content"}, {"precision": "bfloat16"}])
def test_the_loss_falls_and_is_that_of_the_delivered_picture(settings):
    problems = [masked(seed, iterations=25, pyramid=((0.5, 0.4), (1.0, 0.6)), **settings) for seed in range(3)]
    engine = engine_for(problems[0])
    for problem, result in zip(problems, run(engine, problems), strict=True):
        assert result.error is None
        assert result.history[-1].total < 0.7 * result.history[0].total
        measured = engine.measure(result.image, problem)
        assert (result.loss_total, result.loss_style) == (measured.total, measured.style)


def test_neighbours_and_position_change_no_bit_at_a_constant_batch_size():
    problems = [masked(seed) for seed in range(4)]
    engine = engine_for(problems[0])
    first = [bits(result) for result in run(engine, problems, batch_size=3)]
    for order in ([3, 2, 1, 0], [2, 0, 3, 1], [1], [0, 3]):
        again = run(engine, [problems[index] for index in order], batch_size=3)
        assert [bits(result) for result in again] == [first[index] for index in order]


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_run_with_masks_goes_on_from_its_snapshot_to_the_same_bits(optimizer):
    problems = [masked(seed, optimizer=optimizer, pyramid=((0.5, 0.5), (1.0, 0.5))) for seed in range(3)]
    engine = engine_for(problems[0])
    undisturbed = [bits(result) for result in run(engine, problems, batch_size=2)]
    stopped = Optimization(engine, problems, batch_size=2, max_evaluations=4)
    for event in stopped.events():
        if isinstance(event, Progress) and event.iterations.max() >= 5:
            break
    stored = [read_snapshot(stopped.snapshot(index).to_bytes(), problem) for index, problem in enumerate(problems)]
    resumed = run(engine, problems[::-1], batch_size=2, snapshots=dict(enumerate(stored[::-1])))
    assert [bits(result) for result in resumed[::-1]] == undisturbed


def test_what_is_left_out_is_noted():
    corner = np.zeros((20, 24), np.uint8)
    corner[:2, :1] = 255
    styles = [Style(noise(20, 24, 1)), Style(noise(20, 24, 2), content_mask=corner)]
    config = StyleConfig(**{**SHALLOW, "iterations": 4, "pyramid": ((0.5, 0.5), (1.0, 0.5))})
    results = stylize(
        [noise(20, 24)] * 2, [styles, [Style(styles[0].image, content_mask=corner * 0 + 99)]], [config] * 2
    )
    assert results[0].notes == (
        "content_mask of style 2 is too small at block1_conv1, block2_conv1 of 12x10 pixels: left out there",
        "content_mask of style 2 is too small at block2_conv1 of 24x20 pixels: left out there",
    )
    assert str(results[1].error) == (
        "content_mask of style 1 must cover a position at a style layer, got none at block1_conv1, block2_conv1"
    )
