"""TensorFloat-32, emulated: L-BFGS keeps its bits, and what is rounded in the Gram matrices does not show."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.networks.weights.sources import random_network
from stylecore.objective.style_losses.gram import gram_matrix
from stylecore.optimizers.lbfgs import Lbfgs
from stylecore.optimizers.products import exact_matmul, products_are_rounded
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from tests.stylecore.optimizers.test_lbfgs import minimise, quadratic, rosenbrock, somewhere
from tests.support.small_problems import SHALLOW, problem, run
from tests.support.tf32 import tf32_matrix_products, to_tf32

pytestmark = pytest.mark.slow

ROUNDINGS = {"to the nearest": True, "towards 0": False}


@pytest.fixture(params=ROUNDINGS)
def emulation(request):
    return lambda: tf32_matrix_products(ROUNDINGS[request.param])


def test_the_emulation_keeps_ten_bits_of_mantissa():
    values = tf.constant([1.0, 1.0 + 2**-10, 1.0 + 2**-11, 1.0 + 2**-12, -3.0 - 2**-10, 0.0])
    assert to_tf32(values, nearest=True).numpy().tolist() == [1, 1 + 2**-10, 1 + 2**-10, 1, -3 - 2**-9, 0]
    assert to_tf32(values, nearest=False).numpy().tolist() == [1, 1 + 2**-10, 1, 1, -3, 0]


@pytest.mark.parametrize("options", [{}, {"transpose_a": True}, {"transpose_b": True}])
def test_products_keep_twenty_bits(emulation, options):
    a, b = (tf.constant(np.random.default_rng(seed).normal(size=(2, 40, 40)), tf.float32) for seed in range(2))
    exact = tf.matmul(tf.cast(a, tf.float64), tf.cast(b, tf.float64), **options).numpy()
    scale = np.linalg.norm(a) * np.linalg.norm(b) / 40
    with emulation():
        assert products_are_rounded()
        kept, rounded = exact_matmul(a, b, **options).numpy(), tf.matmul(a, b, **options).numpy()
    assert np.max(np.abs(kept - exact)) < 2**-20 * scale
    assert np.max(np.abs(rounded - exact)) > 2**-14 * scale  # The emulation shows what is kept.


@pytest.mark.parametrize("precondition", ["none", "spectral"])
def test_a_direction_keeps_its_bits(emulation, precondition):
    shape, random = (1, 64, 64, 3), np.random.default_rng(0)
    scale = tf.constant(10 ** random.uniform(0, 1, shape), tf.float32)
    images = tf.constant(random.uniform(60, 190, shape), tf.float32)
    parameters = Lbfgs.parameters([StyleConfig(optimizer="lbfgs", precondition=precondition)])
    state = Lbfgs.init(images, parameters)

    def proposal(state, images):
        difference = images - 128.0
        total = tf.reduce_sum(scale * tf.square(difference), axis=[1, 2, 3])
        return Lbfgs.propose(state, parameters, images, total, 2.0 * scale * difference)

    for _ in range(3):
        following = proposal(state, images)
        before, (state, images) = (state, images), (following.state, following.images)
        if following.state.kept[0] == 1:
            break
    with emulation():
        rounded = proposal(*before).state.direction
    exact = following.state.direction
    assert following.state.kept[0] == 1
    assert float(tf.norm(rounded - exact) / tf.norm(exact)) < 1e-6


def ends(loss):
    """The share of their first loss that five problems end with."""
    if loss == "quadratic":
        centres, starts = (np.concatenate([somewhere(1, first + seed) for seed in range(5)]) for first in (0, 20))
        path = minimise(quadratic(1e4, centres), starts, 120)
    else:
        path = minimise(rosenbrock, np.concatenate([somewhere(1, seed, 70.0, 90.0) for seed in range(5)]), 400)
    return path.totals[-1] / path.totals[0]


exact_ends = functools.cache(ends)


@pytest.mark.parametrize("loss", ["quadratic", "rosenbrock"])
def test_lbfgs_ends_as_low_with_rounded_products(emulation, loss):
    exact = exact_ends(loss)
    with emulation():
        rounded = ends(loss)
    assert np.median(rounded) < 1.25 * np.median(exact)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_pictures_end_as_low_with_rounded_products_and_gram_matrices(optimizer):
    """Rounded towards 0, the worst case. A start that differs in its last bit changes single losses by up to 14 %
    under L-BFGS, and 3 % under Adam.
    """
    network, kind = random_network("vgg19", 0), step_kind(StyleConfig(**SHALLOW, optimizer=optimizer), "0")
    problems = [problem(seed, optimizer=optimizer, iterations=60, seed=seed) for seed in range(8)]

    def losses():
        return np.asarray([result.loss_total for result in run(Engine(kind, network), problems, batch_size=8)])

    exact = losses()
    with tf32_matrix_products(ROUNDINGS["towards 0"]):
        rounded = losses()
    assert abs(np.median(rounded / exact) - 1) < 0.03


def test_gram_matrices_lose_a_thousandth_at_most(emulation):
    """Of activations after a ReLU, all of one sign: rounding towards 0, the worst case, lowers every entry."""
    features = tf.nn.relu(tf.constant(np.random.default_rng(0).normal(1, 2, (1, 32, 32, 64)), tf.float32))
    exact = gram_matrix(features)
    with emulation():
        rounded = gram_matrix(features)
    assert float(tf.norm(rounded - exact) / tf.norm(exact)) < 1e-3
