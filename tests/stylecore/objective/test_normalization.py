"""Normalised gradients against NumPy in float64: the formula, the whole objective, and no cost without them.

Reference: neural_style.lua of jcjohnson/neural-style, ContentLoss and StyleLoss, updateGradInput: the gradient of the
module, `div(torch.norm(gradInput, 1) + 1e-8)`, `mul(strength)`.
"""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.networks.weights.sources import random_network
from stylecore.objective.normalization import with_normalized_gradient
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import prepare
from tests.support import reference
from tests.support.pictures import noise
from tests.support.small_problems import problem, run

HEIGHT, WIDTH = 13, 10


def test_each_picture_is_normalised_by_itself():
    features = np.random.default_rng(1).normal(size=(4, 3, 5, 2)).astype(np.float32)
    gradient = np.random.default_rng(2).normal(size=features.shape) * np.reshape([1e-6, 1.0, 1e6, 0.0], (4, 1, 1, 1))
    strength = np.array([1e5, 2.0, 0.0, 3.0], np.float32)
    values = tf.constant(features)
    with tf.GradientTape() as tape:
        tape.watch(values)
        seen = with_normalized_gradient(values, tf.constant(strength))
        # What arrives is that of the weighted loss.
        total = tf.reduce_sum(seen * tf.constant(gradient * strength[:, None, None, None], tf.float32))
    np.testing.assert_array_equal(seen, features)
    length = np.abs(gradient).sum(axis=(1, 2, 3), keepdims=True)
    expected = strength[:, None, None, None] * gradient / (length + 1e-8)
    np.testing.assert_allclose(tape.gradient(total, values), expected, rtol=1e-5, atol=1e-30)


COMMON: dict[str, Any] = {
    "normalize_gradients": True, "style_fit": "keep",
    "content_layers": {"conv1_2": 1.0, "conv2_1": 0.3}, "style_layers": {"conv1_1": 0.2, "conv2_1": 0.8},
}  # fmt: skip
WEIGHTS: list[dict[str, Any]] = [
    {"content_weight": 1e5, "style_weight": 3e4, "tv_weight": 10.0},
    {"content_weight": 2.0, "style_weight": 7.0, "tv_weight": 0.0, "reduction": "sum"},
    {"content_weight": 0.0, "style_weight": 1.0, "tv_weight": 0.01},
]


def unit(gradient):
    """g / (|g|_1 + 1e-8)."""
    return gradient / (np.abs(gradient).sum() + 1e-8)


def content_gradient(features, target, kind, reduction):
    """dE/dF of the content loss of one layer."""
    difference = features - target
    gradient = {"l2": difference, "l1": np.sign(difference)}[kind]
    return gradient * ({"l2": 2.0, "l1": 1.0}[kind] / gradient.size if reduction == "mean" else 1.0)


def style_gradient(features, style, reduction):
    """dE/dF of E = 1/4N^2 sum (G - A)^2: (G - A) F / (N^2 M), under `mean` over N^2 again."""
    height, width, channels = features.shape
    gram = reference.gram_matrix(features) / (height * width)
    target = reference.gram_matrix(style) / (style.shape[0] * style.shape[1])
    gradient = (features.reshape(-1, channels) @ (gram - target)).reshape(features.shape)
    return gradient / (channels**2 * height * width) / (channels**2 if reduction == "mean" else 1.0)


def expected_slope(image, stage, weights, direction):
    """The normalised gradient along a direction: the sum over layers of s unit(g) . dF, dF by differences."""
    config = stage.config
    layers = {name for name, _ in (*config.content_layers, *config.style_layers)}

    def features(pixels):
        return reference.vgg_features(pixels, weights, sorted(layers))

    step = 1e-4
    ahead, behind = features(image + step * direction), features(image - step * direction)
    moved = {name: (ahead[name] - behind[name]) / (2 * step) for name in layers}
    x, p, a = features(image), features(stage.content), features(stage.styles[0].image)
    slope = config.tv_weight * reference.finite_difference(reference.total_variation, image, direction)
    for name, weight in config.content_layers:
        gradient = content_gradient(x[name], p[name], config.content_loss, config.reduction)
        slope += config.content_weight * weight * np.sum(unit(gradient) * moved[name])
    for name, weight in config.style_layers:
        gradient = style_gradient(x[name], a[name], config.reduction)
        slope += config.style_weight * weight * np.sum(unit(gradient) * moved[name])
    return slope


@pytest.mark.parametrize("content_loss", ["l2", "l1"])
def test_the_whole_gradient_of_a_mixed_batch(content_loss):
    network = random_network("vgg19", 5)
    weights = {
        layer.name: layer.get_weights() for layer in network.layers if layer.name.startswith(("block1_c", "block2_c"))
    }
    configs = [StyleConfig(**{**COMMON, "content_loss": content_loss, **own}) for own in WEIGHTS]
    batch = [prepare(noise(HEIGHT, WIDTH, n), noise(9, 14, 20 + n), config) for n, config in enumerate(configs)]
    engine = Engine(step_kind(batch[0].config, "0"), network)
    images = np.stack([noise(HEIGHT, WIDTH, 10 + n) for n in range(len(batch))])
    _, gradient = engine.losses_and_gradient(images, engine.constants(batch))
    for image, found, stage in zip(images, gradient.numpy(), batch, strict=True):
        for direction in (found, np.random.default_rng(3).normal(size=image.shape)):
            along = direction.astype(np.float64) / np.linalg.norm(direction)
            slope = expected_slope(image.astype(np.float64), stage, weights, along)
            assert np.sum(found * along) == pytest.approx(slope, abs=1e-3 * float(np.linalg.norm(found)))


def test_losses_stay_as_they_are_and_pictures_go_another_way():
    settings = {"iterations": 8, "init": "content", "content_weight": 10.0, "tv_weight": 0.0, "learning_rate": 2.0}
    plain, normalised = problem(**settings), problem(normalize_gradients=True, **settings)
    kinds = [step_kind(made.config, "0") for made in (plain, normalised)]
    assert kinds[0] != kinds[1]
    network = random_network("vgg19", 0)
    engines = [Engine(kind, network) for kind in kinds]
    (ours,), (theirs,) = (run(engine, [made]) for engine, made in zip(engines, (plain, normalised), strict=True))
    assert ours.history[0] == theirs.history[0]
    assert theirs.loss_style < theirs.history[0].style
    assert (ours.image != theirs.image).any()


def test_the_operations_are_there_only_where_they_are_asked_for():
    def operations(asked):
        made = problem(normalize_gradients=asked)
        engine = Engine(step_kind(made.config, "0"), random_network("vgg19", 0))
        constants = engine.constants([made])
        arguments = (tf.constant(made.initial[np.newaxis]), constants.targets, constants.weights)
        graph = engine._step(None).value_and_gradient.get_concrete_function(*arguments).graph
        return [operation.type for operation in graph.get_operations()]

    assert "Abs" not in operations(False) and "DivNoNan" not in operations(False)
    assert operations(True).count("DivNoNan") == 3
