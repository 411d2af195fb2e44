"""Convolutions by those of TensorFlow's kernels with which the processor is fastest.

Where a processor has AVX2 and no AVX-512, oneDNN computes the convolution of a single picture, with its kernel as
TensorFlow keeps it, as a product of unrolled patches, in up to four times as long as its gradient, and that of a large
picture by plain loops, in minutes a layer. The gradient of a convolution to its input is a convolution too: that with
the kernel turned by half a turn and its channels exchanged. TensorFlow lets oneDNN choose the layout of a gradient's
kernel, and then its best code runs. So both directions of a single picture's convolutions are computed as gradients
there; for batches oneDNN has good code.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from stylecore.kernels import gradients_are_faster, is_compiled_with_xla
from stylecore.tensors import Features, Tensor

# A trace takes as long as 200 evaluations of so small a picture save.
_SMALLEST_AS_GRADIENTS_PX = 96**2
_TRACED_PLAIN = ContextVar("traced_plain", default=False)


class Kernel(NamedTuple):
    """The kernel of a convolution of stride 1 that keeps the size.

    Attributes:
      values: [height, width, in, out].
      turned: [height, width, out, in], whose gradient is the convolution; None where it is computed as it is.
    """

    values: Tensor
    turned: Tensor | None


def kernel_of(values: Tensor) -> Kernel:
    """Returns a kernel in the form in which this processor convolves with it fastest."""
    height, width = values.shape[:2]
    # An even side is padded on one side more, and the turned kernel on the other one.
    suits = values.dtype == tf.float32 and height % 2 == width % 2 == 1 and (height, width) != (1, 1)
    return as_gradient(values) if suits and gradients_are_faster() else Kernel(values, None)


def as_gradient(values: Tensor) -> Kernel:
    """Returns a kernel, float32 with odd sides, in the form that is computed as a gradient."""
    return Kernel(values, tf.transpose(tf.reverse(values, axis=[0, 1]), [0, 1, 3, 2]))


def are_faster_plain(batch_size: int, height: int, width: int) -> bool:
    """Returns whether plain convolutions are faster where those of one picture are computed as gradients.

    They are for batches, for which oneDNN has good code, joined with bias and ReLU; a small picture does not repay a
    trace of its own.
    """
    return (batch_size > 1 or height * width < _SMALLEST_AS_GRADIENTS_PX) and gradients_are_faster()


@contextlib.contextmanager
def plain_convolutions() -> Iterator[None]:
    """Within it every convolution is traced, or computed, as it is."""
    token = _TRACED_PLAIN.set(True)
    try:
        yield
    finally:
        _TRACED_PLAIN.reset(token)


def convolution(inputs: Features, kernel: Kernel) -> Features:
    """Returns the convolution of stride 1 that keeps the size, [batch, height, width, out].

    Args:
      inputs: [batch, height, width, in], of the kernel's type.
      kernel: as from `kernel_of`. Where it has a turned form, it gets no gradient.
    """
    if kernel.turned is None or _stays_plain():
        return tf.nn.conv2d(inputs, kernel.values, strides=1, padding="SAME")
    return _by_gradient(inputs, *kernel)


class Conv2D(keras.layers.Conv2D):
    """Keras' layer, traced as `convolution` where that is all it does, with the weights of that time.

    The name of the class is that of Keras' own, because it stands in weights files.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._kernel_in_use: Kernel | None = None

    def convolution_op(self, inputs: Features, kernel: Any) -> Features:
        """Returns the convolution of `inputs` with `kernel`, without bias."""
        is_simple = self.strides == self.dilation_rate == (1, 1) and self.groups == 1 and self.padding == "same"
        # A call that is not traced would turn the kernel each time.
        if is_simple and not tf.executing_eagerly() and not _stays_plain() and gradients_are_faster():
            return convolution(inputs, self._latest_kernel())
        return super().convolution_op(inputs, kernel)

    def _latest_kernel(self) -> Kernel:
        """Returns the kernel of the present weights; functions that are traced with the same weights share it."""
        with tf.init_scope():
            latest = kernel_of(tf.convert_to_tensor(self.kernel))
            known = self._kernel_in_use
            if known is None or not bool(tf.reduce_all(tf.equal(latest.values, known.values))):
                self._kernel_in_use = known = latest
            return known


def _stays_plain() -> bool:
    """Returns whether no convolution that is traced now is to be computed as a gradient."""
    return _TRACED_PLAIN.get() or is_compiled_with_xla()


@tf.custom_gradient
def _by_gradient(inputs: Features, values: Tensor, turned: Tensor) -> tuple[Features, Any]:
    def gradient(upstream: Features) -> tuple[Features, None, None]:
        return _gradient(upstream, values), None, None

    return _gradient(inputs, turned), gradient


def _gradient(upstream: Features, kernel: Tensor) -> Features:
    """Returns the gradient of a convolution with `kernel` to its input."""
    shape = tf.concat([tf.shape(upstream)[:3], kernel.shape[2:3]], axis=0)
    return tf.nn.conv2d_transpose(upstream, kernel, shape, strides=1, padding="SAME")
