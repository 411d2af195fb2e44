"""Pictures in tiles: losses, targets and gradients are those of the whole picture."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.networks.features import FeatureExtractor
from stylecore.networks.weights.sources import random_network
from stylecore.objective.objective import Objective, Targets, loss_weights
from stylecore.objective.style_losses.base import RandomStyleLoss
from stylecore.objective.style_losses.guides import Guides, padded_guides
from stylecore.objective.tiles import TiledObjective
from stylecore.planning.buckets import step_kind
from stylecore.planning.tiles import cut_after
from tests.support.pictures import noise
from tests.support.small_problems import relative

# The shallow blocks alone are quick; the deep ones are tested once a backbone.
SHALLOW: dict[str, Any] = {
    "content_layers": {"conv1_2": 1e-3, "conv3_1": 1.0},
    "style_layers": ["conv1_1", "conv2_1", "conv3_1"],
}
DEEP: dict[str, Any] = {"content_layers": ["conv4_1"], "style_layers": ["conv1_1", "conv3_1", "conv4_2"]}
RESNET: dict[str, Any] = {
    "backbone": "resnet50",
    "content_layers": ["conv3_block1_out"],
    "style_layers": ["conv1_relu", "conv2_block1_out"],
}
# Both sides odd, and one tile to three along a side; a side of 0 is one tile, computed twice.
CASES = [
    (SHALLOW, (65, 90), "block1_pool", 32),
    (SHALLOW, (65, 90), "block2_pool", 32),
    (SHALLOW | {"content_loss": "l1", "pooling": "avg"}, (97, 71), "block2_pool", 48),
    (SHALLOW | {"reduction": "sum", "color": "content", "tv_weight": 1e3}, (50, 33), "", 24),
    (SHALLOW | {"style_loss": "gaussian"}, (65, 90), "block2_pool", 32),
    (SHALLOW | {"style_loss": "sliced"}, (65, 90), "block2_pool", 0),
    (SHALLOW | {"normalize_gradients": True}, (65, 90), "block2_pool", 0),
    (SHALLOW | {"feature_map": "softmax", "normalize_gradients": True}, (65, 90), "block2_pool", 0),
    (SHALLOW | {"feature_map": "softmax"}, (65, 90), "", 0),
    (SHALLOW | {"precision": "bfloat16"}, (65, 90), "block2_pool", 32),
    (DEEP, (131, 75), "block3_pool", 64),
    (DEEP | {"backbone": "vgg16", "pooling": "avg"}, (75, 131), "", 96),
    (RESNET, (75, 97), "conv2_block3_out", 48),
    (RESNET | {"pooling": "avg"}, (75, 97), "", 48),
]  # fmt: skip


@pytest.fixture(scope="module")
def networks():
    return {backbone: random_network(backbone, 5) for backbone in ("vgg19", "vgg16", "resnet50")}


def objectives(networks, settings, last, side_px):
    """Returns the objective of whole pictures and the one of tiles."""
    kind = step_kind(StyleConfig(**settings), "0")
    layers = sorted({*kind.content_layers, *kind.style_layers})
    features = FeatureExtractor(networks[kind.backbone], layers, kind.pooling, kind.precision)
    shared = (features, kind.content_layers, kind.style_layers, kind.content_loss)
    options = (kind.style_loss, kind.normalize_gradients, kind.feature_map)
    return Objective(*shared, *options), TiledObjective(
        *shared, *options, cut=cut_after(kind, last), side_px=side_px, compiled=lambda function: function
    )


def batch_of(settings, height, width):
    """Returns two pictures, their contents, one style of another size, and unlike weights."""
    pictures, contents = (np.stack([noise(height, width, seed + n) for n in range(2)]) for seed in (0, 10))
    config = StyleConfig(**settings)
    configs = [config, dataclasses.replace(config, content_weight=3.0, tv_weight=0.5, color="style")]
    return pictures, contents, noise(height - 9, width + 14, 20)[np.newaxis], loss_weights(configs)


@pytest.mark.parametrize(("settings", "size", "last", "side_px"), CASES)
def test_targets_losses_and_gradients_are_those_of_the_whole_picture(networks, settings, size, last, side_px):
    whole, tiled = objectives(networks, settings, last, side_px)
    # Sums in another order are rounded to other numbers of 8 bits.
    loose = 200 if settings.get("precision") == "bfloat16" else 1
    pictures, contents, style, weights = batch_of(settings, *size)
    statistics, tiled_statistics = whole.style_statistics(style), tiled.style_statistics(style)
    blends = [whole.style_loss.blend([layer], [1.0]) for layer in statistics]
    twice = tf.nest.map_structure(lambda tensor: tf.repeat(tensor, 2, axis=0), tuple(blends))
    targets = Targets(tuple(whole.content_targets(contents)), twice)
    found = tf.nest.flatten([tiled.content_targets(contents), tiled_statistics])
    for one, wanted in zip(found, tf.nest.flatten([targets.content, statistics]), strict=True):
        assert relative(one, wanted) < loose * 1e-5
    pictures = tf.constant(pictures)
    draws = ()
    if isinstance(whole.style_loss, RandomStyleLoss):
        channels = [gram.shape[-1] for gram in objectives(networks, SHALLOW, last, side_px)[0].style_statistics(style)]
        draws = whole.style_loss.draws(np.array([1, 2], np.int64), np.zeros(2, np.int32), channels)
    terms, gradient = tiled.value_and_gradient(pictures, targets, weights, draws)
    wanted_terms, wanted_gradient = whole.value_and_gradient(pictures, targets, weights, draws)
    for found in (terms, tiled(pictures, targets, weights, draws)):
        np.testing.assert_allclose(tf.stack(found), tf.stack(wanted_terms), rtol=loose * 1e-5)
    for one, wanted in zip(gradient, wanted_gradient, strict=True):
        assert relative(one, wanted) < loose * 1e-4


@pytest.mark.parametrize(("last", "side_px"), [("block2_pool", 32), ("", 40)])
def test_regions_of_a_picture_in_tiles(networks, last, side_px):
    whole, tiled = objectives(networks, SHALLOW, last, side_px)
    pictures, contents, style, weights = batch_of(SHALLOW, 65, 90)
    cut = cut_after(step_kind(StyleConfig(**SHALLOW), "0"), "")
    guides, style_guides = (regions_of(cut, image.shape[1:3]) for image in (pictures, np.repeat(style, 2, axis=0)))
    grams = [
        tuple(objective.style_statistics(np.repeat(style, 2, axis=0), style_guides)) for objective in (whole, tiled)
    ]
    for wanted, found in zip(*grams, strict=True):
        assert relative(found, wanted) < 1e-5
    shares = tuple(tf.constant([[0.3, 0.7], [1.0, 0.0]]) for _ in guides)
    targets = Targets(tuple(whole.content_targets(contents)), grams[0], guides, shares)
    terms, gradients = zip(
        *(objective.value_and_gradient(tf.constant(pictures), targets, weights) for objective in (whole, tiled)),
        strict=True,
    )
    np.testing.assert_allclose(tf.stack(terms[1]), tf.stack(terms[0]), rtol=1e-5)
    assert relative(gradients[1], gradients[0]) < 1e-4


def regions_of(cut, size):
    """Returns the guides of two pictures at each style layer: a soft region over a hard one, and one alone."""

    def at(layer):
        height, width = (cut.length(layer, side) for side in size)
        soft = np.linspace(0, 2, height * width, dtype=np.float32).reshape(height, width)
        hard = np.zeros_like(soft)
        hard[: height // 3, : width // 2] = 6.0
        return Guides(*map(tf.constant, padded_guides([[soft, hard], [hard]], 2)))

    return tuple(at(layer) for layer in ("block1_conv1", "block2_conv1", "block3_conv1"))


def test_a_halo_that_is_too_narrow_would_be_seen(networks):
    whole, tiled = objectives(networks, SHALLOW, "block2_pool", 32)
    tiled._cut = dataclasses.replace(tiled._cut, halo_px=tiled._cut.halo_px - tiled._cut.stride)
    pictures, contents, style, weights = batch_of(SHALLOW, 65, 90)
    targets = Targets(tuple(whole.content_targets(contents)), tuple(whole.style_statistics(style)))
    gradients = [
        objective.value_and_gradient(tf.constant(pictures), targets, weights)[1] for objective in (whole, tiled)
    ]
    assert relative(gradients[1], gradients[0]) > 1e-3
