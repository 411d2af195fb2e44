"""The demo's photographs and paintings, painted once a process: a painting takes seconds."""

import functools

import numpy as np

from demo.paintings import PAINTINGS
from demo.photographs import PHOTOGRAPHS
from stylecore.images.resize import resize


@functools.cache
def photograph(name: str) -> np.ndarray:
    """Returns a photograph, [height, width, 3] uint8; not to be changed."""
    return np.asarray(PHOTOGRAPHS[name]())


@functools.cache
def painting(name: str) -> np.ndarray:
    """Returns a painting, [height, width, 3] uint8; not to be changed."""
    return np.asarray(PAINTINGS[name]())


def pair(photo: str, style: str, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a photograph and a painting, [height, width, 3] float32."""
    return resize(photograph(photo), height, width), resize(painting(style), height, width)
