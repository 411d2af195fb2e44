"""Optimal transport on a line: where each number of one weighted set goes to become another one.

On a line the optimal map is the monotone one: a number goes to the number of the same rank in the other set. Ranks are
shares of the weight, so that the sets may differ in size, and its positions in weight.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from stylecore.tensors import Tensor


def transported(values: Tensor, weights: Tensor, target: Tensor, target_weights: Tensor) -> Tensor:
    """Returns where the optimal map takes each value; no gradient flows through it, nor is any missing.

    A value v with weight a, below which lies weight u, goes to Q(u + a/2), where Q, the target's quantile function, is
    linear between the target's numbers, each of which stands in the middle of its own weight, and constant beyond. With
    as many numbers on both sides, all of one weight, the i-th smallest goes to the i-th smallest. At an optimal map the
    derivative of the transport's cost is that with the map held (envelope theorem), so it may be a constant.

    Args:
      values: [batch, regions, lines, values], float32.
      weights: [batch, regions, values], >= 0 and not all 0.
      target: [batch, regions, lines, target values].
      target_weights: [batch, regions, target values], >= 0 and not all 0; a number of weight 0 is not there.

    Returns:
      [batch, regions, lines, values], float32.
    """
    arguments = [tf.stop_gradient(tensor) for tensor in (values, weights, target, target_weights)]
    # TensorFlow sorts on a CPU by a comparison of indices: five times as long as NumPy's vectorised sort.
    if tf.config.list_physical_devices("GPU"):
        return tf.stop_gradient(in_graph(*arguments))
    found = tf.numpy_function(on_cpu, arguments, tf.float32, stateful=False)
    return tf.stop_gradient(tf.ensure_shape(found, values.shape))


def on_cpu(values: np.ndarray, weights: np.ndarray, target: np.ndarray, target_weights: np.ndarray) -> np.ndarray:
    """Computes `transported` with NumPy."""
    found = np.empty_like(values)
    for region in np.ndindex(values.shape[:2]):
        order = _order(values[region])
        reached = _reached(order, weights[region], target[region], target_weights[region])
        for line, places, arrivals in zip(found[region], order, reached, strict=True):
            line[places] = arrivals
    return found


def _order(values: np.ndarray) -> np.ndarray:
    """Returns what brings each line [lines, values] into rising order, equal numbers as they come.

    Each number and its place are sorted as one integer, for which NumPy has faster code than for places by numbers.
    """
    bits = values.view(np.int32)
    rising = bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))  # Of negative numbers the bits run the other way.
    pairs = (rising.astype(np.int64) << 32) | np.arange(values.shape[-1])
    pairs.sort(axis=-1)
    return pairs & 0xFFFFFFFF


def _reached(order: np.ndarray, weights: np.ndarray, target: np.ndarray, target_weights: np.ndarray) -> np.ndarray:
    """Returns where the values of one region arrive, in the order of each line, [lines, values]."""
    there = target_weights > 0
    if not there.all():
        target, target_weights = target[:, there], target_weights[there]
    if _are_equal(weights) and _are_equal(target_weights):
        return _resampled(np.sort(target, axis=-1), order.shape[-1])
    return _quantiles(target, target_weights, weights[order])


def _are_equal(weights: np.ndarray) -> bool:
    return bool((weights == weights[0]).all())


def _resampled(rising: np.ndarray, count: int) -> np.ndarray:
    """Returns `count` evenly spaced quantiles of each line of rising numbers, all of one weight."""
    if rising.shape[-1] == count:
        return rising
    place = np.clip((np.arange(count) + 0.5) * (rising.shape[-1] / count) - 0.5, 0, rising.shape[-1] - 1)
    below = place.astype(np.int64)
    above = np.minimum(below + 1, rising.shape[-1] - 1)
    share = (place - below).astype(np.float32)
    found: np.ndarray = rising[:, below] + share * (rising[:, above] - rising[:, below])
    return found


def _quantiles(numbers: np.ndarray, masses: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the quantiles at which each line's values, in rising order and of these weights, arrive."""
    order = np.argsort(numbers, axis=-1)
    rising = np.take_along_axis(numbers, order, axis=-1)
    lines = zip(_middles(weights), _middles(masses[order]), rising, strict=True)
    return np.stack([np.interp(*line) for line in lines]).astype(np.float32)


def _middles(weights: np.ndarray) -> np.ndarray:
    """Returns the share of the weight below the middle of each value's own, for each line."""
    ends = np.cumsum(weights, axis=-1, dtype=np.float64)
    shares: np.ndarray = (ends - 0.5 * weights) / ends[:, -1:]
    return shares


def in_graph(values: Tensor, weights: Tensor, target: Tensor, target_weights: Tensor) -> Tensor:
    """Computes `transported` with TensorFlow's operations, which are fast on GPUs."""
    lines = tf.shape(values)[2]
    order = tf.argsort(values)
    # What is not there goes behind everything that is.
    present = target_weights[:, :, tf.newaxis] > 0
    target_order = tf.argsort(tf.where(present, target, target.dtype.max))
    rising = tf.gather(target, target_order, batch_dims=3)
    reached = _interpolated(
        _middles_in_graph(_per_line(weights, lines), order),
        _middles_in_graph(_per_line(target_weights, lines), target_order),
        rising,
        tf.reduce_sum(tf.cast(present, tf.int32), axis=-1, keepdims=True),
    )
    return tf.gather(reached, tf.argsort(order), batch_dims=3)


def _per_line(weights: Tensor, lines: Tensor) -> Tensor:
    return tf.repeat(weights[:, :, tf.newaxis], lines, axis=2)


def _middles_in_graph(weights: Tensor, order: Tensor) -> Tensor:
    """Does what `_middles` does, for weights that `order` brings into order."""
    # In float32 the sum over a large layer would lose places.
    ordered = tf.cast(tf.gather(weights, order, batch_dims=3), tf.float64)
    ends = tf.cumsum(ordered, axis=-1)
    return (ends - 0.5 * ordered) / ends[..., -1:]


def _interpolated(at: Tensor, places: Tensor, numbers: Tensor, count: Any) -> Tensor:
    """Does what np.interp does, on the last axis, of whose places the first `count` are used."""
    shape = tf.shape(places)
    flat = tf.searchsorted(tf.reshape(places, [-1, shape[-1]]), tf.reshape(at, [-1, tf.shape(at)[-1]]))
    above = tf.clip_by_value(tf.reshape(flat, tf.shape(at)), 0, count - 1)
    below = tf.maximum(above - 1, 0)
    ends = [tf.gather(places, index, batch_dims=3) for index in (below, above)]
    low, high = (tf.gather(numbers, index, batch_dims=3) for index in (below, above))
    share = tf.math.divide_no_nan(at - ends[0], ends[1] - ends[0])
    return low + tf.cast(tf.clip_by_value(share, 0.0, 1.0), numbers.dtype) * (high - low)
