"""Sizes that keep the aspect ratio, and resizing to them."""

import numpy as np
from PIL import Image


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
    if image.shape[:2] == (height, width):
        return np.asarray(image, np.float32)
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS), np.float32)
    channels = [Image.fromarray(np.ascontiguousarray(image[..., c], np.float32)) for c in range(3)]
    resized = [np.asarray(c.resize((width, height), Image.Resampling.LANCZOS)) for c in channels]
    return np.clip(np.stack(resized, axis=-1), 0.0, 255.0)
