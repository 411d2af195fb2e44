"""The real thing: ImageNet weights, a photograph, a painting, and what the paper promises of them."""

import numpy as np
import pytest
from conftest import SHARED

from stylecore import StyleConfig, stylize
from stylecore.backbones import FeatureExtractor
from stylecore.images import decode_image, resize
from stylecore.losses import gram_matrix
from stylecore.weights import WeightsError, load_weights

IMAGES = SHARED / "images"
STYLE_LAYERS = ["block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1"]


@pytest.fixture(scope="module")
def weights():
    try:
        return load_weights("vgg19", "imagenet")
    except WeightsError as error:
        pytest.fail(f"the package index should have the weights: {error}")


def load(name):
    if not IMAGES.is_dir():
        pytest.skip(f"NOT RUN: ../shared/images/{name} is not there")
    return decode_image((IMAGES / name).read_bytes())


def gram_distance(features, image, painting):
    """Mean over the layers of the relative distance of Gram matrices."""
    grams = [
        [gram_matrix(layer).numpy() for layer in features(np.float32(picture[np.newaxis])).values()]
        for picture in (image, painting)
    ]
    return np.mean([np.linalg.norm(g - a) / np.linalg.norm(a) for g, a in zip(*grams, strict=True)])


@pytest.mark.imagenet
def test_basic_stylises_the_town(weights):
    content, style = load("tubingen.jpg"), load("starry_night.jpg")
    (result,) = stylize([content], [style], [StyleConfig(image_size=256, iterations=300)], weights=weights)
    assert result.loss_total < 0.06 * result.history[0].total
    height, width = result.image.shape[:2]
    painting, photograph = resize(style, height, width), resize(content, height, width)
    features = FeatureExtractor(weights.network, STYLE_LAYERS, "max")
    assert gram_distance(features, result.image, painting) < 0.25 * gram_distance(features, photograph, painting)


@pytest.mark.imagenet
def test_the_weights_know_what_they_see(weights):
    # Deep features tell a picture from its mirror image less than from another picture; random weights do not.
    from demo.photographs import PHOTOGRAPHS

    cat, coffee = (resize(np.asarray(PHOTOGRAPHS[name]()), 128, 128) for name in ("chelsea", "coffee"))
    features = FeatureExtractor(weights.network, ["block5_conv2"], "max")

    def described(image):
        return features(image[np.newaxis])["block5_conv2"].numpy().mean(axis=(0, 1, 2))

    mirrored = np.linalg.norm(described(cat) - described(cat[:, ::-1]))
    assert mirrored < 0.5 * np.linalg.norm(described(cat) - described(coffee))
