"""One problem: the sizes of its images, its initial image, and what is refused."""

import contextlib
import dataclasses
import functools

import numpy as np
import pytest

from stylecore.config.style_config import StyleConfig
from stylecore.images.initial import white_noise
from stylecore.images.recolour import colours_like, grey
from stylecore.images.resize import resize
from stylecore.run.problem import prepare
from tests.support.pictures import noise

picture = functools.partial(noise, dtype=np.uint8)


@pytest.mark.parametrize(
    ("settings", "size"), [({}, (30, 20)), ({"image_size": 15}, (15, 10)), ({"image_size": 99}, (30, 20))]
)
def test_content_and_initial_image_have_the_results_size(settings, size):
    problem = prepare(picture(30, 20), picture(8, 9), StyleConfig(**settings))
    for image in (problem.content, problem.initial):
        assert image is not None
        assert (image.shape, image.dtype) == ((*size, 3), np.float32)
    np.testing.assert_array_equal(problem.content, resize(picture(30, 20), *size))


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"style_fit": "stretch"}, (30, 20)),
        ({"style_fit": "stretch", "style_scale": 0.5}, (30, 20)),
        ({"style_fit": "keep"}, (15, 30)),
        ({"style_fit": "keep", "style_scale": 2.0}, (30, 60)),
        ({"style_fit": "keep", "style_scale": 0.01}, (1, 1)),
        ({"style_fit": "keep", "image_size": 15}, (8, 15)),
    ],
)
def test_how_styles_fit(settings, size):
    style = picture(40, 80, 1)
    (fitted,) = prepare(picture(30, 20), style, StyleConfig(**settings)).styles
    assert fitted.weight == 1
    np.testing.assert_array_equal(fitted.image, resize(style, *size))


def test_a_kept_style_is_measured_by_the_longest_side():
    (fitted,) = prepare(picture(20, 30), picture(40, 80, 1), StyleConfig(style_fit="keep")).styles
    assert fitted.image.shape == (15, 30, 3)


def test_every_style_keeps_its_weight_as_given():
    styles = [(picture(8, 9, 1), 3), (picture(12, 7, 2), 0.25)]
    problem = prepare(picture(30, 20), styles, StyleConfig(style_fit="keep"))
    assert [(fitted.image.shape, fitted.weight) for fitted in problem.styles] == [
        ((27, 30, 3), 3.0),
        ((30, 18, 3), 0.25),
    ]


