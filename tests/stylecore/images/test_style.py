"""Styles as given and as used: what is refused, their sizes, their masks."""

import functools

import numpy as np
import pytest

from stylecore import Style, StyleConfig
from stylecore.images.resize import ArrayImage, resize, resize_mask
from stylecore.run.problem import prepare
from tests.support.pictures import noise

picture = functools.partial(noise, dtype=np.uint8)


@pytest.mark.parametrize("given", [picture(4, 5), Style(picture(4, 5)), ArrayImage(picture(4, 5))])
@pytest.mark.parametrize("listed", [False, True])
def test_an_image_and_a_style_stand_for_a_list_of_one(given, listed):
    (fitted,) = prepare(picture(8, 10, 1), [given] if listed else given, StyleConfig()).styles
    np.testing.assert_array_equal(fitted.image, resize(picture(4, 5), 8, 10))
    assert (fitted.weight, fitted.content_mask, fitted.style_mask) == (1.0, None, None)


def test_each_style_has_its_own_scale():
    styles = (
        Style(picture(40, 80), scale=0.5),
        (picture(40, 80, 1), 2.0),
        Style(picture(80, 40, 2), scale=2),
    )
    fitted = prepare(picture(20, 30), styles, StyleConfig(style_fit="keep", style_scale=0.8)).styles
    assert [style.image.shape[:2] for style in fitted] == [(8, 15), (12, 24), (60, 30)]
    assert [style.weight for style in fitted] == [1.0, 2.0, 1.0]


def test_masks_follow_the_picture_and_the_style_through_the_pyramid():
    content_mask, style_mask = picture(11, 13)[..., 0], picture(50, 9, 1)
    style = Style(picture(40, 80), content_mask=content_mask, style_mask=style_mask)
    problem = prepare(
        picture(20, 30, 1), style, StyleConfig(pyramid=((0.5, 0.5), (1, 0.5)), color="match", style_fit="keep")
    )
    for stage, size in zip(problem.stages, [(10, 15), (20, 30)], strict=True):
        (fitted,) = stage.styles
        assert fitted.content_mask is not None and fitted.style_mask is not None
        np.testing.assert_array_equal(fitted.content_mask, resize_mask(content_mask, *size))
        np.testing.assert_array_equal(fitted.style_mask, resize_mask(style_mask, *fitted.image.shape[:2]))
        assert fitted.content_mask.dtype == fitted.style_mask.dtype == np.float32


def test_a_mask_is_luminance_between_0_and_1():
    levels = np.array([[0, 51, 255]], np.uint8)
    expected = np.array([[0, 0.2, 1]], np.float32)
    for mask in (levels, levels.astype(np.float32), np.repeat(levels[..., np.newaxis], 3, axis=2)):
        np.testing.assert_array_equal(resize_mask(mask, 1, 3), expected)
    blue = np.array([[[0, 0, 255]]], np.uint8)
    np.testing.assert_allclose(resize_mask(blue, 2, 2), 0.114, rtol=1e-6)


@pytest.mark.parametrize("size", [(64, 48), (9, 7), (5, 90)])
def test_masks_that_complete_each_other_still_do_at_another_size(size):
    mask = picture(20, 30)[..., 0]
    mask[:, :15] = 255
    whole = resize_mask(mask, *size) + resize_mask(255 - mask, *size)
    np.testing.assert_allclose(whole, 1.0, atol=1e-6)


def test_a_mirrored_mask_is_the_mirrored_result():
    mask = picture(20, 30)
    np.testing.assert_allclose(resize_mask(mask[:, ::-1], 8, 12), resize_mask(mask, 8, 12)[:, ::-1], atol=1e-6)


def test_a_spot_that_a_small_size_loses_does_not_make_a_mask_empty():
    mask = np.zeros((4000, 10), np.float32)
    mask[0, 0] = 1e-42
    (fitted,) = prepare(picture(4, 4), Style(picture(4, 4), content_mask=mask), StyleConfig()).styles
    assert fitted.content_mask is not None and not fitted.content_mask.any()


GOOD = picture(4, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"weight": -1.0}, "the weight of a style must be a finite number >= 0, got -1.0"),
        ({"weight": float("nan")}, "the weight of a style must be a finite number >= 0, got nan"),
        ({"weight": "2"}, "the weight of a style must be a finite number >= 0, got 2"),
        ({"scale": 0.0}, "the scale of a style must be > 0 and <= 8, got 0.0"),
        ({"scale": 8.5}, "the scale of a style must be > 0 and <= 8, got 8.5"),
        ({"scale": float("nan")}, "the scale of a style must be > 0 and <= 8, got nan"),
        ({"content_mask": GOOD[0, 0]}, r"content_mask must be an array \[height, width\] or .*, got \(3,\)"),
        ({"style_mask": GOOD[..., :2]}, r"style_mask must be an array \[height, width\] or .*, got \(4, 4, 2\)"),
        ({"style_mask": GOOD > 9}, "style_mask must be uint8 or float32, got bool"),
        ({"content_mask": np.full((2, 2), 256, np.float32)}, r"content_mask must lie in 0\.\.255, got 256.0"),
        ({"content_mask": "mask.png"}, r"content_mask must be an array .*, got <class 'str'>"),
    ],
)
def test_an_illegal_style_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Style(GOOD, **values)


@pytest.mark.parametrize(
    ("style", "settings", "message"),
    [
        (Style(GOOD, scale=2), {}, "style_fit must be keep with the scale of a style, got stretch"),
        ([GOOD, Style(GOOD, content_mask=GOOD * 0)], {}, "content_mask of style 2 is empty: "),
        (Style(GOOD, style_mask=GOOD[..., 0] * 0), {"style_fit": "keep"}, "style_mask of style 1 is empty: "),
    ],
)
def test_what_does_not_fit_the_problem_is_refused(style, settings, message):
    with pytest.raises(ValueError, match=message):
        prepare(GOOD, style, StyleConfig(**settings))
