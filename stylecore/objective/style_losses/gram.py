"""The style loss of Gatys, Ecker and Bethge: squared differences of Gram matrices."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from stylecore.objective.style_losses.base import Draw
from stylecore.objective.style_losses.guides import Guides, guided_rows
from stylecore.optimizers.products import exact_matmul, matmul
from stylecore.tensors import Features, GramMatrices, Tensor


class Gram:
    """E = 1 / (4 N^2) sum_ij (G_ij - A_ij)^2 with position-normalised Gram matrices; implements `SummedStyleLoss`.

    With equal sizes of picture and style this is the printed 1 / (4 N^2 M^2) sum (G - A)^2 of plain Gram matrices. The
    target A is the weighted sum of the styles' Gram matrices.

    References:
      Gatys, Ecker, Bethge: Image Style Transfer Using Convolutional Neural Networks. CVPR 2016.
    """

    mask_power = 2.0

    def statistics(self, features: Features, guides: Guides | None = None) -> GramMatrices:
        """Returns the Gram matrices G_ij = 1/M sum_k F_ik F_jk over the M = height * width positions."""
        return self.normalized(self.sums(features, guides), position_count(features))

    def sums(self, features: Features, guides: Guides | None = None) -> GramMatrices:
        """Returns sum_k F_ik F_jk; with guides sum_k w_rk F_ik F_jk of each region r."""
        return second_moments(features, guides)

    def normalized(self, sums: GramMatrices, positions: Tensor) -> GramMatrices:
        """Divides sums by the number of positions."""
        return sums / tf.cast(positions, sums.dtype)

    def blend(self, statistics: Sequence[GramMatrices], weights: Sequence[float]) -> GramMatrices:
        """Returns sum_s w_s G_s."""
        first, *others = (gram * weight for gram, weight in zip(statistics, weights, strict=True))
        return sum(others, start=first)

    def loss(self, statistics: GramMatrices, target: GramMatrices, draw: Draw | None = None) -> Tensor:
        """Returns E of each picture, or of each region."""
        channels = float(statistics.shape[-1])
        return tf.reduce_sum(tf.square(statistics - target), axis=[-2, -1]) / (4.0 * channels**2)

    def mean_factor(self, statistics: GramMatrices) -> float:
        """Returns the factor that makes `loss` a mean over the N^2 entries of the Gram matrix."""
        return 1.0 / float(statistics.shape[-1]) ** 2


def gram_matrix(features: Features) -> GramMatrices:
    """Position-normalised Gram matrix G_ij = 1/M sum_k F_ik F_jk over the M = height * width positions."""
    return Gram().statistics(features)


def position_count(features: Features) -> Tensor:
    """Returns the number of positions of a layer, a scalar int32."""
    return tf.reduce_prod(tf.shape(features)[1:3])


def second_moments(features: Features, guides: Guides | None, exact: bool = False) -> Tensor:
    """Returns sum_k F_ik F_jk over positions k, [batch, channels, channels] float32.

    Args:
      features: [batch, height, width, channels]; without guides the product of the gradient is made in their precision.
      guides: where there are regions: position k counts w_rk times in region r, [batch, regions, channels, channels].
      exact: whether the products keep float32's bits where the device would round them, see `exact_matmul`.
    """
    product = exact_matmul if exact else matmul
    if guides is not None:
        return _inner_products(guided_rows(features, guides), product)
    return _inner_products(tf.reshape(features, [tf.shape(features)[0], -1, features.shape[-1]]), product)


def _inner_products(rows: Tensor, product: Callable[..., Tensor]) -> Tensor:
    """X^T X in float32 of each matrix X of [..., rows, columns]; its gradient X (U + U^T) is as precise as X.

    TensorFlow's own takes two products. The sums over all rows are compared with others of their size, so that they
    need float32; the gradient goes on into convolutions that round it anyway.
    """

    @tf.custom_gradient
    def value(rows: Tensor) -> Any:
        def gradient(upstream: Tensor) -> Tensor:
            return product(rows, tf.cast(upstream + tf.linalg.matrix_transpose(upstream), rows.dtype))

        wide = tf.cast(rows, tf.float32)
        return product(wide, wide, transpose_a=True), gradient

    return value(rows)
