"""SSIM and the palette distance against other people's code and against what they must say of known pictures."""

import numpy as np
import pytest
from scipy.stats import wasserstein_distance
from skimage import data
from skimage.metrics import structural_similarity

from stylecore.images.resize import resize
from stylecore.measures.measure import MEASURES, measure
from stylecore.measures.palette import _directions, oklab, palette_distance
from stylecore.measures.ssim import ssim

LUMINANCE = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def photograph():
    return np.rint(resize(data.astronaut(), 300, 280)).astype(np.uint8)


@pytest.fixture(scope="module")
def painting():
    """Returns warm coarse noise, another palette than the photograph's, of another size."""
    coarse = np.random.default_rng(5).uniform([150, 60, 0], [255, 160, 60], (12, 15, 3)).astype(np.float32)
    return np.rint(resize(coarse, 190, 240)).astype(np.uint8)


def blended(one, other, share):
    return np.rint((1 - share) * one + share * resize(other, *one.shape[:2])).astype(np.uint8)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_ssim_is_scikit_images(photograph, painting, share):
    picture = blended(photograph, painting, share)
    expected = structural_similarity(
        picture @ LUMINANCE,
        photograph @ LUMINANCE,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
    )
    assert ssim(picture, photograph.astype(np.float32)) == pytest.approx(expected, abs=1e-4)


def test_ssim_of_a_picture_smaller_than_a_window_is_none(photograph):
    assert ssim(photograph[:10], photograph[:10]) is None
    assert ssim(photograph[:11], photograph[:11]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("colour", "lab"),
    [
        ((255, 255, 255), (1, 0, 0)),
        ((255, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 255, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 255), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_oklab_of_known_colours(colour, lab):
    assert oklab(np.array(colour)) == pytest.approx(lab, abs=1e-4)


def test_palette_distance_is_scipys_over_every_pixel(photograph, painting):
    picture = blended(photograph, painting, 0.4)

    def distance(one, other):
        pairs = (np.float64(_directions()) @ oklab(image.reshape(-1, 3)).T for image in (one, other))
        return np.mean([wasserstein_distance(a, b) for a, b in zip(*pairs, strict=True)])

    expected = distance(picture, painting) / distance(photograph, painting)
    assert palette_distance(picture, photograph, [(painting, 1.0)]) == pytest.approx(expected, rel=0.01)


def test_palette_distance_falls_from_content_to_style(photograph, painting):
    blends = [blended(photograph, painting, share) for share in (0, 0.25, 0.5, 0.75, 1)]
    distances = [palette_distance(blend, photograph, [(painting, 1.0)]) or 0.0 for blend in blends]
    assert all(distances)
    assert distances == sorted(distances, reverse=True)
    assert distances[0] == 1
    assert distances[-1] < 0.05


def test_palette_distance_of_two_styles_weighs_their_distances(photograph, painting):
    picture, grey = blended(photograph, painting, 0.5), np.full((20, 20, 3), 90, np.uint8)
    assert palette_distance(picture, photograph, [(painting, 2.0), (grey, 0.0)]) == pytest.approx(
        palette_distance(picture, photograph, [(painting, 1.0)])
    )
    assert palette_distance(photograph, photograph, [(painting, 3.0), (grey, 1.0)]) == pytest.approx(1)


def test_palette_distance_is_none_where_there_is_nothing_to_take(photograph, painting):
    assert palette_distance(painting, photograph, [(photograph, 1.0)]) is None
    assert palette_distance(painting, photograph, [(painting, 0.0)]) is None


def test_measure_gives_every_column_in_its_direction(photograph, painting):
    """A blend with the painting is compared with a blend with its negative, which keeps less and takes less."""
    near, far = (blended(photograph, other, 0.3) for other in (painting, 255 - painting))
    better, worse = (measure(picture, photograph, [(painting, 1.0)]) for picture in (near, far))
    assert tuple(better) == tuple(one.key for one in MEASURES)
    assert (better.pop("measure_lpips"), better.pop("measure_style")) == (None, None)
    directions = {one.key: one.better for one in MEASURES}
    for key, value in better.items():
        assert value is not None and (other := worse[key]) is not None
        assert (value < other) == (directions[key] == "min")
