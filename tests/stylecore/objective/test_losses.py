"""Every loss term and its gradient against the float64 reference, at odd and oblong sizes."""

import numpy as np
import pytest
import tensorflow as tf

from stylecore.objective import losses
from tests.support import reference

SIZES = [(5, 7), (1, 6), (8, 3)]
CHANNELS = 4
KINDS = ["l2", "l1"]
REDUCTIONS = ["sum", "mean"]


def batch(size, seed, channels=CHANNELS):
    return np.random.default_rng(seed).normal(1, 2, (2, *size, channels))


def check(term, expected, x):
    """Compares `term` (batched, float32) and its gradient with `expected` (one image, float64) and its differences."""
    variable = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        values = term(variable)
    gradient = tape.gradient(values, variable).numpy()
    x = variable.numpy().astype(np.float64)
    assert values.shape == (len(x),)
    for index, image in enumerate(x):
        assert float(values[index]) == pytest.approx(expected(image, index), rel=2e-5)
        for direction in (gradient[index], np.random.default_rng(9).normal(size=image.shape)):
            slope = reference.finite_difference(lambda y, i=index: expected(y, i), image, direction, 1e-6)
            scale = float(np.linalg.norm(gradient[index]) * np.linalg.norm(direction))
            assert scale > 0
            assert np.sum(gradient[index] * direction) == pytest.approx(slope, abs=1e-4 * scale)


@pytest.mark.parametrize("size", SIZES)
def test_gram_matrix_is_the_reference_over_positions(size):
    x = batch(size, seed=1)
    expected = [reference.gram_matrix(image) / np.prod(size) for image in x]
    np.testing.assert_allclose(losses.gram_matrix(tf.constant(x, tf.float32)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_content_loss(size, kind, reduction):
    target = batch(size, seed=2).astype(np.float32)

    def term(x):
        factor = losses.content_mean_factor(x, kind) if reduction == "mean" else 1.0
        return losses.content_loss(x, tf.constant(target), kind) * factor

    check(term, lambda x, i: reference.content_loss(x, target[i], kind, reduction), batch(size, seed=3))


def test_the_mean_of_a_picture_beyond_2_to_31_entries():
    """The shape alone is evaluated: the tensor of 9 GB is never made."""

    @tf.function
    def factor():
        return losses.content_mean_factor(tf.zeros([1, 6000, 6000, 64]), "l2")

    assert float(factor()) == pytest.approx(2.0 / (6000 * 6000 * 64))


STYLES = {
    "same size": [((5, 7), 1.0)],
    "own size": [((3, 11), 1.0)],
    "one position": [((1, 1), 1.0)],
    "two weighted": [((4, 4), 0.3), ((9, 2), 0.7)],
    "weights as given": [((6, 5), 2.0), ((2, 3), 0.5), ((5, 7), 0.0)],
}


@pytest.mark.parametrize("sizes", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_style_loss(sizes, reduction):
    styles = [(batch(size, seed=10 + n).astype(np.float32), weight) for n, (size, weight) in enumerate(sizes)]
    target = sum(weight * losses.gram_matrix(tf.constant(style)) for style, weight in styles)

    def term(x):
        gram = losses.gram_matrix(x)
        factor = losses.style_mean_factor(gram) if reduction == "mean" else 1.0
        return losses.style_loss(gram, target) * factor

    def expected(x, index):
        return reference.style_loss_layer(x, [(style[index], weight) for style, weight in styles], reduction)

    check(term, expected, batch((5, 7), seed=4))


@pytest.mark.parametrize("size", [*SIZES, (1, 2), (2, 1)])
def test_total_variation(size):
    check(losses.total_variation, lambda x, _: reference.total_variation(x), 40 * batch(size, seed=5, channels=3))


def test_total_variation_of_one_colour_is_zero():
    assert losses.total_variation(tf.fill([2, 5, 3, 3], 200.0)).numpy().tolist() == [0, 0]
