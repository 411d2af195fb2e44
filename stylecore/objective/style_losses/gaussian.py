"""The style loss between Gaussians: the 2-Wasserstein distance of the features' means and covariances."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from stylecore.objective.style_losses.base import Draw
from stylecore.objective.style_losses.gram import position_count, second_moments
from stylecore.objective.style_losses.guides import Guides, guided_rows
from stylecore.optimizers.products import exact_matmul
from stylecore.tensors import Features, Tensor

# What is added to a covariance's diagonal, in parts of the mean square of the features.
REGULARISER = 1e-4
# In wider layers that share would be no more than what rounding takes from a covariance.
_WIDEST = 512
# Grey levels squared: a layer in which nothing is active has a covariance too.
_SMALLEST_VARIANCE = 1e-6

# From this share of the Frobenius norm on, singular values are brought to 1, and in so many steps. Against float64
# eigendecompositions, on VGG19's features of photographs, noise and made pictures with a painting at 256x192 pixels, 12
# steps leave an error of 6e-3 of the value and 1.3e-2 of the gradient, 14 steps 3e-4 and 5e-3, 16 steps 2e-4 and 2e-3;
# 16 steps from a share of 1e-3 on 6e-4 and 9e-3, from 1e-5 on 5e-5 and 3e-3. Plain Newton-Schulz steps on the product
# of the covariances, the squares of these values, have 2e-2 and 7e-2 after 20 steps in float32, and diverge then.
SMALLEST_SINGULAR = 1e-4
POLAR_STEPS = 14


class Moments(NamedTuple):
    """Means of F, [batch, channels], and of F F^T, [batch, channels, channels], with regions behind the batch."""

    first: Tensor
    second: Tensor


class GaussianTarget(NamedTuple):
    """The Gaussian of a blend of styles.

    Attributes:
      mean: [batch, 1, channels], with regions behind the batch, as in the others.
      root: square root of the covariance, [batch, channels, channels].
      trace: of the covariance, [batch].
      scale: the sum of the styles' weights, [batch].
    """

    mean: Tensor
    root: Tensor
    trace: Tensor
    scale: Tensor


class Gaussian:
    """W = |m - m_s|^2 + tr(Sigma + Sigma_s - 2 (Sigma_s^1/2 Sigma Sigma_s^1/2)^1/2); implements `SummedStyleLoss`.

    m is the mean of the features over positions, Sigma = S - m m^T + 1e-4 tr(S)/C I their covariance, S the mean of
    F F^T, C the number of channels; index s stands for the style. Several styles blend m and S by weights of sum 1,
    which are the moments of the mixture, and the sum of their weights multiplies the loss.

    The trace is that of a polar decomposition: with Sigma = L L^T and M = Sigma_s^1/2 L = H U it is tr H = tr(U^T M),
    and its derivative by Sigma is T/2, T = Sigma_s^1/2 U L^-1. So U is all that value and gradient need. It takes
    matrix products alone, works on singular values and not on their squares, which float32 does not hold, and has no
    derivative that grows without bound at equal eigenvalues, as an eigendecomposition's has, which GPUs also compute
    slowly. The square root of the style's covariance is taken once, in float64.

    References:
      Olkin, Pukelsheim: The distance between two random vectors with given dispersion matrices. 1982.
      Katherine Crowson: style-transfer-pytorch, for this distance as a style loss.
    """

    mask_power = 1.0

    def statistics(self, features: Features, guides: Guides | None = None) -> Moments:
        """Returns the moments over positions, with guides those weighted by each region's."""
        return self.normalized(self.sums(features, guides), position_count(features))

    def sums(self, features: Features, guides: Guides | None = None) -> Moments:
        """Returns the sums of F and F F^T over positions."""
        # The covariance is a small difference of these products: neither they nor their gradients may be rounded.
        features = tf.cast(features, tf.float32)
        return Moments(first_moments(features, guides), second_moments(features, guides, exact=True))

    def normalized(self, sums: Moments, positions: Tensor) -> Moments:
        """Divides sums by the number of positions."""
        return Moments(*(part / tf.cast(positions, part.dtype) for part in sums))

    def blend(self, statistics: Sequence[Moments], weights: Sequence[float]) -> GaussianTarget:
        """Returns the Gaussian of the styles' mixture."""
        total = float(sum(weights))
        shares = [weight / total if total else 1.0 / len(weights) for weight in weights]
        mixed = Moments(*(_weighted_sum(parts, shares) for parts in zip(*statistics, strict=True)))
        covariance = _covariance(mixed)
        with tf.device("CPU"):
            root = _square_root(covariance)
        return GaussianTarget(mixed.first[:, tf.newaxis], root, tf.linalg.trace(covariance), tf.constant([total]))

    def loss(self, statistics: Moments, target: GaussianTarget, draw: Draw | None = None) -> Tensor:
        """Returns W of each picture, or of each region, times the sum of its styles' weights."""
        covariance = _covariance(statistics)
        between_means = tf.reduce_sum(tf.square(statistics.first[..., tf.newaxis, :] - target.mean), axis=[-2, -1])
        spread = tf.linalg.trace(covariance) + target.trace - 2.0 * _trace_of_root(covariance, target.root)
        return target.scale * (between_means + spread)

    def mean_factor(self, statistics: Moments) -> float:
        """Returns the factor that makes `loss` a mean over channels."""
        return 1.0 / float(statistics.first.shape[-1])


