"""Emulates TensorFloat-32, to which GPUs from Ampere on round the inputs of TensorFlow's float32 matrix products."""

import contextlib
from collections.abc import Iterator

import pytest
import tensorflow as tf

_DROPPED_BITS = 13  # TF32 keeps 10 of float32's 23 bits of mantissa.


def to_tf32(values: tf.Tensor, nearest: bool) -> tf.Tensor:
    """Rounds float32 values to 10 bits of mantissa: to the nearest, ties away from 0, or towards 0."""
    bits = tf.bitcast(values, tf.int32)
    bits += 1 << (_DROPPED_BITS - 1) if nearest else 0
    return tf.bitcast(tf.bitwise.bitwise_and(bits, -(1 << _DROPPED_BITS)), tf.float32)


@contextlib.contextmanager
def tf32_matrix_products(nearest: bool) -> Iterator[None]:
    """Makes every float32 `tf.matmul` that is traced or run within the context round its inputs, as on such a GPU."""
    exact = tf.matmul

    def rounding(a: tf.Tensor, b: tf.Tensor, **options: bool) -> tf.Tensor:
        if a.dtype != tf.float32:
            return exact(a, b, **options)
        return exact(to_tf32(a, nearest), to_tf32(b, nearest), **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf, "matmul", rounding)
        patch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["a GPU"])
        yield
