"""The content loss and total variation, and their gradients, against the float64 reference, at odd and oblong sizes."""

import numpy as np
import pytest
import tensorflow as tf

from stylecore.objective import losses
from tests.support import reference
from tests.support.loss_checks import REDUCTIONS, SIZES, batch, check

KINDS = ["l2", "l1"]


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


@pytest.mark.parametrize("size", [*SIZES, (1, 2), (2, 1)])
def test_total_variation(size):
    check(losses.total_variation, lambda x, _: reference.total_variation(x), 40 * batch(size, seed=5, channels=3))


def test_total_variation_of_one_colour_is_zero():
    assert losses.total_variation(tf.fill([2, 5, 3, 3], 200.0)).numpy().tolist() == [0, 0]
