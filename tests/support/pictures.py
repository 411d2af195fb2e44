"""Synthetic images: arrays [height, width, 3] in 0..255, and files of them."""

from pathlib import Path

import numpy as np
from PIL import Image


def noise(height, width, seed=0, dtype=np.float32):
    """Independent values, uniform over 0..255."""
    random = np.random.default_rng(seed)
    if dtype == np.uint8:
        return random.integers(0, 256, (height, width, 3), np.uint8)
    return random.uniform(0, 255, (height, width, 3)).astype(dtype)


def gradient(height, width, seed):
    """A smooth gradient from top to bottom with some noise on it, float32."""
    down = np.linspace(0, 200, height)[:, None, None] * np.ones((1, width, 3))
    return (down + np.random.default_rng(seed).uniform(0, 55, (height, width, 3))).astype(np.float32)


def columns(height, width, seed):
    """Eight columns of one colour each, float32; `width` is a multiple of eight."""
    colours = np.random.default_rng(seed).uniform(20, 235, (1, 8, 3))
    return np.repeat(np.repeat(colours, height, axis=0), width // 8, axis=1).astype(np.float32)


def paint(path: Path, height: int, width: int, seed: int) -> Path:
    """Writes an image of a few large coloured patches; returns its path."""
    patches = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def paint_halves(left: Path, right: Path, height: int, width: int) -> None:
    """Writes two masks, of the left and of the right half of a picture; `width` is even."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    Image.fromarray(mask).save(left)
    Image.fromarray(255 - mask).save(right)
