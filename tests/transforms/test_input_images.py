"""Input images are read once for all runs of a worker, and a problem from the cache has the same bytes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylecore import Style, StyleConfig
from stylecore.images.codec import decode_image
from stylecore.run.problem import prepare
from tests.support.pictures import paint
from transforms.input_images import ChangedError, ImageCache, read_file, sha256_hex


class Reader:
    """Reads files and notes them, in order."""

    def __init__(self):
        self.uris: list[str] = []

    def __call__(self, uri):
        self.uris.append(uri)
        return read_file(uri)


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture
def picture(tmp_path):
    """Makes an input image of a size: its URI and hash, and its pixels."""

    def make(height, width, seed):
        path = paint(tmp_path / f"{height}x{width} {seed}.png", height, width, seed)
        return (str(path), sha256_hex(path.read_bytes())), decode_image(path.read_bytes())

    return make


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"image_size": 24},
        {"style_fit": "keep", "style_scale": 0.6, "image_size": 24},
        {"pyramid": ((0.5, 0.5), (1.0, 0.5)), "init": "style"},
        {"init": "content", "image_size": 20},
        {"color": "match", "image_size": 20},
        {"color": "content", "init": "style", "image_size": 20},
    ],
)
def test_a_problem_has_the_same_bytes_from_arrays_from_files_and_from_the_cache(picture, reader, settings):
    (content, content_pixels), (style, style_pixels) = picture(30, 40, 1), picture(50, 35, 2)
    config, cache = StyleConfig(**settings), ImageCache(read=reader)
    expected = prepare(content_pixels, [(style_pixels, 0.5)], config)
    for _ in range(2):
        problem = prepare(cache.image(*content), [(cache.image(*style), 0.5)], config)
        for stage, other in zip(problem.stages, expected.stages, strict=True):
            np.testing.assert_array_equal(stage.content, other.content)
            np.testing.assert_array_equal(stage.styles[0].image, other.styles[0].image)
            np.testing.assert_array_equal(stage.in_colour.content, other.in_colour.content)
            np.testing.assert_array_equal(stage.in_colour.styles[0][0], other.in_colour.styles[0][0])
            assert stage.content.dtype == stage.styles[0].image.dtype == np.float32
            if other.initial is not None:
                np.testing.assert_array_equal(stage.initial, other.initial)
    assert reader.uris == [content[0], style[0]]


def test_masks_have_the_same_values_from_arrays_and_from_the_cache_and_are_read_once(picture, reader):
    (content, content_pixels), (mask, mask_pixels) = picture(30, 40, 1), picture(50, 35, 2)
    config, cache = StyleConfig(pyramid=((0.5, 0.5), (1.0, 0.5)), style_fit="keep"), ImageCache(0, read=reader)
    masks = {"content_mask": mask_pixels, "style_mask": mask_pixels}
    expected = prepare(content_pixels, Style(content_pixels, **masks), config)
    for _ in range(2):
        image = cache.image(*content)
        masks = {"content_mask": cache.image(*mask), "style_mask": cache.image(*mask)}
        for stage, other in zip(prepare(image, Style(image, **masks), config).stages, expected.stages, strict=True):
            np.testing.assert_array_equal(stage.styles[0].content_mask, other.styles[0].content_mask)
            np.testing.assert_array_equal(stage.styles[0].style_mask, other.styles[0].style_mask)
    assert sorted(reader.uris) == sorted([content[0], mask[0]])


@pytest.mark.parametrize("decoded_bytes", [0, 10_000_000])
def test_an_image_is_read_once_for_all_sizes_of_a_problem_and_once_for_all_problems_of_its_sizes(
    picture, reader, decoded_bytes
):
    (content, _), (style, _) = picture(30, 40, 1), picture(50, 35, 2)
    cache = ImageCache(decoded_bytes, read=reader)
    for content_weight in (1.0, 2.0, 3.0):
        config = StyleConfig(content_weight=content_weight, pyramid=((0.5, 0.5), (1.0, 0.5)), style_fit="keep")
        prepare(cache.image(*content), [(cache.image(*style), 1.0)], config)
    assert sorted(reader.uris) == [content[0], style[0]]
    prepare(cache.image(*content), [(cache.image(*style), 1.0)], StyleConfig(image_size=24))
    assert len(reader.uris) == (2 if decoded_bytes else 4)


def test_a_style_is_recoloured_once_for_all_runs_of_a_pair(picture, reader):
    (content, _), (style, _) = picture(30, 40, 1), picture(50, 35, 2)
    cache, recoloured = ImageCache(decoded_bytes=0, read=reader), []

    def recolour(ours, theirs):
        recoloured.append(theirs.shape)
        return ours.astype(np.float32) / 2

    for _ in range(3):
        image = cache.image(*style).recoloured(recolour, cache.image(*content))
        assert image.at(25, 20).shape == (25, 20, 3)
    assert recoloured == [(30, 40, 3)] and len(reader.uris) == 2


def test_many_threads_read_an_image_once(picture, reader):
    content, pixels = picture(30, 40, 1)
    all_ask = threading.Barrier(16)

    def slow(uri):
        threading.Event().wait(0.05)  # The others come meanwhile.
        return reader(uri)

    cache = ImageCache(read=slow)

    def ask(_):
        all_ask.wait(60)
        return cache.image(*content).at(15, 20)

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(ask, range(16)))
    assert len(reader.uris) == 1
    expected = np.asarray(Image.fromarray(pixels).resize((20, 15), Image.Resampling.LANCZOS), np.float32)
    assert all(np.array_equal(image, expected) for image in found)


def test_the_cache_is_bounded_in_bytes_and_keeps_what_was_used_last(picture, reader):
    images = [picture(30, 40, seed)[0] for seed in range(6)]
    cache = ImageCache(decoded_bytes=2 * 30 * 40 * 3, resized_bytes=4 * 15 * 20 * 3, read=reader)
    for image in images:
        cache.image(*image).at(15, 20)
    assert (cache.decoded.currsize, cache.resized.currsize) == (2 * 30 * 40 * 3, 4 * 15 * 20 * 3)
    for image in images[-4:]:
        cache.image(*image).at(15, 20)
    assert len(reader.uris) == 6
    cache.image(*images[0]).at(15, 20)
    assert len(reader.uris) == 7


def test_an_image_that_has_changed_is_refused_each_time(picture):
    (uri, sha256), _ = picture(30, 40, 1)
    path, cache = Path(uri), ImageCache()
    path.write_bytes(path.read_bytes() + b"more")
    for _ in range(2):
        with pytest.raises(ChangedError, match="changed since the job began"):
            cache.image(uri, sha256).at(15, 20)
