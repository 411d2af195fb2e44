"""Sizes that keep the aspect ratio, and Pillow's Lanczos filter."""

import numpy as np
import pytest
from PIL import Image

from stylecore.images.resize import resize, scaled_size, target_size


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [
        ((427, 640), 224, (149, 224)), ((640, 427), 224, (224, 149)), ((100, 50), None, (100, 50)),
        ((100, 50), 100, (100, 50)), ((100, 50), 101, (100, 50)), ((100, 50), 99, (99, 50)), ((3, 2), 1, (1, 1)),
        ((1, 3000), 10, (1, 10)), ((101, 200), 100, (51, 100)), ((99, 200), 100, (50, 100)),
    ],
)  # fmt: skip
def test_target_size_rounds_to_the_nearest_pixel_and_never_enlarges(size, longest, expected):
    assert target_size(*size, longest) == expected  # type: ignore[call-arg]


def test_scaled_size_enlarges():
    assert scaled_size(10, 5, 41) == (41, 21)


def test_resizing_is_pillows_lanczos():
    image = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((6, 11), Image.Resampling.LANCZOS))
    assert resize(image, 11, 6).dtype == np.float32
    np.testing.assert_array_equal(resize(image, 11, 6), expected)
    np.testing.assert_allclose(resize(image.astype(np.float32), 11, 6), expected, atol=1.01)


def test_resizing_floats_stays_in_range():
    step = np.zeros((8, 8, 3), np.float32)
    step[:, 4:] = 255
    resized = resize(step, 19, 23)
    assert (resized.min(), resized.max()) == (0, 255)
    np.testing.assert_array_equal(resize(step, 8, 8), step)
