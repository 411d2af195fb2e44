"""measure_device: the speed of the device that TensorFlow computes on, in about two seconds."""

import statistics
import time
from collections.abc import Callable, Collection

import tensorflow as tf

from stylecore.networks.convolutions import convolution, kernel_of
from stylecore.planning.costs import Device

# A convolution of each of VGG's blocks, at the sizes that a picture of 128 px has there: (side, channels).
_CONVOLUTIONS = ((128, 64), (64, 128), (32, 256), (16, 512))
_BATCH = 2
_KERNEL_PX = 3
# Several times what a processor's caches hold.
_STREAMED_VALUES = 2**24


def measure_device(precisions: Collection[str], secs: float = 2.0) -> Device:
    """Measures the convolutions, the Gram matrices and the memory of the device that TensorFlow computes on.

    Args:
      precisions: those of the convolutions that matter, "float32" or "bfloat16"; the device must have them.
      secs: how long to measure in all; compiling comes on top.

    Returns:
      What was reached, so that its efficiency is 1.
    """
    share = secs / (len(precisions) + 2)
    return Device(
        flops_per_sec={name: _convolution_flops() / _median_secs(_convolutions(name), share) for name in precisions},
        gram_flops_per_sec=_gram_flops() / _median_secs(_gram_matrices(), share),
        bytes_per_sec=3 * 4 * _STREAMED_VALUES / _median_secs(_stream(), share),
    )


def _convolution_flops() -> int:
    """Returns the arithmetic of the convolutions, forward and gradient to their input."""
    return sum(4 * _BATCH * side**2 * _KERNEL_PX**2 * channels**2 for side, channels in _CONVOLUTIONS)


def _convolutions(precision: str) -> Callable[[], tf.Tensor]:
    dtype = tf.as_dtype(precision)
    shapes = [(_BATCH, side, side, channels) for side, channels in _CONVOLUTIONS]
    images = [tf.cast(tf.random.stateless_uniform(shape, (0, 0)), dtype) for shape in shapes]
    kernels = [
        kernel_of(tf.cast(tf.random.stateless_normal((_KERNEL_PX, _KERNEL_PX, channels, channels), (0, 1)), dtype))
        for _, channels in _CONVOLUTIONS
    ]

    @tf.function(jit_compile=False)
    def gradients() -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            outputs = [convolution(image, kernel) for image, kernel in zip(images, kernels, strict=True)]
            total = tf.add_n([tf.reduce_sum(tf.cast(output, tf.float32) ** 2) for output in outputs])
        return tf.add_n([tf.reduce_sum(tf.cast(found, tf.float32)) for found in tape.gradient(total, images)])

    return gradients


def _gram_flops() -> int:
    side, channels = _CONVOLUTIONS[1]
    return 2 * _BATCH * side**2 * channels**2


def _gram_matrices() -> Callable[[], tf.Tensor]:
    side, channels = _CONVOLUTIONS[1]
    features = tf.random.stateless_uniform((_BATCH, side**2, channels), (0, 2))

    @tf.function(jit_compile=False)
    def gram() -> tf.Tensor:
        return tf.reduce_sum(tf.matmul(features, features, transpose_a=True))

    return gram


def _stream() -> Callable[[], tf.Tensor]:
    """Two tensors are read and one is written."""
    values = tf.random.stateless_uniform((_STREAMED_VALUES,), (0, 3))

    @tf.function(jit_compile=False)
    def add(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
        return left + right

    others = values + 1.0
    return lambda: add(values, others)[0]


def _median_secs(compute: Callable[[], tf.Tensor], secs: float) -> float:
    """Returns the median time of the calls that begin within `secs`, without the first one, which compiles."""
    compute().numpy()
    taken: list[float] = []
    ends = time.perf_counter() + secs
    while not taken or time.perf_counter() < ends:
        began = time.perf_counter()
        compute().numpy()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
