"""Guides: which positions of a layer count in each region, and how much.

Each region is a list of rows, the features at the positions where its mask is above 0, so that regions that divide a
picture among them cost one product over all positions, however many they are.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from stylecore.tensors import Features, Tensor


class Guides(NamedTuple):
    """The rows of each region of a batch's pictures at one layer.

    Attributes:
      rows: the positions, counted along the layer's rows, [batch, regions, rows] int32; shorter lists are padded.
      roots: square roots of the positions' weights, [batch, regions, rows, 1] float32, 0 for padding. Over the layer's
        positions a region's weights have the mean 1.
      slots: where each position stands among all rows of its picture, [batch, overlaps, positions] int32; padding where
        a position counts in fewer regions.
    """

    rows: Tensor
    roots: Tensor
    slots: Tensor


def padded_guides(pictures: Sequence[Sequence[np.ndarray]], regions: int) -> Guides:
    """Returns the guides of a batch, as NumPy arrays.

    Args:
      pictures: of each picture the weights of its positions in each of its regions, [height, width] float32, >= 0.
      regions: how many each picture gets, at least as many as it has. What is added repeats the picture's first region
        and passes no gradient on.
    """
    weights = [[region.ravel() for region in picture] for picture in pictures]
    count = 1 + max(np.count_nonzero(region) for picture in weights for region in picture)
    overlaps = max(1, *(np.count_nonzero(picture, axis=0).max() for picture in weights))
    shape = (len(pictures), regions, count)
    rows, roots = np.zeros(shape, np.int32), np.zeros((*shape, 1), np.float32)
    slots = np.full((len(pictures), overlaps, weights[0][0].size), count - 1, np.int32)
    for picture, own in enumerate(weights):
        taken = np.zeros(own[0].size, np.int32)
        for region in range(regions):
            values = own[region if region < len(own) else 0]
            at = np.flatnonzero(values)
            rows[picture, region, : len(at)] = at
            roots[picture, region, : len(at), 0] = np.sqrt(values[at])
            if region < len(own):
                slots[picture, taken[at], at] = region * count + np.arange(len(at))
                taken[at] += 1
    return Guides(rows, roots, slots)


def dense_roots(guides: Guides, size: Tensor) -> Tensor:
    """Returns the roots of all positions, [batch, regions, height, width, 1] float32; `size` is the layer's, int32."""
    shape = tf.shape(guides.rows)
    places = tf.reshape(tf.range(shape[0] * shape[1]), [shape[0], shape[1], 1]) * tf.reduce_prod(size) + guides.rows
    # Padding adds 0.
    roots = tf.zeros([shape[0] * shape[1] * tf.reduce_prod(size)])
    roots = tf.tensor_scatter_nd_add(roots, tf.reshape(places, [-1, 1]), tf.reshape(guides.roots, [-1]))
    return tf.reshape(roots, [shape[0], shape[1], size[0], size[1], 1])


def dense_guides(roots: Tensor) -> Guides:
    """Returns guides in which every region has all positions, [batch, regions, height, width, 1] float32, in order."""
    shape = tf.shape(roots)
    positions = shape[2] * shape[3]
    rows = tf.broadcast_to(tf.range(positions), [shape[0], shape[1], positions])
    slots = rows + tf.range(shape[1])[:, tf.newaxis] * positions
    return Guides(rows, tf.reshape(roots, [shape[0], shape[1], positions, 1]), slots)


def guided_rows(features: Features, guides: Guides) -> Tensor:
    """Returns the features of each region's positions times their roots, [batch, regions, rows, channels] float32."""
    shape = tf.shape(features)
    flat = tf.reshape(tf.cast(features, tf.float32), [shape[0], -1, features.shape[-1]])
    return _guided_rows(flat, guides)


def _guided_rows(flat: Tensor, guides: Guides) -> Tensor:
    @tf.custom_gradient
    def value(flat: Tensor) -> Any:
        # TensorFlow's own gradient of a gather is a scatter, which is slow and on GPUs not deterministic.
        def gradient(upstream: Tensor) -> Tensor:
            by_row = tf.reshape(upstream * guides.roots, [tf.shape(flat)[0], -1, flat.shape[-1]])
            return tf.reduce_sum(tf.gather(by_row, guides.slots, batch_dims=1), axis=1)

        return tf.gather(flat, guides.rows, batch_dims=1) * guides.roots, gradient

    return value(flat)
