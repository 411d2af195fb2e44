"""Matrix products of a batch whose bits depend neither on a matrix's place in the batch nor on TensorFloat-32.

With AVX2 alone, oneDNN shares out odd batches unevenly among threads, and how a product is divided changes its last
bits: on a CPU the products are those of Eigen, one matrix after the other.

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


def matmul(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """Returns the product of two float32 matrices, or batches of them, as `tf.matmul` does.

    On a CPU a matrix's bits do not depend on its place in the batch. Its own gradient has not this property.

    Args:
      a: [..., rows, inner], or [..., inner, rows] with `transpose_a`.
      b: [..., inner, columns], or [..., columns, inner] with `transpose_b`.
    """
    if tf.config.list_physical_devices("GPU"):
        return tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    # The form of this operation that TensorFlow does not hand to oneDNN.
    return tf.raw_ops.BatchMatMulV3(x=a, y=b, Tout=tf.float32, adj_x=transpose_a, adj_y=transpose_b)


def exact_matmul(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """Returns the product of two float32 matrices, or batches of them, with at least 20 bits of each input.

    Where products are rounded it takes three: with a = h + l, the high part h exact in TensorFloat-32 and l the rest,
    a b = h_a h_b + h_a l_b + l_a h_b, up to l_a l_b, which is 2^-20 of it. Elsewhere it is `matmul`.

    Args:
      a: [..., rows, inner], or [..., inner, rows] with `transpose_a`.
      b: [..., inner, columns], or [..., columns, inner] with `transpose_b`.

    References:
      Markidis et al.: NVIDIA Tensor Core Programmability, Performance and Precision. IPDPSW 2018.
    """
    how = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    if not products_are_rounded():
        return matmul(a, b, **how)
    a_high, b_high = _high_part(a), _high_part(b)
    crossed = matmul(a_high, b - b_high, **how) + matmul(a - a_high, b_high, **how)
    return matmul(a_high, b_high, **how) + crossed


def _high_part(values: Tensor) -> Tensor:
    """Cuts float32 values off after 10 bits of mantissa."""
    bits = tf.bitcast(values, tf.int32)
    return tf.bitcast(tf.bitwise.bitwise_and(bits, -(1 << _DROPPED_BITS)), tf.float32)
