"""Matrix products of a batch whose bits depend neither on a matrix's place in the batch nor on TensorFloat-32.

With AVX2 alone, oneDNN shares out odd batches unevenly among threads, and how a product is divided changes its last
bits: on a CPU the products are those of Eigen, one matrix after the other.

From Ampere on, NVIDIA GPUs round the inputs of float32 matrix products to 10 bits of mantissa, unless the whole process
forgoes that, convolutions included. An optimiser's products are a small part of the work and must not lose bits, so
each input is split into a part that TensorFloat-32 holds exactly and the rest.
"""

from typing import NamedTuple

import tensorflow as tf

from stylecore.tensors import Tensor

_DROPPED_BITS = 13  # TensorFloat-32 keeps 10 of float32's 23 bits of mantissa.


class Factor(NamedTuple):
    """A float32 matrix, or a batch of them, ready for products: split where they are rounded.

    Attributes:
      whole: the matrix.
      high: what TensorFloat-32 holds exactly of it; the whole matrix where products are not rounded.
      rest: what is left; None where products are not rounded.
    """

    whole: Tensor
    high: Tensor
    rest: Tensor | None


def products_are_rounded() -> bool:
    """Returns whether float32 matrix products of this process may be rounded to TensorFloat-32."""
    return bool(tf.config.experimental.tensor_float_32_execution_enabled() and tf.config.list_physical_devices("GPU"))


def matmul(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """Returns the product of two matrices of one precision, or batches of them, as `tf.matmul` does.

    On a CPU a matrix's bits do not depend on its place in the batch where they are float32. Its own gradient has not
    this property. Eigen computes bfloat16 in float32, oneDNN with the instructions that processors have for it.

    Args:
      a: [..., rows, inner], or [..., inner, rows] with `transpose_a`.
      b: [..., inner, columns], or [..., columns, inner] with `transpose_b`.
    """
    if tf.as_dtype(a.dtype) == tf.bfloat16 or tf.config.list_physical_devices("GPU"):
        return tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    # The form of this operation that TensorFlow does not hand to oneDNN.
    return tf.raw_ops.BatchMatMulV3(x=a, y=b, Tout=tf.float32, adj_x=transpose_a, adj_y=transpose_b)


def factor(values: Tensor) -> Factor:
    """Makes float32 [..., rows, columns] ready for any number of products."""
    if not products_are_rounded():
        return Factor(values, values, None)
    high = _high_part(values)
    return Factor(values, high, values - high)


def product(a: Factor, b: Factor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """Returns the product of two matrices, or batches of them, with at least 20 bits of each input.

    Where products are rounded it takes three: with a = h + l, the high part h exact in TensorFloat-32 and l the rest,
    a b = h_a h_b + h_a l_b + l_a h_b, up to l_a l_b, which is 2^-20 of it. Elsewhere it is `matmul`.

    Args:
      a: of [..., rows, inner], or [..., inner, rows] with `transpose_a`.
      b: of [..., inner, columns], or [..., columns, inner] with `transpose_b`.

    References:
      Markidis et al.: NVIDIA Tensor Core Programmability, Performance and Precision. IPDPSW 2018.
    """
    how = {"transpose_a": transpose_a, "transpose_b": transpose_b}
    highest = matmul(a.high, b.high, **how)
    if a.rest is None or b.rest is None:
        return highest
    return highest + (matmul(a.high, b.rest, **how) + matmul(a.rest, b.high, **how))


def weighted_sum(weights: Tensor, rows: Factor) -> Tensor:
    """Returns the sum of the rows, each times its weight.

    Args:
      weights: [batch, rows], float32.
      rows: of [batch, rows, columns].

    Returns:
      [batch, columns].
    """
    if rows.rest is None:
        return matmul(weights[:, tf.newaxis], rows.whole)[:, 0]
    # It is bound by memory: three products read as much, and keep fewer bits.
    return tf.reduce_sum(rows.whole * weights[..., tf.newaxis], axis=1)


def exact_matmul(a: Tensor, b: Tensor, transpose_a: bool = False, transpose_b: bool = False) -> Tensor:
    """Returns the `product` of two float32 matrices, or batches of them, that enter no other one."""
    return product(factor(a), factor(b), transpose_a, transpose_b)


def _high_part(values: Tensor) -> Tensor:
    """Cuts float32 values off after 10 bits of mantissa."""
    bits = tf.bitcast(values, tf.int32)
    return tf.bitcast(tf.bitwise.bitwise_and(bits, -(1 << _DROPPED_BITS)), tf.float32)
