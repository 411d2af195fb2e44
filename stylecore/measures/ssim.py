"""SSIM (Wang 2004): how much of the content's structure a picture keeps, by means and variances in small windows."""

import numpy as np

from stylecore.images.recolour import LUMINANCE

_LUMINANCE = LUMINANCE.astype(np.float32)
_RADIUS_PX = 5
_SIGMA_PX = 1.5
_STABLE_MEAN, _STABLE_VARIANCE = (0.01 * 255) ** 2, (0.03 * 255) ** 2
# Rows of windows at a time, so that no copy of a large picture is held.
_STRIP_ROWS = 256


def ssim(picture: np.ndarray, content: np.ndarray) -> float | None:
    """Returns the mean SSIM of two pictures' luminances: 1 if they are the same, about 0 if nothing agrees.

    Args:
      picture: RGB [height, width, 3] in 0..255.
      content: likewise, of the same size.

    Returns:
      A number in -1..1; None if no window of 11x11 pixels fits.
    """
    height, width = picture.shape[0] - 2 * _RADIUS_PX, picture.shape[1] - 2 * _RADIUS_PX
    if height < 1 or width < 1:
        return None
    total = 0.0
    for top in range(0, height, _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS + 2 * _RADIUS_PX)
        total += float(_windows(_luminance(picture[rows]), _luminance(content[rows])).sum(dtype=np.float64))
    return total / (height * width)


def _luminance(pixels: np.ndarray) -> np.ndarray:
    return (pixels * _LUMINANCE).sum(axis=-1)


def _windows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    mean_a, mean_b = _blurred(a), _blurred(b)
    variances = _blurred(a * a) + _blurred(b * b) - mean_a**2 - mean_b**2
    covariance = _blurred(a * b) - mean_a * mean_b
    agreement = (2 * mean_a * mean_b + _STABLE_MEAN) * (2 * covariance + _STABLE_VARIANCE)
    quotient: np.ndarray = agreement / ((mean_a**2 + mean_b**2 + _STABLE_MEAN) * (variances + _STABLE_VARIANCE))
    return quotient


def _blurred(values: np.ndarray) -> np.ndarray:
    """Returns the Gaussian mean of every window that lies inside [height, width]."""
    taps = np.exp(-0.5 * (np.arange(-_RADIUS_PX, _RADIUS_PX + 1) / _SIGMA_PX) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    height, width = values.shape[0] - 2 * _RADIUS_PX, values.shape[1] - 2 * _RADIUS_PX
    down = sum(tap * values[shift : shift + height] for shift, tap in enumerate(taps))
    across: np.ndarray = sum(tap * down[:, shift : shift + width] for shift, tap in enumerate(taps))
    return across
