"""Normalised gradients: each layer pulls with its weight, whatever the size of its loss.

References:
  Johnson: neural-style, 2015, option -normalize_gradients (https://github.com/jcjohnson/neural-style): there the
  gradient that a loss module sends back is divided by its L1 norm + 1e-8 and multiplied by the module's strength.
"""

import tensorflow as tf

from stylecore.tensors import Features, PerPicture, Tensor

_NO_ZERO_DIVISION = 1e-8


def with_normalized_gradient(features: Features, strength: PerPicture) -> Features:
    """Returns features as they are; the gradient that flows back through them is normalised for each picture.

    Of a loss E of one layer with features F that counts `strength` times in the total, s dE/dF arrives, and

        s g / (|g|_1 + 1e-8),  g = dE/dF,  |g|_1 = the sum of |g| over the picture's positions and channels,

    goes on to the layers below: nothing where s = 0. The result is the gradient of no function.

    Args:
      features: of a layer, as one loss sees them.
      strength: s, the weight of the loss in the total, >= 0.
    """

    @tf.custom_gradient
    def unchanged(values: Features) -> tuple[Features, object]:
        def gradient(upstream: Tensor) -> Tensor:
            s = strength[:, tf.newaxis, tf.newaxis, tf.newaxis]
            length = tf.reduce_sum(tf.abs(upstream), axis=[1, 2, 3], keepdims=True)
            # With u = s g: s g / (|g| + e) = s u / (|u| + s e).
            return upstream * tf.math.divide_no_nan(s, length + s * _NO_ZERO_DIVISION)

        return tf.identity(values), gradient

    return unchanged(features)
