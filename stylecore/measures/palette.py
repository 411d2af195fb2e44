"""The palette distance: how far a picture's colours are from the styles', in parts of how far the content's are."""

import functools
from collections.abc import Sequence

import numpy as np

# Pixels looked at, evenly over the picture; and the directions along which their colours are compared.
_SAMPLES = 8192
_DIRECTIONS = 16
# Nearer than this, in OKLab, two palettes are the same: a grey level is about 0.003.
_SAME = 1e-4

_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)


def palette_distance(
    picture: np.ndarray, content: np.ndarray, styles: Sequence[tuple[np.ndarray, float]]
) -> float | None:
    """Returns d(picture, styles) / d(content, styles): 0 for the styles' palette, 1 for one as far as the content's.

    d is the sliced Wasserstein distance of the colours in OKLab; of several styles, the weighted mean of the distances.

    Args:
      picture: RGB [height, width, 3] in 0..255.
      content: likewise, of any size.
      styles: such images, each with its weight >= 0.

    Returns:
      A number >= 0; None if the content has the styles' palette already, or no style has a weight.
    """
    weighted = [(_slices(image), weight) for image, weight in styles if weight > 0]
    before = _distance(_slices(content), weighted)
    if before <= _SAME * sum(weight for _, weight in weighted):
        return None
    return _distance(_slices(picture), weighted) / before


def oklab(pixels: np.ndarray) -> np.ndarray:
    """Returns sRGB [..., 3] in 0..255 in OKLab (Ottosson 2020), float32: L in 0..1, a and b about -0.4..0.4."""
    coded = pixels.astype(np.float32) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)
    lab: np.ndarray = np.cbrt(linear @ _TO_CONES.T) @ _TO_LAB.T
    return lab


def _distance(slices: np.ndarray, styles: Sequence[tuple[np.ndarray, float]]) -> float:
    return sum(weight * float(np.abs(slices - style).mean(dtype=np.float64)) for style, weight in styles)


def _slices(image: np.ndarray) -> np.ndarray:
    """Returns the image's colours along each direction, rising: float32 [_DIRECTIONS, _SAMPLES]."""
    pixels = image.reshape(-1, 3)
    places = np.linspace(0, len(pixels) - 1, _SAMPLES).round().astype(np.int64)
    return np.sort(_directions() @ oklab(pixels[places]).T, axis=1)


@functools.cache
def _directions() -> np.ndarray:
    """Returns unit vectors evenly over half a sphere, by the golden angle: [_DIRECTIONS, 3]."""
    number = np.arange(_DIRECTIONS)
    height = (number + 0.5) / _DIRECTIONS
    angle = number * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - height**2)
    return np.stack([height, radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
