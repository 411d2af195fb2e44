"""Our batched Adam against Keras' and against the formula in float64; parameters stay with their image."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.optimizers.adam import Adam
from tests.support import reference

STEPS = 25
SHAPE = (3, 4, 3)
CONFIGS = [
    StyleConfig(),
    StyleConfig(learning_rate=5, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    StyleConfig(learning_rate=0.5, beta_1=0.0, epsilon=10),
    StyleConfig(learning_rate=60, beta_2=0.0),
]


def quadratic(seed):
    """A gradient with steep and flat directions whose minimum lies partly outside of 0..255, in row 0 wholly."""
    random = np.random.default_rng(seed)
    scale, centre = 10 ** random.uniform(-3, 2, SHAPE), random.uniform(-80, 335, SHAPE)
    scale[0], centre[0] = 1, -80
    return lambda x: scale * (x - centre)


def start(seed):
    """Pixels anywhere, but close to black in row 0, so that every optimiser meets the bound."""
    pixels = np.random.default_rng(100 + seed).uniform(0, 255, SHAPE)
    pixels[0] /= 255
    return pixels


def ours(configs, gradients, starts, steps=STEPS):
    """The points [steps + 1, batch, ...] that Adam visits."""
    parameters = Adam.parameters(configs)
    points = [tf.constant(np.stack(starts), tf.float32)]
    state = Adam.init(points[0], parameters)
    for _ in range(steps):
        here = points[-1].numpy()
        gradient = tf.constant(np.stack([g(x) for g, x in zip(gradients, here, strict=True)]), tf.float32)
        proposal = Adam.propose(state, parameters, points[-1], tf.zeros([len(configs)]), gradient)
        assert proposal.accepted.numpy().all()
        state, points = proposal.state, [*points, proposal.images]
    return np.stack(points)


def mixed_batch(configs=CONFIGS):
    return ours(configs, [quadratic(n) for n in range(len(configs))], [start(n) for n in range(len(configs))])


@pytest.mark.parametrize("index", range(len(CONFIGS)))
def test_every_step_is_the_formula(index):
    config = CONFIGS[index]
    expected = reference.adam_steps(
        quadratic(index), start(index), config.learning_rate, config.beta_1, config.beta_2, config.epsilon, STEPS
    )
    np.testing.assert_allclose(mixed_batch()[:, index], expected, rtol=1e-4, atol=1e-2)
    assert (expected[-1, 0] == 0).all()


@pytest.mark.parametrize("index", range(len(CONFIGS)))
def test_every_step_is_that_of_keras(index):
    config = CONFIGS[index]
    optimizer = keras.optimizers.Adam(config.learning_rate, config.beta_1, config.beta_2, config.epsilon)
    pixels = keras.Variable(start(index), dtype="float32")
    points = [pixels.numpy()]
    for _ in range(STEPS):
        optimizer.apply([tf.constant(quadratic(index)(points[-1]), tf.float32)], [pixels])
        pixels.assign(np.clip(pixels.numpy(), 0, 255))
        points.append(pixels.numpy())
    np.testing.assert_allclose(mixed_batch()[:, index], np.stack(points), rtol=1e-4, atol=1e-2)


def test_parameters_do_not_leak_between_images():
    alike = [CONFIGS[0]] * len(CONFIGS)
    np.testing.assert_array_equal(mixed_batch()[:, 0], mixed_batch(alike)[:, 0])
    assert (mixed_batch()[:, 1:] != mixed_batch(alike)[:, 1:]).any(axis=(0, 2, 3, 4)).all()


@pytest.mark.parametrize(("total", "slope"), [(np.nan, 1.0), (np.inf, 1.0), (1.0, np.nan), (1.0, -np.inf)])
def test_an_image_that_is_not_finite_fails_alone(total, slope):
    parameters = Adam.parameters(CONFIGS[:2])
    images = tf.fill([2, *SHAPE], 100.0)
    gradient = np.ones((2, *SHAPE), np.float32)
    healthy = Adam.propose(Adam.init(images, parameters), parameters, images, tf.ones([2]), tf.constant(gradient))
    gradient[1, -1, -1, -1] = slope
    proposal = Adam.propose(
        Adam.init(images, parameters), parameters, images, tf.constant([1.0, total]), tf.constant(gradient)
    )
    assert (proposal.failed.numpy().tolist(), proposal.accepted.numpy().tolist()) == ([False, True], [True, False])
    np.testing.assert_array_equal(proposal.images[0], healthy.images[0])
