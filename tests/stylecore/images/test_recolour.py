"""Luminance and chroma, and styles with a content's colours; the moments are NumPy's own, in float64."""

import numpy as np
import pytest

from stylecore.images.recolour import LUMINANCE, colour_map, colours_like, grey, grey_like, with_chroma_of
from tests.support.pictures import noise


def picture(height, width, seed, low=0, high=255):
    """Smooth colours, correlated between the channels."""
    values = np.random.default_rng(seed).uniform(0, 1, (height, width, 3)) @ [[1, 0.4, 0.1], [0.2, 1, 0.3], [0, 0.5, 1]]
    return (low + (high - low) * values / values.max()).astype(np.float32)


def luminance(image):
    return image.astype(np.float64) @ LUMINANCE


def moments(colours):
    return colours.mean(axis=0), np.cov(colours, rowvar=False, bias=True)


def test_grey_is_the_luminance_in_every_channel():
    image = picture(5, 7, 0)
    for channel in range(3):
        np.testing.assert_allclose(grey(image)[..., channel], luminance(image), rtol=1e-6)


def test_a_picture_with_the_chroma_of_a_content_keeps_its_luminance():
    made, content = picture(9, 8, 1), noise(9, 8, dtype=np.uint8)
    joined = with_chroma_of(made, content)
    np.testing.assert_allclose(luminance(joined), luminance(made), atol=1e-4)
    assert joined.min() >= 0 and joined.max() <= 255


def test_chroma_is_the_contents_where_it_is_in_gamut_and_else_shrinks_just_so_far():
    made, content = picture(30, 30, 1), noise(30, 30, dtype=np.uint8)
    chroma = content - luminance(content)[..., np.newaxis]
    wanted = luminance(made)[..., np.newaxis] + chroma
    in_gamut = ((wanted >= 0) & (wanted <= 255)).all(axis=-1)
    joined = with_chroma_of(made, content)
    found = joined - luminance(made)[..., np.newaxis]
    assert 0 < in_gamut.sum() < in_gamut.size
    np.testing.assert_allclose(found[in_gamut], chroma[in_gamut], atol=1e-4)
    # Outside, the hue is the same and one channel lies on the border.
    share = (found * chroma).sum(axis=-1) / (chroma**2).sum(axis=-1)
    np.testing.assert_allclose(found, share[..., np.newaxis] * chroma, atol=1e-3)
    border = np.minimum(joined, 255 - joined).min(axis=-1)
    assert (border[~in_gamut] < 1e-3).all() and (share[~in_gamut] < 1).all()


def test_a_grey_style_has_the_contents_mean_and_deviation():
    style, content = picture(20, 30, 2), picture(40, 20, 3, 80, 180)
    found = grey_like(style, content)
    assert found[..., 0].mean() == pytest.approx(luminance(content).mean(), abs=1e-2)
    assert found[..., 0].std() == pytest.approx(luminance(content).std(), abs=1e-2)
    assert (found[..., 0] == found[..., 1]).all() and (found[..., 1] == found[..., 2]).all()


def test_a_style_of_one_grey_takes_the_contents_mean():
    found = grey_like(np.full((4, 4, 3), 7, np.uint8), picture(6, 6, 1))
    np.testing.assert_allclose(found, luminance(picture(6, 6, 1)).mean(), rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_recoloured_style_has_the_contents_mean_and_covariance(seed):
    style, content = picture(40, 30, seed), picture(25, 35, 100 + seed, 30, 200)
    matrix, offset = colour_map(style, content)
    mean, covariance = moments(style.reshape(-1, 3).astype(np.float64) @ matrix.T + offset)
    wanted_mean, wanted_covariance = moments(content.reshape(-1, 3).astype(np.float64))
    np.testing.assert_allclose(mean, wanted_mean, rtol=1e-9)
    np.testing.assert_allclose(covariance, wanted_covariance, rtol=1e-9, atol=1e-6)
    # An optimal transport between Gaussians is symmetric and positive.
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-9, atol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() > 0


def test_it_moves_colours_less_than_the_product_of_the_roots():
    style, content = picture(40, 30, 1), picture(25, 35, 7, 30, 200)[..., ::-1]
    matrix, offset = colour_map(style, content)
    (mean_s, cov_s), (mean_c, cov_c) = (moments(image.reshape(-1, 3).astype(np.float64)) for image in (style, content))
    roots = [vectors * np.sqrt(values) @ vectors.T for values, vectors in map(np.linalg.eigh, (cov_s, cov_c))]
    other = roots[1] @ np.linalg.inv(roots[0])
    colours = style.reshape(-1, 3)
    moved = ((colours @ matrix.T + offset - colours) ** 2).sum()
    assert moved < (((colours - mean_s) @ other.T + mean_c - colours) ** 2).sum()


@pytest.mark.parametrize(
    "style", [np.full((4, 4, 3), 90, np.uint8), np.repeat(noise(8, 8, dtype=np.uint8)[..., :1], 3, -1)]
)
def test_a_style_of_few_colours_can_be_recoloured(style):
    found = colours_like(style, picture(6, 6, 1))
    assert np.isfinite(found).all() and found.min() >= 0 and found.max() <= 255
    np.testing.assert_allclose(found.mean(axis=(0, 1)), picture(6, 6, 1).mean(axis=(0, 1)), atol=2)


def test_equal_images_keep_their_colours():
    image = picture(12, 12, 5)
    np.testing.assert_allclose(colours_like(image, image), image, atol=1e-3)
