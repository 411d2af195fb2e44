"""The Gram loss and its gradient against the float64 reference, at odd and oblong sizes."""

import numpy as np
import pytest
import tensorflow as tf

from stylecore.objective.style_losses.gram import Gram, gram_matrix
from tests.support import reference
from tests.support.loss_checks import REDUCTIONS, SIZES, STYLES, batch, check, styles_of


@pytest.mark.parametrize("size", SIZES)
def test_gram_matrix_is_the_reference_over_positions(size):
    x = batch(size, seed=1)
    expected = [reference.gram_matrix(image) / np.prod(size) for image in x]
    np.testing.assert_allclose(gram_matrix(tf.constant(x, tf.float32)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_sums_of_tiles_add_up(size):
    gram, x = Gram(), tf.constant(batch(size, seed=1), tf.float32)
    sums = gram.sums(x[:, :, :2]) + gram.sums(x[:, :, 2:])
    np.testing.assert_allclose(gram.normalized(sums, np.prod(size)), gram.statistics(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("sizes", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_loss(sizes, reduction):
    styles = styles_of(sizes)
    gram = Gram()
    target = gram.blend([gram.statistics(tf.constant(style)) for style, _ in styles], [weight for _, weight in styles])

    def term(x):
        statistics = gram.statistics(x)
        factor = gram.mean_factor(statistics) if reduction == "mean" else 1.0
        return gram.loss(statistics, target) * factor

    def expected(x, index):
        return reference.style_loss_layer(x, [(style[index], weight) for style, weight in styles], reduction)

    check(term, expected, batch((5, 7), seed=4))
