"""Checks of a loss of features against the float64 reference: its values, and its gradient by finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from tests.support import reference

SIZES = [(5, 7), (1, 6), (8, 3)]
CHANNELS = 4
REDUCTIONS = ["sum", "mean"]
# Styles that a target is blended of: the size of each, and its weight.
STYLES = {
    "same size": [((5, 7), 1.0)],
    "own size": [((3, 11), 1.0)],
    "one position": [((1, 1), 1.0)],
    "two weighted": [((4, 4), 0.3), ((9, 2), 0.7)],
    "weights as given": [((6, 5), 2.0), ((2, 3), 0.5), ((5, 7), 0.0)],
}


def batch(size, seed, channels=CHANNELS):
    """Returns features of two pictures, [2, *size, channels] float64."""
    return np.random.default_rng(seed).normal(1, 2, (2, *size, channels))


def styles_of(sizes):
    """Returns (features of two pictures, weight) for each of some STYLES, float32."""
    return [(batch(size, seed=10 + n).astype(np.float32), weight) for n, (size, weight) in enumerate(sizes)]


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
