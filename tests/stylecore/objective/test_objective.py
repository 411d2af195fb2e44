"""The whole objective, its terms and its gradient, against the float64 reference: a batch of unlike problems."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stylecore.config.style_config import StyleConfig
from stylecore.networks.weights.sources import random_network
from stylecore.objective.style_losses.sliced import Sliced
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import prepare
from tests.support import reference
from tests.support.pictures import noise

HEIGHT, WIDTH = 17, 12
TERMS = ("total", "content", "style", "tv")
LAYERS = {"content_layers": {"conv2_1": 1.0, "conv1_2": 1.0}, "style_layers": {"conv2_1": 0.5, "conv1_1": 0.5}}
MIXED: list[dict[str, Any]] = [
    {},
    {"content_weight": 1.0, "style_weight": 2e4, "tv_weight": 0.0},
    {"reduction": "sum", "content_weight": 2.0, "style_weight": 1e-2, "style_fit": "keep", "style_scale": 0.7},
    {"content_layers": {"conv1_2": 0.1, "conv2_1": 3.0}, "style_layers": {"conv1_1": 0.9, "conv2_1": 0.0}},
]


@pytest.fixture(scope="module")
def network():
    return random_network("vgg19", 5)


def problems(**settings):
    styles = [
        noise(HEIGHT, WIDTH, 20),
        [(noise(HEIGHT, WIDTH, 21), 0.4), (noise(30, 9, 22), 0.6)],
        noise(14, 25, 23),
        [(noise(8, 8, 24), 2.0)],
    ]
    configs = [StyleConfig(**{**LAYERS, **settings, "seed": 30 + n, **own}) for n, own in enumerate(MIXED)]
    return [prepare(noise(HEIGHT, WIDTH, n), s, c) for n, (s, c) in enumerate(zip(styles, configs, strict=True))]


def expected(image, problem, weights):
    config = problem.config
    names = SimpleNamespace(
        content_layers=dict(config.content_layers), style_layers=dict(config.style_layers),
        alpha=config.content_weight, beta=config.style_weight, gamma=config.tv_weight,
        content_loss=config.content_loss, reduction=config.reduction, pooling=config.pooling,
        style_loss=config.style_loss, feature_map=config.feature_map, directions=directions(config),
    )  # fmt: skip
    return reference.objective(image, problem.content, [style[:2] for style in problem.styles], names, weights)


def directions(config):
    """Returns those of the evaluation outside the compiled loop, which has the number 0."""
    drawn = Sliced().draws(np.array([config.seed]), np.zeros(1, np.int32), [64, 128])
    return {name: layer[0].numpy() for (name, _), layer in zip(config.style_layers, drawn, strict=True)}


# The loss between Gaussians is computed to 1e-3, its gradient to 1e-2.
KINDS: list[dict[str, Any]] = [
    {},
    {"content_loss": "l1", "pooling": "avg"},
    {"style_loss": "gaussian"},
    {"style_loss": "sliced"},
    {"feature_map": "softmax"},
]


@pytest.fixture(scope="module")
def gentle_network():
    """Has features of a few units, as ResNet50: the exponential of hundreds keeps no digit of float32."""
    network = random_network("vgg19", 5)
    first = network.get_layer("block1_conv1")
    first.set_weights([0.01 * first.get_weights()[0], first.get_weights()[1]])
    return network


@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_objective_of_a_mixed_batch(network, gentle_network, settings):
    network = gentle_network if "feature_map" in settings else network
    weights = {
        layer.name: layer.get_weights() for layer in network.layers if layer.name.startswith(("block1_c", "block2_c"))
    }
    batch = problems(**settings)
    engine = Engine(step_kind(batch[0].config, "0"), network)
    images = np.stack([noise(HEIGHT, WIDTH, 10 + n) for n in range(len(batch))])
    found, gradient = engine.losses_and_gradient(images, engine.constants(batch))
    for index, problem in enumerate(batch):
        wanted = expected(images[index], problem, weights)
        value, slope = (1e-3, 1e-2) if problem.config.style_loss == "gaussian" else (1e-4, 1e-3)
        assert {name: float(getattr(found, name)[index]) for name in TERMS} == pytest.approx(wanted, rel=value)
        slope_along(gradient[index].numpy(), images[index], problem, weights, seed=index, accuracy=slope)


def slope_along(gradient, image, problem, weights, seed, accuracy):
    """Checks the gradient along a direction that is half random, half its own, so that its length counts too."""
    direction = np.random.default_rng(seed).normal(size=image.shape)
    direction = direction / np.linalg.norm(direction) + gradient / np.linalg.norm(gradient)
    slope = reference.finite_difference(lambda x: expected(x, problem, weights)["total"], image, direction, 1e-4)
    assert np.sum(gradient * direction) == pytest.approx(slope, rel=accuracy)


def test_layer_weights_follow_their_layers_not_their_order(network):
    content, style = noise(HEIGHT, WIDTH, 1), noise(HEIGHT, WIDTH, 2)
    orders = [
        StyleConfig.from_dict({"content_layers": ["conv2_1"], "style_layers": layers})
        for layers in (
            {"conv1_1": 0.9, "conv2_1": 0.1},
            {"conv2_1": 0.1, "conv1_1": 0.9},
            {"conv1_1": 0.1, "conv2_1": 0.9},
        )
    ]
    pair = [prepare(content, style, config) for config in orders]
    engine = Engine(step_kind(orders[0], "0"), network)
    first, second, swapped = engine.losses_and_gradient(np.stack([content] * 3), engine.constants(pair))[
        0
    ].style.numpy()
    assert first == second != swapped
