"""Matrix products that keep float32's bits where the device would round their inputs to TensorFloat-32.

From Ampere on, NVIDIA GPUs round the inputs of float32 matrix products to 10 bits of mantissa, unless the whole process
forgoes that, convolutions included. An optimiser's products are a small part of the work and must not lose bits, so
each input is split into a part that TensorFloat-32 holds exactly and the rest.
"""

import tensorflow as tf

from stylecore.tensors import Tensor

_DROPPED_BITS = 13  # TensorFloat-32 keeps 10 of float32's 23 bits of mantissa.


def products_are_rounded() -> bool:
    """Returns whether float32 matrix products of this process may be rounded to TensorFloat-32."""
    return bool(tf.config.experimental.tensor_float_32_execution_enabled() and tf.config.list_physical_devices("GPU"))


def exact_matmul(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """Returns the product of two float32 matrices, or batches of them, with at least 20 bits of each input.

    Where products are rounded it takes three: with a = h + l, the high part h exact in TensorFloat-32 and l the rest,
    a b = h_a h_b + h_a l_b + l_a h_b, up to l_a l_b, which is 2^-20 of it. Elsewhere it is `tf.matmul`.

    Args:
      a: [..., rows, inner], or [..., inner, rows] with `transpose_a`.
      b: [..., inner, columns], or [..., columns, inner] with `transpose_b`.

    References:
      Markidis et al.: NVIDIA Tensor Core Programmability, Performance and Precision. IPDPSW 2018.
    """
    how = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    if not products_are_rounded():
        return tf.matmul(a, b, **how)
    a_high, b_high = _high_part(a), _high_part(b)
    crossed = tf.matmul(a_high, b - b_high, **how) + tf.matmul(a - a_high, b_high, **how)
    return tf.matmul(a_high, b_high, **how) + crossed


def _high_part(values: Tensor) -> Tensor:
    """Cuts float32 values off after 10 bits of mantissa."""
    bits = tf.bitcast(values, tf.int32)
    return tf.bitcast(tf.bitwise.bitwise_and(bits, -(1 << _DROPPED_BITS)), tf.float32)
