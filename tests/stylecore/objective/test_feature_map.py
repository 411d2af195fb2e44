"""The softmax of features against the float64 reference, and what it does to the features of ResNet50."""

import numpy as np
import pytest
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.networks.features import FeatureExtractor
from stylecore.networks.weights.sources import random_network
from stylecore.objective.feature_map import mapped, softmax_map
from tests.support import reference
from tests.support.loss_checks import SIZES, batch
from tests.support.pictures import gradient


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_softmax_over_channels_and_positions(size, scale):
    x = (scale * batch(size, seed=1)).astype(np.float32)
    found = softmax_map(tf.constant(x)).numpy()
    np.testing.assert_allclose(found, [reference.softmax_map(image) for image in x], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), 1, rtol=1e-5)


def test_gradient_of_the_softmax():
    x, upstream = batch((3, 4), seed=1), batch((3, 4), seed=2)
    variable = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(variable)
        total = tf.reduce_sum(softmax_map(variable) * upstream.astype(np.float32))
    found = tape.gradient(total, variable).numpy()
    for index, image in enumerate(x):
        direction = np.random.default_rng(3).normal(size=image.shape)
        slope = reference.finite_difference(
            lambda y, i=index: np.sum(reference.softmax_map(y) * upstream[i]), image, direction, 1e-5
        )
        assert np.sum(found[index] * direction) == pytest.approx(slope, rel=1e-3, abs=1e-3)


def evenness(features):
    """Returns the entropy of the entries' shares over its largest value, and the largest share over the mean one."""
    shares = features.astype(np.float64).ravel() / features.sum()
    logarithms = np.log(np.where(shares > 0, shares, 1))
    return -np.sum(shares * logarithms) / np.log(shares.size), shares.max() * shares.size


# The features' standard deviation, and whether the softmax makes them more even. Measured on random weights: entropies
# of 0.90 to 0.93 become 0.84 to 0.88 at a deviation of 1, so that it is small features alone that are smoothed.
@pytest.mark.parametrize(("deviation", "is_smoothed"), [(0.1, True), (1.0, False)])
def test_the_softmax_smooths_small_features_of_resnet50_and_sharpens_large_ones(deviation, is_smoothed):
    layers = [name for name, _ in StyleConfig(preset="resnet50_swag").style_layers]
    plain = FeatureExtractor(random_network("resnet50", 1), layers, "max")
    # Activations of random weights have no scale of their own.
    for values in plain(gradient(64, 64, 1)[np.newaxis]).values():
        scaled = (deviation * values / np.std(values)).numpy()
        smoothed = mapped(lambda images: {"layer": images}, "softmax")(tf.constant(scaled))["layer"].numpy()
        np.testing.assert_allclose(smoothed[0], reference.softmax_map(scaled[0]), rtol=1e-3)
        (entropy, peak), (smoothed_entropy, smoothed_peak) = evenness(scaled), evenness(smoothed)
        assert (smoothed_entropy > entropy) == (smoothed_peak < peak) == is_smoothed