@pytest.mark.parametrize("seed", [0, 30, 2**63 - 1])
def test_white_noise_is_numpys(seed):
    expected = np.random.Generator(np.random.PCG64(seed)).uniform(0, 255, (7, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(white_noise(seed, 7, 5), expected)
    problem = prepare(picture(14, 10), picture(8, 9), StyleConfig(seed=seed, image_size=7))
    np.testing.assert_array_equal(problem.initial, expected)


def test_where_the_optimisation_starts():
    content, first, second = picture(30, 20), picture(40, 80, 1), picture(9, 9, 2)
    styles = [(first, 0.0), (second, 1.0)]
    starts = {
        init: prepare(content, styles, StyleConfig(init=init, style_fit="keep")).initial
        for init in ("content", "style")
    }
    np.testing.assert_array_equal(starts["content"], content)
    np.testing.assert_array_equal(starts["style"], resize(first, 30, 20))


@pytest.mark.parametrize("init", ["content", "style", "image"])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_noise_is_blended_into_the_start(init, share):
    images = {"content": picture(30, 20), "style": picture(40, 80, 1), "image": picture(9, 70, 2)}
    start = resize(images[init], 30, 20)
    config = StyleConfig(init=init, noise_blend=share, seed=5)
    initial = images["image"] if init == "image" else None
    found = prepare(images["content"], images["style"], config, initial).initial
    assert found is not None
    np.testing.assert_allclose(found, (1 - share) * start + share * white_noise(5, 30, 20), atol=1e-4)


def test_the_first_stage_starts_from_the_initial_picture_in_its_own_colours():
    initial, config = picture(61, 40, 2), StyleConfig(init="image", pyramid=((0.5, 0.5), (1, 0.5)))
    for color, expected in (("style", initial), ("match", initial), ("content", grey(initial))):
        problem = prepare(picture(30, 20), picture(8, 9), dataclasses.replace(config, color=color), initial)
        first, second = (stage.initial for stage in problem.stages)
        assert first is not None and second is None
        np.testing.assert_allclose(first, resize(expected, 15, 10), atol=0.51)  # Rounded to 8 bits, then grey.


@pytest.mark.parametrize(
    ("settings", "size", "message"),
    [
        ({"init": "image"}, None, "init must be noise, content or style without initial, got image"),
        ({"init": "content"}, (30, 20), "init must be image with initial, got content"),
        ({}, (30, 20), "init must be image with initial, got noise"),
        ({"init": "image", "color": "content"}, (20, 30), "initial must have the content's shape with color content"),
        ({"init": "image", "color": "content"}, (30, 22), "20x30 pixels or .* got 22x30"),
        ({"init": "image", "color": "content"}, (30, 21), None),
        ({"init": "image", "color": "content"}, (301, 199), None),
        ({"init": "image", "color": "content", "image_size": 6}, (60, 43), None),
        ({"init": "image", "color": "match"}, (20, 30), None),
    ],
)
def test_an_initial_picture_that_does_not_suit_is_refused(settings, size, message):
    initial = picture(size[0], size[1], 3) if size else None
    with pytest.raises(ValueError, match=message) if message else contextlib.nullcontext():
        prepare(picture(30, 20), picture(8, 9), StyleConfig(**settings), initial)


def test_a_style_is_recoloured_before_anything_else():
    content, style = picture(30, 20), picture(40, 80, 1)
    used = prepare(content, style, StyleConfig(color="match", init="style", style_fit="keep", image_size=15))
    recoloured = colours_like(style, content)
    np.testing.assert_array_equal(used.styles[0].image, resize(recoloured, 8, 15))
    np.testing.assert_array_equal(used.initial, resize(recoloured, 15, 10))
    np.testing.assert_array_equal(used.content, resize(content, 15, 10))
    as_it_comes = prepare(content, style, StyleConfig(style_fit="keep", image_size=15))
    np.testing.assert_array_equal(used.in_colour.styles[0][0], as_it_comes.styles[0].image)


@pytest.mark.parametrize("init", ["noise", "content", "style"])
def test_where_the_contents_colours_are_kept_every_image_is_grey(init):
    config = StyleConfig(color="content", init=init, pyramid=((0.5, 0.5), (1, 0.5)), style_fit="keep")
    used = prepare(picture(30, 20), [(picture(40, 80, 1), 1.0), (picture(9, 9, 2), 0.5)], config)
    for stage in used.stages:
        for image in (stage.content, stage.initial, *(style.image for style in stage.styles)):
            assert image is None or (image.max(axis=-1) == image.min(axis=-1)).all()
        np.testing.assert_array_equal(stage.in_colour.content, resize(picture(30, 20), *stage.content.shape[:2]))
    assert used.stages[0].initial is not None


GOOD = picture(4, 4)
NAN = np.full((4, 4, 3), np.nan, np.float32)


@pytest.mark.parametrize(
    ("content", "style", "message"),
    [
        (GOOD[..., 0], GOOD, r"content must be an array \[height, width, 3\], got \(4, 4\)"),
        (GOOD, np.zeros((4, 4, 4), np.uint8), r"style must be an array \[height, width, 3\], got \(4, 4, 4\)"),
        (GOOD[:0], GOOD, r"content must be an array \[height, width, 3\], got \(0, 4, 3\)"),
        ("photo.jpg", GOOD, "content must be an array"),
        (GOOD.astype(np.float64), GOOD, "content must be uint8 or float32, got float64"),
        (GOOD, np.full((4, 4, 3), 256, np.float32), r"style must lie in 0\.\.255, got 256\.0\.\.256\.0"),
        (GOOD, NAN, r"style must lie in 0\.\.255, got nan"),
        (GOOD, [], "style must be an image, a Style or a list"),
        (GOOD, [(GOOD, 1.0), (NAN, 1.0)], "style must lie"),
    ],
)
def test_what_is_no_image_is_refused(content, style, message):
    with pytest.raises(ValueError, match=message):
        prepare(content, style, StyleConfig())


def test_an_initial_picture_that_is_no_image_is_refused():
    with pytest.raises(ValueError, match="initial must be uint8 or float32, got float64"):
        prepare(GOOD, GOOD, StyleConfig(init="image"), GOOD.astype(np.float64))
