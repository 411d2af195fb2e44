"""The sliced Wasserstein distance of features (Heitz 2021): their distributions along fixed directions, compared."""

from collections.abc import Sequence

import numpy as np

DIRECTIONS = 32
_QUANTILES = 256
_NO_ZERO_DIVISION = 1e-12

# Of each layer, the quantiles of the features along each direction: float32 [DIRECTIONS, _QUANTILES].
Slices = Sequence[np.ndarray]


def directions(channels: int, seed: int) -> np.ndarray:
    """Returns fixed unit vectors, evenly spread by chance: float32 [channels, DIRECTIONS]."""
    normal = np.random.Generator(np.random.PCG64(seed)).standard_normal((channels, DIRECTIONS))
    return (normal / np.linalg.norm(normal, axis=0)).astype(np.float32)


def quantiles(projected: np.ndarray) -> np.ndarray:
    """Returns the quantiles of projected features [samples, DIRECTIONS], in rising order along each direction."""
    rising = np.sort(projected, axis=0)
    wanted = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    place = np.clip(wanted * len(rising) - 0.5, 0, len(rising) - 1)
    below = place.astype(np.int64)
    above = np.minimum(below + 1, len(rising) - 1)
    share = (place - below).astype(np.float32)[:, np.newaxis]
    found: np.ndarray = ((1 - share) * rising[below] + share * rising[above]).T
    return found


def distance(slices: Slices, style: Slices) -> float:
    """Returns the mean over layers and directions of the distance between two distributions.

    Along one direction it is the area between the two distribution functions. That of a layer counts in parts of the
    root mean square of the style's features there, so that no layer rules by the size of its numbers.
    """
    parts = (
        float(np.abs(one - other).mean(dtype=np.float64)) / (_size(other) + _NO_ZERO_DIVISION)
        for one, other in zip(slices, style, strict=True)
    )
    return sum(parts) / len(style)


def _size(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean(dtype=np.float64)))
