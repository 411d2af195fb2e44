"""The bare convolutions that the step is measured against are those of the step."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.step_time import BareConvolutions
from stylecore.networks.features import FeatureExtractor
from stylecore.networks.weights.sources import load_weights

DEEPEST = "block3_conv2"


@pytest.fixture(scope="module")
def network():
    return load_weights("vgg19", "random:1").network


@pytest.fixture
def images():
    return tf.constant(np.random.default_rng(0).uniform(0, 255, (2, 24, 33, 3)), tf.float32)


def test_the_chain_gives_the_activation_of_the_network(network, images):
    expected = FeatureExtractor(network, [DEEPEST], "max")(images)[DEEPEST]
    np.testing.assert_allclose(BareConvolutions(network, DEEPEST, "float32").activation(images), expected, rtol=1e-4)


def test_the_gradient_is_that_of_the_sum_of_the_network(network, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(FeatureExtractor(network, [DEEPEST], "max")(images)[DEEPEST])
    expected = tape.gradient(total, images).numpy()
    found = BareConvolutions(network, DEEPEST, "float32").gradient(images)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_every_round_is_computed(network, images):
    bare = BareConvolutions(network, "block1_conv1", "float32")
    once = bare.gradients(bare.gradients(images, 1), 1)
    np.testing.assert_allclose(bare.gradients(images, 2), once, rtol=1e-6)


def test_bfloat16_convolves_in_bfloat16(network, images):
    assert BareConvolutions(network, DEEPEST, "bfloat16").activation(images).dtype == tf.bfloat16
