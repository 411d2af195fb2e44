"""Products of a batch: a matrix's bits do not depend on its place."""

import numpy as np
import pytest
import tensorflow as tf

from stylecore.objective.style_losses.gram import gram_matrix
from stylecore.objective.style_losses.sliced import _projected
from stylecore.optimizers.products import exact_matmul, matmul

BATCH = 3


def gram_gradient(features, others):
    with tf.GradientTape() as tape:
        tape.watch(features)
        loss = tf.reduce_sum(gram_matrix(features[:, tf.newaxis]) * others)
    return tape.gradient(loss, features)


def projection_gradient(points, directions):
    with tf.GradientTape() as tape:
        tape.watch(points)
        loss = tf.reduce_sum(tf.square(_projected(points[:, tf.newaxis], directions)))
    return tape.gradient(loss, points)


@pytest.mark.parametrize(("rows", "channels"), [(1280, 64), (77, 64), (320, 128), (20, 512)])
@pytest.mark.parametrize(
    "product",
    [
        matmul,
        exact_matmul,
        lambda a, b: exact_matmul(a, a, transpose_a=True),
        lambda a, b: exact_matmul(a, a, transpose_b=True),
        gram_gradient,
        projection_gradient,
    ],
    ids=["a b", "exact a b", "a^T a", "a a^T", "gradient of Gram matrices", "gradient of projections"],
)
def test_a_matrix_has_the_same_bits_at_every_place_of_an_odd_batch(product, rows, channels):
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((BATCH, side, channels)).astype(np.float32) for side in (rows, channels))
    expected = product(tf.constant(a), tf.constant(b)).numpy()
    for shift in range(1, BATCH):
        found = product(tf.constant(np.roll(a, shift, 0)), tf.constant(np.roll(b, shift, 0))).numpy()
        np.testing.assert_array_equal(found, np.roll(expected, shift, 0))