def first_moments(features: Features, guides: Guides | None) -> Tensor:
    """Returns sum_k F_k over positions k, [batch, channels], with guides sum_k w_rk F_k, [batch, regions, channels]."""
    if guides is None:
        return tf.reduce_sum(features, axis=[1, 2])
    return tf.reduce_sum(guides.roots * guided_rows(features, guides), axis=2)


def polar_factor(matrices: Tensor, coefficients: Sequence[tuple[float, float]] | None = None) -> Tensor:
    """Returns the orthogonal U of M = H U with H symmetric and >= 0, for float32 [..., n, n].

    X <- 3/2 a X - 1/2 a^3 X X^T X takes the singular values of X to 1, the large ones first: Newton and Schulz's steps,
    each scaled by the a that is best for the interval in which they lie.

    References:
      Chen, Chow: A Stable Scaling of Newton-Schulz for Improving the Sign Function Computation. 2014.
    """
    found = matrices / tf.norm(matrices, axis=[-2, -1], keepdims=True)
    for linear, cubic in coefficients or _COEFFICIENTS:
        squares = exact_matmul(found, found, transpose_a=True)
        found = linear * found + cubic * exact_matmul(found, squares)
    return found


def polar_coefficients(lowest: float, steps: int) -> Iterator[tuple[float, float]]:
    """Yields each step's factors of X and of X X^T X, for singular values in lowest..1."""
    for _ in range(steps):
        scale = (3.0 / (1.0 + lowest + lowest**2)) ** 0.5
        yield 1.5 * scale, -0.5 * scale**3
        lowest = min(1.0, 0.5 * scale * lowest * (3.0 - (scale * lowest) ** 2))


_COEFFICIENTS = tuple(polar_coefficients(SMALLEST_SINGULAR, POLAR_STEPS))


def _covariance(moments: Moments) -> Tensor:
    mean, second = moments
    channels = second.shape[-1]
    extra = REGULARISER * tf.linalg.trace(second) / min(channels, _WIDEST) + _SMALLEST_VARIANCE
    products = mean[..., :, tf.newaxis] * mean[..., tf.newaxis, :]
    return second - products + extra[..., tf.newaxis, tf.newaxis] * tf.eye(channels)


@tf.custom_gradient
def _trace_of_root(covariance: Tensor, root: Tensor) -> Any:
    """Returns tr (R Sigma R)^1/2 of each covariance, whose gradient is T/2; none flows to the style's root R."""
    is_finite = tf.reduce_all(tf.math.is_finite(covariance), axis=[-2, -1], keepdims=True)
    # The decomposition raises an error where it fails, which would end the whole batch.
    lower = tf.linalg.cholesky(tf.where(is_finite, covariance, tf.eye(covariance.shape[-1])))
    product = exact_matmul(root, lower)
    polar = polar_factor(product)

    def gradient(upstream: Tensor) -> tuple[Tensor, None]:
        transposed = tf.linalg.matrix_transpose(exact_matmul(root, polar))
        transport = tf.linalg.triangular_solve(lower, transposed, lower=True, adjoint=True)
        symmetric = transport + tf.linalg.matrix_transpose(transport)
        return 0.25 * upstream[..., tf.newaxis, tf.newaxis] * symmetric, None

    return tf.reduce_sum(polar * product, axis=[-2, -1]), gradient


def _square_root(matrices: Tensor) -> Tensor:
    """Returns the square root of symmetric matrices >= 0 by their eigenvalues, in float64."""
    values, vectors = tf.linalg.eigh(tf.cast(matrices, tf.float64))
    scaled = vectors * tf.sqrt(tf.maximum(values, 0.0))[..., tf.newaxis, :]
    return tf.cast(tf.matmul(scaled, vectors, transpose_b=True), tf.float32)


def _weighted_sum(parts: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    return tf.add_n([share * part for share, part in zip(shares, parts, strict=True)])
