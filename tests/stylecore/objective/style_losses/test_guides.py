"""Guided statistics of one layer: Gram matrices of regions, their loss and gradient, against the float64 reference."""

import numpy as np
import pytest
import tensorflow as tf

from stylecore.objective.regions import position_weights
from stylecore.objective.style_losses.gram import Gram
from stylecore.objective.style_losses.guides import padded_guides
from tests.support import reference
from tests.support.loss_checks import REDUCTIONS, batch, check

SIZE = (5, 7)


def soft(seed):
    return np.random.default_rng(seed).uniform(0, 1, SIZE).astype(np.float32)


LEFT = np.zeros(SIZE, np.float32)
LEFT[:, :3] = 1
ONE = np.zeros(SIZE, np.float32)
ONE[2, 4] = 1
# The masks of the first picture's regions, and of the second's.
MASKS = {
    "halves": ([LEFT, 1 - LEFT], [1 - LEFT, LEFT]),
    "soft": ([soft(1), soft(2)], [soft(3), soft(4)]),
    "overlapping": ([LEFT, LEFT * soft(1), np.ones_like(LEFT)], [ONE, LEFT, LEFT]),
    "one position": ([ONE], [ONE]),
}


def guides_of(pictures, regions=None):
    weights = [[position_weights(mask, 2.0) for mask in masks] for masks in pictures]
    return padded_guides(weights, regions or len(weights[0]))


@pytest.mark.parametrize("pictures", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_loss_of_regions_and_its_gradient_are_the_reference(pictures, reduction):
    gram, guides = Gram(), guides_of(pictures)
    shares = np.linspace(0.5, 1.5, len(pictures[0]))
    painted = batch((4, 6), seed=11).astype(np.float32)
    target = gram.statistics(tf.constant(painted))[:, tf.newaxis]

    def term(x):
        statistics = gram.statistics(x, guides)
        factor = gram.mean_factor(statistics) if reduction == "mean" else 1.0
        return tf.reduce_sum(gram.loss(statistics, target) * shares, axis=1) * factor

    def expected(x, index):
        styles = [(painted[index], share, mask, None) for share, mask in zip(shares, pictures[index], strict=True)]
        one_by_one = (reference.guided_style_loss_layer(x, [style], reduction) for style in styles)
        return sum(one_by_one)

    check(term, expected, batch(SIZE, seed=12))


def test_regions_that_fill_a_batch_up_repeat_the_first_and_pass_no_gradient_on():
    gram, x = Gram(), tf.constant(batch(SIZE, seed=1), tf.float32)
    alone = gram.statistics(x, guides_of([[LEFT], [ONE]]))
    with tf.GradientTape() as tape:
        tape.watch(x)
        filled = gram.statistics(x, guides_of([[LEFT], [ONE]], regions=3))
        added = tf.reduce_sum(filled[:, 1:])
    np.testing.assert_allclose(filled, np.repeat(alone, 3, axis=1), rtol=1e-5)
    assert not np.any(tape.gradient(added, x))


@pytest.mark.parametrize("pictures", MASKS.values(), ids=MASKS)
def test_guided_sums_of_tiles_add_up(pictures):
    """Tiles slice the weights of the whole layer; one of them may have no position of a region."""
    gram, x = Gram(), tf.constant(batch(SIZE, seed=1), tf.float32)
    weights = [[position_weights(mask, 2.0) for mask in masks] for masks in pictures]

    def sums(columns):
        tile = [[region[:, columns] for region in picture] for picture in weights]
        return gram.sums(x[:, :, columns], padded_guides(tile, len(weights[0])))

    whole = gram.statistics(x, padded_guides(weights, len(weights[0])))
    tiles = gram.normalized(sums(slice(0, 3)) + sums(slice(3, None)), np.prod(SIZE))
    np.testing.assert_allclose(tiles, whole, rtol=1e-4, atol=1e-4)
