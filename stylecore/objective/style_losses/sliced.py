"""The sliced Wasserstein distance of features, along random directions that are fresh in each evaluation."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from stylecore.objective.style_losses.base import Draw
from stylecore.objective.style_losses.guides import Guides, guided_rows
from stylecore.objective.style_losses.transport import transported
from stylecore.optimizers.products import matmul
from stylecore.tensors import CountPerPicture, Features, Tensor


class Cloud(NamedTuple):
    """The features of a layer as weighted points, with regions behind the batch.

    Attributes:
      points: [batch, points, channels].
      weights: how much each point counts, [batch, points, 1]; one of weight 0 is not there.
    """

    points: Tensor
    weights: Tensor


class CloudTarget(NamedTuple):
    """The points of all styles together, with regions behind the batch.

    Attributes:
      points: [batch, 1, points, channels].
      weights: [batch, 1, points, 1].
      scale: the sum of the styles' weights, [batch].
    """

    points: Tensor
    weights: Tensor
    scale: Tensor


class Sliced:
    """SW = sum over C directions d of sum_k w_k (F_k . d - T_d(F_k . d))^2; implements `RandomStyleLoss`.

    F_k are the features at position k, w_k the weights of the positions, of sum 1, C the number of channels and of
    directions, T_d the optimal map of the picture's projections onto the styles', see `transported`. With as many
    positions in the style as in the picture, it is the mean squared difference of the sorted projections, as printed.
    For other numbers of positions the style's sorted projections are resampled.

    Several styles are one distribution, the mixture of theirs by weight, as Gram matrices and moments blend those of
    the mixture; the sum of the weights multiplies the loss. Neither blends nor guides are in the paper.

    References:
      Heitz, Vanhoey, Chambon, Belcour: A Sliced Wasserstein Loss for Neural Texture Synthesis. CVPR 2021.
    """

    mask_power = 1.0

    def statistics(self, features: Features, guides: Guides | None = None) -> Cloud:
        """Returns the features themselves: directions to come ask for all of them."""
        if guides is None:
            features = tf.cast(features, tf.float32)
            points = tf.reshape(features, [tf.shape(features)[0], -1, features.shape[-1]])
            return Cloud(points, tf.ones_like(points[..., :1]))
        present = tf.cast(guides.roots > 0, tf.float32)
        return Cloud(guided_rows(features, guides._replace(roots=present)), tf.square(guides.roots))

    def blend(self, statistics: Sequence[Cloud], weights: Sequence[float]) -> CloudTarget:
        """Returns the mixture of the styles' points."""
        total = float(sum(weights))
        shares = [weight / total if total else 1.0 / len(weights) for weight in weights]
        masses = [
            share * cloud.weights / tf.reduce_sum(cloud.weights)
            for share, cloud in zip(shares, statistics, strict=True)
        ]
        points = tf.concat([cloud.points for cloud in statistics], axis=1)
        return CloudTarget(points[:, tf.newaxis], tf.concat(masses, axis=1)[:, tf.newaxis], tf.constant([total]))

    def draws(self, seeds: Tensor, iterations: CountPerPicture, channels: Sequence[int]) -> tuple[Draw, ...]:
        """Returns unit vectors for each layer, [batch, channels, channels], one a column, evenly spread by chance."""

        # One picture at a time, so that its directions have the same bits in every batch.
        def drawn(key: Tensor) -> tuple[Tensor, ...]:
            counts = [number**2 for number in channels]
            normal = tf.split(tf.random.stateless_normal([sum(counts)], key, alg="philox"), counts)
            return tuple(
                tf.math.l2_normalize(tf.reshape(numbers, [number, number]), axis=0)
                for numbers, number in zip(normal, channels, strict=True)
            )

        keys = tf.stack([seeds, tf.broadcast_to(tf.cast(iterations, tf.int64), tf.shape(seeds))], axis=1)
        found: tuple[Draw, ...] = tf.map_fn(drawn, keys, fn_output_signature=(tf.float32,) * len(channels))
        return found

    def loss(self, statistics: Cloud, target: CloudTarget, draw: Draw) -> Tensor:
        """Returns SW of each picture, or of each region, times the sum of its styles' weights."""
        has_regions = statistics.points.shape.rank == 4
        cloud = statistics if has_regions else Cloud(*(part[:, tf.newaxis] for part in statistics))
        goal = Cloud(*(part[:, :, 0] if has_regions else part for part in target[:2]))
        lines = _projected(cloud.points, draw)
        masses = cloud.weights[..., 0]
        plan = transported(lines, masses, _projected(goal.points, draw), goal.weights[..., 0])
        squares = tf.reduce_sum(tf.square(lines - plan), axis=2)
        distances = tf.reduce_sum(masses * squares, axis=-1) / tf.reduce_sum(masses, axis=-1)
        return target.scale * (distances if has_regions else distances[:, 0])

    def mean_factor(self, statistics: Cloud) -> float:
        """Returns the factor that makes `loss` a mean over directions."""
        return 1.0 / float(statistics.points.shape[-1])


def _projected(points: Tensor, directions: Tensor) -> Tensor:
    """Returns [batch, regions, directions, points] of points [batch, regions, points, channels]."""
    chosen = directions[:, tf.newaxis]

    @tf.custom_gradient
    def value(points: Tensor) -> Any:
        def gradient(upstream: Tensor) -> Tensor:
            return matmul(upstream, chosen, transpose_a=True, transpose_b=True)

        return matmul(chosen, points, transpose_a=True, transpose_b=True), gradient

    return value(points)
