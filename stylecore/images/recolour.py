"""Whose colours a picture has: luminance and chroma apart, and images recoloured like another. float32, 0..255.

References:
  Gatys, Ecker, Bethge, Hertzmann, Shechtman: Controlling Perceptual Factors in Neural Style Transfer. CVPR 2017,
  section 5.
"""

import numpy as np

# Rec. 601 over the full range, as in JPEG: video's 16..235 would wash the colours out.
LUMINANCE = np.array([0.299, 0.587, 0.114])
# The least variance of colours along any direction, so that an image of few colours has an inverse.
_LEAST_VARIANCE = 1e-5 * 255.0**2


def grey(image: np.ndarray) -> np.ndarray:
    """Returns an image's luminance in three equal channels.

    Args:
      image: RGB [height, width, 3] in 0..255.

    Returns:
      float32 of the same shape, in 0..255.
    """
    luminance = (image.astype(np.float64) @ LUMINANCE).astype(np.float32)
    return np.repeat(luminance[..., np.newaxis], 3, axis=-1)


def grey_like(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Returns a style's luminance with the mean and the standard deviation of a content's, in three equal channels.

    Args:
      style, content: RGB [h, w, 3] of any sizes, in 0..255.

    Returns:
      float32 of the style's shape; clipped to 0..255, which may move both moments.
    """
    ours, theirs = grey(style).astype(np.float64), grey(content).astype(np.float64)
    spread = ours.std()
    scale = theirs.std() / spread if spread > 0 else 0.0
    return _levels((ours - ours.mean()) * scale + theirs.mean())


def with_chroma_of(picture: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Joins a picture's luminance with a content's chroma.

    Where a colour leaves 0..255 its chroma shrinks just so far that it does not; the luminance stays.

    Args:
      picture: RGB [height, width, 3] in 0..255, of which the luminance counts.
      content: likewise, of the same size.

    Returns:
      float32 [height, width, 3] in 0..255.
    """
    luminance = grey(picture).astype(np.float64)
    chroma = content.astype(np.float64) - content.astype(np.float64) @ LUMINANCE[:, np.newaxis]
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(chroma > 0, (255.0 - luminance) / chroma, np.where(chroma < 0, -luminance / chroma, np.inf))
    share = np.minimum(1.0, room.min(axis=-1, keepdims=True))
    return _levels(luminance + share * chroma)


def colours_like(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Returns a style with the mean and the covariance of a content's colours; see `colour_map`.

    Args:
      style, content: RGB [h, w, 3] of any sizes, in 0..255.

    Returns:
      float32 of the style's shape; clipped to 0..255, which may move both moments.
    """
    matrix, offset = colour_map(style, content)
    return _levels(style.astype(np.float64) @ matrix.T + offset)


def colour_map(style: np.ndarray, content: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the affine map of colours that gives a style's pixels the moments of a content's and moves them least.

    With the covariances C_s and C_c it is x -> T (x - mean_s) + mean_c,
    T = C_s^-1/2 (C_s^1/2 C_c C_s^1/2)^1/2 C_s^-1/2: the optimal transport between Gaussians.

    Args:
      style, content: RGB [h, w, 3] of any sizes, in 0..255.

    Returns:
      T, float64 [3, 3]; the offset mean_c - T mean_s, float64 [3].

    References:
      Knott, Smith: On the optimal mapping of distributions. J. Optimization Theory and Applications 43, 1984.
    """
    (mean_s, covariance_s), (mean_c, covariance_c) = _moments(style), _moments(content)
    root = _power(covariance_s, 0.5)
    inverse = _power(covariance_s, -0.5)
    matrix = inverse @ _power(root @ covariance_c @ root, 0.5) @ inverse
    return matrix, mean_c - matrix @ mean_s


def _moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean of the colours, and their covariance with at least `_LEAST_VARIANCE` along every direction."""
    colours = image.reshape(-1, 3).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(colours, rowvar=False, bias=True))
    return colours.mean(axis=0), (vectors * np.maximum(values, _LEAST_VARIANCE)) @ vectors.T


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """Returns a power of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * values**exponent) @ vectors.T)


def _levels(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0.0, 255.0).astype(np.float32)
