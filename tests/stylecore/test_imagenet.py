"""The real thing: ImageNet weights, a photograph, two paintings, and what the paper promises of them."""

import numpy as np
import pytest

from stylecore import StyleConfig, stylize
from stylecore.images.resize import resize
from stylecore.networks.features import FeatureExtractor
from stylecore.networks.weights.sources import WeightsError, load_weights
from tests.support.real_pictures import painting, photograph

# After 60 iterations at 128 pixels, as measured on a CPU; the bounds lie 15 % above.
DISTANCES = {"geometric_forms": 0.260, "woodcut_waves": 0.458}
MARGIN = 1.15


@pytest.fixture(scope="module")
def weights():
    try:
        return load_weights("vgg19", "imagenet")
    except WeightsError as error:
        pytest.fail(f"the package index should have the weights: {error}")


@pytest.mark.imagenet
def test_basic_brings_a_photograph_near_each_painting(weights):
    """Distances of Gram matrices (the root of L_style), relative to the photograph's own at the same size."""
    cat = photograph("chelsea")
    paintings = [painting(name) for name in DISTANCES]
    made, photographs = (
        stylize([cat] * len(paintings), paintings, [config] * len(paintings), weights=weights)
        for config in (
            StyleConfig(image_size=128, iterations=60),
            StyleConfig(image_size=128, iterations=0, init="content"),
        )
    )
    for picture, begun, measured in zip(made, photographs, DISTANCES.values(), strict=True):
        assert np.sqrt(picture.loss_style / begun.loss_style) < MARGIN * measured
        assert picture.loss_total < 0.1 * picture.history[0].total


@pytest.mark.imagenet
def test_the_weights_know_what_they_see(weights):
    # Deep features tell a picture from its mirror image less than from another picture; random weights do not.
    cat, coffee = (resize(photograph(name), 128, 128) for name in ("chelsea", "coffee"))
    features = FeatureExtractor(weights.network, ["block5_conv2"], "max")

    def described(image):
        return features(image[np.newaxis])["block5_conv2"].numpy().mean(axis=(0, 1, 2))

    mirrored = np.linalg.norm(described(cat) - described(cat[:, ::-1]))
    assert mirrored < 0.5 * np.linalg.norm(described(cat) - described(coffee))
