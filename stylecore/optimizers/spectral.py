"""A first Hessian that is smooth in frequency: B = C^T diag((1 + (f / f0)^2)^-p) C, with C the orthonormal 2-D DCT-II.

L-BFGS begins every direction with an estimate of the inverse Hessian. The multiple of the identity that it usually
takes treats all frequencies of a picture alike, but the losses of deep features are flattest towards the low ones: B
gives these longer steps from the start, where curvature pairs would have to find them one by one.

The transform and its inverse are two products each with dense cosine matrices, so B takes 4 HW (H + W) operations a
channel. L-BFGS applies it three times in an evaluation: by count 1.2 % of the arithmetic of VGG19 to conv5_2 at 256 px,
2.4 % at 512 and 4.8 % at 1024. The time was not measured.

References:
  Ahmed, Natarajan, Rao: Discrete Cosine Transform. IEEE Transactions on Computers, 1974.
"""

import math

import tensorflow as tf

from stylecore.optimizers.products import exact_matmul
from stylecore.tensors import Images, MaskPerPicture, Tensor

# The exponent p and the corner frequency f0 (1: the highest frequency along an axis): see benchmarks/evaluations.py.
EXPONENT, CORNER = 0.5, 0.05


def smoothed(images: Images, chosen: MaskPerPicture, exponent: Tensor, corner: Tensor) -> Images:
    """Returns B times each chosen image, and the others to the bit as they are.

    Args:
      images: [batch, height, width, channels], float32; any values, such as a gradient's.
      chosen: [batch], bool.
      exponent: p >= 0, float32 scalar.
      corner: f0 > 0, float32 scalar.

    Returns:
      The same shape.
    """

    def transformed() -> Tensor:
        shape = tf.shape(images)
        rows, columns = cosines(shape[1]), cosines(shape[2])
        planes = tf.transpose(images, [0, 3, 1, 2])
        spectrum = exact_matmul(exact_matmul(rows, planes), columns, transpose_b=True)
        spectrum *= gains(shape[1], shape[2], exponent, corner)
        planes = exact_matmul(exact_matmul(rows, spectrum, transpose_a=True), columns)
        return tf.where(chosen[:, tf.newaxis, tf.newaxis, tf.newaxis], tf.transpose(planes, [0, 2, 3, 1]), images)

    return tf.cond(tf.reduce_any(chosen), transformed, lambda: images)


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
