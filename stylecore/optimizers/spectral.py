"""A first Hessian that is smooth in frequency: B = C^T diag(g(f)) C, with C the orthonormal 2-D DCT-II.

L-BFGS begins every direction with an estimate of the inverse Hessian. The multiple of the identity that it usually
takes treats all frequencies of a picture alike, but the losses of deep features are flattest towards the low ones: B
gives these longer steps from the start, where curvature pairs would have to find them one by one. Luminance, the mean
of the channels, is flat over a wider range of curvatures than chroma, what is left of them: each has gains of its own,

    g(f) = level + rise / (1 + (f / f0)^2),

close to how far a picture has to go over how steep its loss is, band by band, on the way to its minimum.

The transform and its inverse are two products each with dense cosine matrices, 2 HW (H + W) operations a channel each.
L-BFGS takes three of them in an evaluation, B and the transform of a norm: by count 0.6 % of the arithmetic of VGG19 to
conv5_2 at 256 px, 1.2 % at 512 and 2.4 % at 1024. The matrices are made once for many evaluations.

References:
  Ahmed, Natarajan, Rao: Discrete Cosine Transform. IEEE Transactions on Computers, 1974.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from stylecore.optimizers.products import exact_matmul
from stylecore.tensors import Images, MaskPerPicture, PerPicture, Tensor

# f0, as a share of the highest frequency along an axis, and the level and the rise of each kind of gain: fitted to what
# benchmarks/curvature.py measures, on five of its problems at 256 px.
CORNER = 0.03
LUMINANCE, CHROMA = (1.0, 55.0), (2.0, 12.0)
# The newest pair tells the curvature of the steepest directions more than of the others: along these, which B is for,
# the first step may be longer by this factor. 1 and 4 gave higher losses on the same problems.
LENGTHENED = 2.0


class Spectrum(NamedTuple):
    """B for pictures of one size; everything is 0 where no picture of a batch has it.

    Attributes:
      rows: the cosines of the vertical frequencies, [height, height] float32.
      columns: those of the horizontal ones, [width, width] float32.
      luminance: the eigenvalues of B for the mean of the channels, [height, width] float32.
      chroma: those for what is left of each channel, of the same shape.
    """

    rows: Tensor
    columns: Tensor
    luminance: Tensor
    chroma: Tensor


def spectrum(images: Images, chosen: MaskPerPicture) -> Spectrum:
    """Returns B for pictures of the size of `images`.

    Args:
      images: [batch, height, width, channels].
      chosen: [batch], bool: which of them have it.
    """
    height, width = tf.unstack(tf.shape(images)[1:3])

    def made() -> Spectrum:
        falling = 1.0 / (1.0 + _squared_frequencies(height, width) / CORNER**2)
        gains = (level + rise * falling for level, rise in (LUMINANCE, CHROMA))
        return Spectrum(cosines(height), cosines(width), *gains)

    def nothing() -> Spectrum:
        flat = tf.zeros([height, width])
        return Spectrum(tf.zeros([height, height]), tf.zeros([width, width]), flat, flat)

    return tf.cond(tf.reduce_any(chosen), made, nothing)


def smoothed(images: Images, chosen: MaskPerPicture, basis: Spectrum) -> Images:
    """Returns B times each chosen image, and the others to the bit as they are.

    Args:
      images: [batch, height, width, channels], float32; any values, such as a gradient's.
      chosen: [batch], bool.
      basis: for their size.

    Returns:
      The same shape.
    """

    def filtered() -> Images:
        scaled = _scaled(_coefficients(images, basis), basis)
        planes = exact_matmul(exact_matmul(basis.rows, scaled, transpose_a=True), basis.columns)
        return tf.transpose(planes, [0, 2, 3, 1])

    return _where_chosen(chosen, filtered, images)


def smooth_square(images: Images, chosen: MaskPerPicture, basis: Spectrum) -> PerPicture:
    """Returns x . B x of each chosen image x, and x . x of the others; the arguments are those of `smoothed`."""

    def filtered() -> PerPicture:
        coefficients = _coefficients(images, basis)
        return tf.reduce_sum(coefficients * _scaled(coefficients, basis), axis=[1, 2, 3])

    return _where_chosen(chosen, filtered, tf.reduce_sum(tf.square(images), axis=[1, 2, 3]))


def _where_chosen(chosen: MaskPerPicture, filtered: Callable[[], Tensor], otherwise: Tensor) -> Tensor:
    """Selects per image what `filtered` computes, which it does only if any image is chosen."""
    mask = tf.reshape(chosen, [-1] + [1] * (len(otherwise.shape) - 1))
    return tf.cond(tf.reduce_any(chosen), lambda: tf.where(mask, filtered(), otherwise), lambda: otherwise)


def _coefficients(images: Images, basis: Spectrum) -> Tensor:
    """Returns the cosine transform, [batch, channels, height, width]."""
    planes = tf.transpose(images, [0, 3, 1, 2])
    return exact_matmul(exact_matmul(basis.rows, planes), basis.columns, transpose_b=True)


def _scaled(coefficients: Tensor, basis: Spectrum) -> Tensor:
    """Applies the gains to coefficients [batch, channels, height, width]."""
    mean = tf.reduce_mean(coefficients, axis=1, keepdims=True)
    return basis.chroma * coefficients + (basis.luminance - basis.chroma) * mean


def _squared_frequencies(height: Tensor, width: Tensor) -> Tensor:
    """Returns f^2 = (i / height)^2 + (j / width)^2 for every coefficient (i, j), [height, width] float32."""
    squares = [tf.square(tf.range(side, dtype=tf.float32) / tf.cast(side, tf.float32)) for side in (height, width)]
    return squares[0][:, tf.newaxis] + squares[1]


def cosines(side: Tensor) -> Tensor:
    """Returns the orthonormal DCT-II of length `side` (int32 scalar) as a matrix [frequency, position], float32."""
    count = tf.cast(side, tf.float64)
    places = tf.range(side, dtype=tf.float64)
    matrix = tf.cos((math.pi / count) * places[:, tf.newaxis] * (places + 0.5)) * tf.sqrt(2.0 / count)
    scale = tf.where(places > 0, tf.ones_like(places), tf.fill(tf.shape(places), tf.sqrt(tf.constant(0.5, tf.float64))))
    return tf.cast(matrix * scale[:, tf.newaxis], tf.float32)
