"""Sizes that keep the aspect ratio, and resizing to them."""

import abc
from collections.abc import Callable

import numpy as np
from PIL import Image

from stylecore.images.recolour import LUMINANCE


def target_size(height: int, width: int, longest_side: int | None) -> tuple[int, int]:
    """Returns (height, width) in pixels with the longest side at most `longest_side`; None sets no limit.

    The aspect ratio is kept, and nothing is enlarged.
    """
    if longest_side is None or longest_side >= max(height, width):
        return height, width
    return scaled_size(height, width, longest_side)


def scaled_size(height: int, width: int, longest_side: float) -> tuple[int, int]:
    """Returns the (height, width) at which the longest side is `longest_side` pixels, each rounded and at least 1."""
    scale = longest_side / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes with Pillow's Lanczos filter.

    Args:
      image: [h, w, 3], uint8 or float32 in 0..255.
      height: rows of the result.
      width: columns of the result.

    Returns:
      float32 [height, width, 3] in 0..255; uint8 images are resized in 8 bits.
    """
    if image.dtype == np.uint8:
        return np.asarray(resize_8_bits(image, height, width), np.float32)
    if image.shape[:2] == (height, width):
        return np.asarray(image, np.float32)
    channels = [Image.fromarray(np.ascontiguousarray(image[..., c], np.float32)) for c in range(3)]
    resized = [np.asarray(c.resize((width, height), Image.Resampling.LANCZOS)) for c in channels]
    return np.clip(np.stack(resized, axis=-1), 0.0, 255.0)


def resize_8_bits(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes uint8 [h, w, 3] to uint8 [height, width, 3], see `resize`; an image of that size is returned itself."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def resize_mask(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns the luminance of a mask at another size.

    The filter is a triangle, which does not overshoot: masks that complete each other still do.

    Args:
      image: grey [h, w] or RGB [h, w, 3], uint8 or float32 in 0..255.
      height: rows of the result.
      width: columns of the result.

    Returns:
      float32 [height, width] in 0..1.
    """
    luminance = image if image.ndim == 2 else image.astype(np.float64) @ LUMINANCE
    share = (luminance / 255.0).astype(np.float32)
    if share.shape != (height, width):
        share = np.asarray(Image.fromarray(share).resize((width, height), Image.Resampling.BILINEAR))
    return np.clip(share, 0.0, 1.0)


Recolour = Callable[[np.ndarray, np.ndarray], np.ndarray]


class ScalableImage(abc.ABC):
    """An image that is asked for at the sizes at which it is used: only these need be kept."""

    @property
    @abc.abstractmethod
    def pixels(self) -> np.ndarray:
        """All its pixels: RGB [h, w, 3], uint8 or float32 in 0..255."""

    @abc.abstractmethod
    def size(self) -> tuple[int, int]:
        """Returns its own (height, width) in pixels."""

    @abc.abstractmethod
    def at(self, height: int, width: int) -> np.ndarray:
        """Returns it at this size, float32 [height, width, 3] in 0..255, as `resize` does."""

    @abc.abstractmethod
    def mask_at(self, height: int, width: int) -> np.ndarray:
        """Returns it as a mask at this size, float32 [height, width] in 0..1, as `resize_mask` does."""

    @abc.abstractmethod
    def recoloured(self, recolour: Recolour, other: "ScalableImage") -> "ScalableImage":
        """Returns `recolour` of its pixels and those of another image, as an image of its size."""


class ArrayImage(ScalableImage):
    """An image in memory: [h, w, 3], uint8 or float32 in 0..255; [h, w] where only `mask_at` is asked for."""

    def __init__(self, image: np.ndarray) -> None:
        self._image = image

    @property
    def pixels(self) -> np.ndarray:
        return self._image

    def size(self) -> tuple[int, int]:
        height, width = self._image.shape[:2]
        return height, width

    def at(self, height: int, width: int) -> np.ndarray:
        return resize(self._image, height, width)

    def mask_at(self, height: int, width: int) -> np.ndarray:
        return resize_mask(self._image, height, width)

    def recoloured(self, recolour: Recolour, other: ScalableImage) -> "ArrayImage":
        return ArrayImage(recolour(self._image, other.pixels))
