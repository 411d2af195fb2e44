"""A first Hessian that is smooth in frequency: B = C^T diag((1 + (f / f0)^2)^-p) C, with C the orthonormal 2-D DCT-II.

L-BFGS begins every direction with an estimate of the inverse Hessian. The multiple of the identity that it usually
takes treats all frequencies of a picture alike, but the losses of deep features are flattest towards the low ones: B
gives these longer steps from the start, where curvature pairs would have to find them one by one.

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

# The exponent p and the corner frequency f0 (1: the highest frequency along an axis): see benchmarks/evaluations.py.
EXPONENT, CORNER = 0.5, 0.05


class Spectrum(NamedTuple):
    """B for pictures of one size; all three are 0 where no picture of a batch has it.

    Attributes:
      rows: the cosines of the vertical frequencies, [height, height] float32.
      columns: those of the horizontal ones, [width, width] float32.
      gains: the eigenvalues of B, [height, width] float32.
    """

    rows: Tensor
    columns: Tensor
    gains: Tensor


def spectrum(images: Images, chosen: MaskPerPicture, exponent: Tensor, corner: Tensor) -> Spectrum:
    """Returns B for pictures of the size of `images`.

    Args:
      images: [batch, height, width, channels].
      chosen: [batch], bool: which of them have it.
      exponent: p >= 0, float32 scalar.
      corner: f0 > 0, float32 scalar.
    """
    height, width = tf.unstack(tf.shape(images)[1:3])

    def made() -> Spectrum:
        return Spectrum(cosines(height), cosines(width), gains(height, width, exponent, corner))

    def nothing() -> Spectrum:
        return Spectrum(tf.zeros([height, height]), tf.zeros([width, width]), tf.zeros([height, width]))

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
        scaled = basis.gains * _coefficients(images, basis)
        planes = exact_matmul(exact_matmul(basis.rows, scaled, transpose_a=True), basis.columns)
        return tf.transpose(planes, [0, 2, 3, 1])

    return _where_chosen(chosen, filtered, images)


def smooth_square(images: Images, chosen: MaskPerPicture, basis: Spectrum) -> PerPicture:
    """Returns x . B x of each chosen image x, and x . x of the others; the arguments are those of `smoothed`."""

    def filtered() -> PerPicture:
        return tf.reduce_sum(basis.gains * tf.square(_coefficients(images, basis)), axis=[1, 2, 3])

    return _where_chosen(chosen, filtered, tf.reduce_sum(tf.square(images), axis=[1, 2, 3]))


def _where_chosen(chosen: MaskPerPicture, filtered: Callable[[], Tensor], otherwise: Tensor) -> Tensor:
    """Selects per image what `filtered` computes, which it does only if any image is chosen."""
    mask = tf.reshape(chosen, [-1] + [1] * (len(otherwise.shape) - 1))
    return tf.cond(tf.reduce_any(chosen), lambda: tf.where(mask, filtered(), otherwise), lambda: otherwise)


def _coefficients(images: Images, basis: Spectrum) -> Tensor:
    """Returns the cosine transform, [batch, channels, height, width]."""
    planes = tf.transpose(images, [0, 3, 1, 2])
    return exact_matmul(exact_matmul(basis.rows, planes), basis.columns, transpose_b=True)


def gains(height: Tensor, width: Tensor, exponent: Tensor, corner: Tensor) -> Tensor:
    """Returns (1 + (f / f0)^2)^-p with f^2 = (i / height)^2 + (j / width)^2 for the coefficient (i, j).

    Args:
      height, width: of the picture in pixels, int32 scalars.
      exponent: p, float32 scalar.
      corner: f0, float32 scalar.

    Returns:
      [height, width], float32; 1 at zero frequency.
    """
    # One matrix for the whole batch: a vectorised power rounds by where in its tensor a number stands.
    squares = [tf.square(tf.range(side, dtype=tf.float32) / tf.cast(side, tf.float32)) for side in (height, width)]
    return tf.pow(1.0 + (squares[0][:, tf.newaxis] + squares[1]) / tf.square(corner), -exponent)


def cosines(side: Tensor) -> Tensor:
    """Returns the orthonormal DCT-II of length `side` (int32 scalar) as a matrix [frequency, position], float32."""
    count = tf.cast(side, tf.float64)
    places = tf.range(side, dtype=tf.float64)
    matrix = tf.cos((math.pi / count) * places[:, tf.newaxis] * (places + 0.5)) * tf.sqrt(2.0 / count)
    scale = tf.where(places > 0, tf.ones_like(places), tf.fill(tf.shape(places), tf.sqrt(tf.constant(0.5, tf.float64))))
    return tf.cast(matrix * scale[:, tf.newaxis], tf.float32)
