"""The preset resnet50 with seeded random weights: its graph runs, its gradient is right, its losses fall."""

import itertools

import numpy as np
import pytest

from stylecore import StyleConfig, stylize
from stylecore.networks.weights.sources import random_network
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import prepare
from tests.support.pictures import columns

CONFIG = StyleConfig(preset="resnet50", weights="random:3", image_size=64, iterations=6, learning_rate=5)


@pytest.fixture(scope="module")
def problem():
    return prepare(columns(64, 64, 1), columns(64, 64, 2), CONFIG)


def test_the_gradient_is_that_of_the_loss(problem):
    """Differences of the loss along the gradient's parts, a quarter of the picture each, against the parts' lengths."""
    engine = Engine(step_kind(CONFIG, "3"), random_network("resnet50", 3))
    batch = engine.constants([problem])
    images = problem.initial[np.newaxis]
    gradient = engine.losses_and_gradient(images, batch)[1].numpy()
    found, expected = [], []
    for down, across in itertools.product((slice(0, 32), slice(32, 64)), repeat=2):
        part = np.zeros_like(gradient)
        part[:, down, across] = gradient[:, down, across]
        direction = part / np.linalg.norm(part)
        above, below = (
            float(engine.losses_and_gradient((images + step * direction).astype(np.float32), batch)[0].total[0])
            for step in (2.0, -2.0)
        )
        found.append((above - below) / 4.0)
        expected.append(np.linalg.norm(part))
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_the_preset_optimises():
    (result,) = stylize([columns(64, 64, 1)], [columns(64, 64, 2)], [CONFIG])
    assert result.error is None and result.iterations == 6
    assert result.history[-1].total < 0.9 * result.history[0].total
    assert min(result.loss_content, result.loss_style) > 0
