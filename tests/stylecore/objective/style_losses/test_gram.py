"""The Gram loss and its gradient against the float64 reference, at odd and oblong sizes."""

import numpy as np
import pytest
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.networks.features import FeatureExtractor
from stylecore.networks.weights.sources import random_network
from stylecore.objective.objective import Objective, Targets, loss_weights
from stylecore.objective.style_losses.gram import Gram, gram_matrix
from tests.support import reference
from tests.support.loss_checks import REDUCTIONS, SIZES, STYLES, batch, check, styles_of
from tests.support.pictures import noise
from tests.support.small_problems import relative


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


def value_and_gradient(features, target):
    gram = Gram()
    with tf.GradientTape() as tape:
        tape.watch(features)
        statistics = gram.statistics(features)
        loss = gram.loss(statistics, target)
    return statistics, tape.gradient(loss, features)


def test_of_features_in_bfloat16_the_value_is_float32s_and_the_gradient_as_precise_as_they():
    features = tf.cast(batch((9, 8), seed=1, channels=16), tf.bfloat16)
    target = gram_matrix(tf.constant(batch((9, 8), seed=2, channels=16), tf.float32))
    wide, wanted = value_and_gradient(tf.cast(features, tf.float32), target)
    statistics, gradient = value_and_gradient(features, target)
    np.testing.assert_array_equal(statistics, wide)
    assert gradient.dtype == tf.bfloat16
    # Of its 8 bits at most half the last one is lost, once in the factor and once in the result.
    assert 0 < relative(tf.cast(gradient, tf.float32), wanted) < 2**-8


def test_the_pictures_gradient_loses_no_more_than_convolutions_in_bfloat16_lose():
    network, layers = random_network("vgg19", 3), ["block1_conv1", "block2_conv1", "block3_conv1"]
    config = StyleConfig(content_layers=(("block2_conv1", 1.0),), content_weight=0.0, tv_weight=0.0)
    weights = loss_weights([config])._replace(style_layers=np.ones((1, 3), np.float32))
    pictures, style = (tf.constant(noise(40, 32, seed)[np.newaxis]) for seed in (0, 1))

    def gradient(extract):
        objective = Objective(extract, ["block2_conv1"], layers, "l2")
        targets = Targets(objective.content_targets(style), objective.style_statistics(style))
        return objective.value_and_gradient(pictures, targets, weights)[1]

    single, half = (FeatureExtractor(network, layers, "max", precision) for precision in ("float32", "bfloat16"))
    exact = gradient(single)
    convolutions_alone = relative(
        gradient(lambda images: {name: tf.cast(found, tf.float32) for name, found in half(images).items()}), exact
    )
    assert 0 < relative(gradient(half), exact) < 1.2 * convolutions_alone
