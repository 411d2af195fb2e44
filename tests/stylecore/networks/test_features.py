"""Features against a plain NumPy network, the swapped pooling, the cut, and the tables of layer names."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from stylecore.networks import layers
from stylecore.networks.features import FeatureExtractor, build_backbone, preprocess
from stylecore.networks.weights.sources import random_network
from tests.support import reference
from tests.support.pictures import noise

VGG_LAYERS = ["block1_conv1", "block2_conv2", "block3_conv1", "block4_conv4", "block5_conv2"]


@pytest.fixture(scope="module")
def vgg19():
    return random_network("vgg19", 3)


@pytest.fixture(scope="module")
def resnet50():
    """With statistics that are not neutral, so that BatchNorm's modes differ."""
    network, random = random_network("resnet50", 3), np.random.default_rng(3)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([random.uniform(0.5, 1.5, values.shape) for values in layer.get_weights()])
    return network


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_vgg_features_are_those_of_the_formulas(vgg19, pooling):
    image = noise(33, 26)
    weights = {layer.name: layer.get_weights() for layer in vgg19.layers if "conv" in layer.name}
    expected = reference.vgg_features(image, weights, VGG_LAYERS, pooling)
    found = FeatureExtractor(vgg19, VGG_LAYERS, pooling)(image[np.newaxis])
    assert list(found) == VGG_LAYERS
    for name in VGG_LAYERS:
        np.testing.assert_allclose(found[name][0], expected[name], rtol=1e-4, atol=1e-4 * expected[name].max())


@pytest.mark.parametrize(
    "application", [keras.applications.vgg19, keras.applications.vgg16, keras.applications.resnet50]
)
def test_preprocessing_is_that_of_keras(application):
    images = np.stack([noise(5, 4, seed) for seed in range(2)])
    np.testing.assert_allclose(preprocess(images), application.preprocess_input(images.copy()), atol=1e-4)
    np.testing.assert_allclose(preprocess(images), reference.preprocess_caffe(images), atol=1e-4)


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("wanted", [["block2_conv1"], ["block3_conv2", "block1_conv1"], ["block1_pool"]])
def test_the_network_is_cut_at_the_deepest_layer(vgg19, wanted, pooling):
    kept = {layer.name for layer in FeatureExtractor(vgg19, wanted, pooling)._model.layers}
    known = layers.layer_names("vgg19")
    deepest = max(map(known.index, wanted))
    assert kept & set(known) == set(known[: deepest + 1])


@pytest.mark.parametrize(
    ("fixture", "deepest", "pools"), [("vgg19", "block5_conv1", 4), ("resnet50", "conv2_block1_out", 1)]
)
def test_average_pooling_changes_the_pooling_alone(request, fixture, deepest, pools):
    network = request.getfixturevalue(fixture)
    model = FeatureExtractor(network, [deepest], "avg")._model
    assert not any(isinstance(layer, keras.layers.MaxPooling2D) for layer in model.layers)
    assert sum(isinstance(layer, keras.layers.AveragePooling2D) for layer in model.layers) == pools
    for layer in model.layers:
        if layer.weights:
            for values, expected in zip(layer.get_weights(), network.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(values, expected)
    assert any(isinstance(layer, keras.layers.MaxPooling2D) for layer in network.layers)


@pytest.mark.parametrize(
    ("fixture", "first", "deepest"),
    [("vgg19", "block1_conv1", "block2_conv1"), ("resnet50", "conv1_conv", "pool1_pool")],
)
def test_bfloat16_leaves_half_a_grey_level_in_the_first_layer(request, fixture, first, deepest):
    """In bfloat16 itself neighbours near 255 are a grey level apart, minus ImageNet's mean half a level."""
    extract = FeatureExtractor(request.getfixturevalue(fixture), [first, deepest], "max", "bfloat16")
    single = FeatureExtractor(request.getfixturevalue(fixture), [first, deepest], "max")
    image = np.full((1, 24, 24, 3), 254.0, np.float32)
    for shift in (0.5, 0.125):
        features, moved = (extract(image + step)[first].numpy() for step in (0, shift))
        wanted = [single(image + step)[first].numpy() for step in (0, shift)]
        np.testing.assert_array_equal([features, moved], wanted)
        assert (features != moved).any()
    assert extract._model.get_layer(deepest).compute_dtype == "bfloat16"


def test_bfloat16_computes_gradients_of_the_first_layer_in_float32(vgg19):
    """The gradient to the pixels of two pictures half a grey level apart differs, as it does in float32."""
    image = np.full((1, 8, 8, 3), 254.0, np.float32)
    gradients = {}
    for precision in ("float32", "bfloat16"):
        extract = FeatureExtractor(vgg19, ["block1_conv1"], "max", precision)
        for shift in (0.0, 0.5):
            pixels = tf.constant(image + shift)
            with tf.GradientTape() as tape:
                tape.watch(pixels)
                loss = tf.reduce_sum(tf.square(extract(pixels)["block1_conv1"]))
            gradients[precision, shift] = tape.gradient(loss, pixels).numpy()
    for shift in (0.0, 0.5):
        np.testing.assert_array_equal(gradients["bfloat16", shift], gradients["float32", shift])
    assert (gradients["bfloat16", 0.0] != gradients["bfloat16", 0.5]).any()


def test_resnet_features_do_not_depend_on_companions(resnet50):
    wanted = ["conv2_block1_1_conv", "conv5_block1_1_conv"]
    extract = FeatureExtractor(resnet50, wanted, "max")
    image, other = noise(40, 33), np.full((40, 33, 3), 255, np.float32)
    alone, together = extract(image[np.newaxis]), extract(np.stack([image, other]))
    for name in wanted:
        scale = np.abs(alone[name]).max()
        np.testing.assert_allclose(together[name][0], alone[name][0], rtol=1e-4, atol=1e-5 * scale)


def test_resnet_average_pooling(resnet50):
    wanted = ["conv1_relu", "pool1_pool"]
    found, maximal = (
        FeatureExtractor(resnet50, wanted, pooling)(noise(21, 34)[np.newaxis]) for pooling in ("avg", "max")
    )
    np.testing.assert_array_equal(found["conv1_relu"], maximal["conv1_relu"])
    padded = np.pad(found["conv1_relu"][0].numpy().astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))[::2, ::2]
    np.testing.assert_allclose(found["pool1_pool"][0], windows.mean(axis=(-2, -1)), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("backbone", layers.BACKBONES)
def test_layer_tables_are_those_of_keras(backbone):
    network = build_backbone(backbone)
    skipped = keras.layers.InputLayer | keras.layers.ZeroPadding2D
    actual = [layer.name for layer in network.layers if not isinstance(layer, skipped)]
    assert set(layers.layer_names(backbone)) == set(actual)
    assert len(layers.layer_names(backbone)) == len(actual)
    if backbone != "resnet50":  # ResNet50 has layers of equal depth, whose order is a matter of taste.
        assert list(layers.layer_names(backbone)) == actual


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("conv5_2", "block5_conv2"), ("block5_conv2", "block5_conv2"), ("pool3", "block3_pool")],
)
def test_both_spellings_name_one_layer(given, canonical):
    assert layers.canonical_layer_name("vgg19", given) == canonical
