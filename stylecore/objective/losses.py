"""The content loss and total variation, as they are printed, for a batch: pure functions, computed in float32.

Each returns one number per image, [batch]. The `*_mean_factor` functions turn a printed sum into the mean over its
terms (the reduction `mean`), so that both reductions share one graph.

References:
  Gatys, Ecker, Bethge: Image Style Transfer Using Convolutional Neural Networks. CVPR 2016.
"""

from typing import Any

import tensorflow as tf

from stylecore.tensors import Features, Images, PerPicture, Tensor


def content_loss(features: Features, target: Features, kind: str) -> PerPicture:
    """L2: 1/2 sum (F - P)^2. L1: sum abs(F - P).

    Args:
      features: [batch, height, width, channels], in any precision.
      target: of the same shape, float32.
      kind: "l2" or "l1".
    """
    difference = tf.cast(features, tf.float32) - target
    if kind == "l1":
        return tf.reduce_sum(tf.abs(difference), axis=[1, 2, 3])
    return 0.5 * tf.reduce_sum(tf.square(difference), axis=[1, 2, 3])


def content_mean_factor(features: Features, kind: str) -> Tensor:
    """Returns the factor, a scalar, that makes `content_loss` a mean over N * M entries: of (F - P)^2 or abs(F - P)."""
    # In int64: a picture of 34 megapixels has more than 2^31 entries at a layer of 64 channels.
    entries = tf.cast(tf.reduce_prod(tf.shape(features, out_type=tf.int64)[1:]), tf.float32)
    return (1.0 if kind == "l1" else 2.0) / entries


def total_variation(images: Images) -> PerPicture:
    """sum (x_{i+1,j} - x_ij)^2 / height + (x_{i,j+1} - x_ij)^2 / width, channels summed.

    Args:
      images: [batch, height, width, 3], float32.
    """
    shape = tf.shape(images)
    vertical, horizontal = _squared_differences(images, axis=1), _squared_differences(images, axis=2)
    return vertical / tf.cast(shape[1], tf.float32) + horizontal / tf.cast(shape[2], tf.float32)


def _squared_differences(images: Images, axis: int) -> PerPicture:
    """Returns the sum of the squared differences of neighbours along an axis."""

    @tf.custom_gradient
    def value(images: Tensor) -> Any:
        count = tf.shape(images)[axis] - 1
        before, behind = (tf.slice(images, _at(axis, first), _at(axis, count, others=-1)) for first in (0, 1))
        difference = behind - before

        # TensorFlow's own gradient of a slice is slow.
        def gradient(upstream: Tensor) -> Tensor:
            scaled = 2.0 * upstream[:, tf.newaxis, tf.newaxis, tf.newaxis] * difference
            return tf.pad(scaled, _padding(axis, 1, 0)) - tf.pad(scaled, _padding(axis, 0, 1))

        return tf.reduce_sum(tf.square(difference), axis=[1, 2, 3]), gradient

    return value(images)


def _at(axis: int, value: Any, others: int = 0) -> list[Any]:
    return [value if index == axis else others for index in range(4)]


def _padding(axis: int, before: int, behind: int) -> list[list[int]]:
    return [[before, behind] if index == axis else [0, 0] for index in range(4)]
