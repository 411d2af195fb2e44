"""What the optimisers share: the interface that the engine compiles, the box of legal pixels, small operations.

An optimiser works on a batch of images, in the graph; each image has its own state, step and fate. It sees one
evaluation of the objective at a time and proposes where to evaluate next.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from stylecore.config.style_config import StyleConfig

Tensor = Any

LOWEST, HIGHEST = 0.0, 255.0


class Proposal(NamedTuple):
    """An optimiser's answer to an evaluation.

    Attributes:
      state: the optimiser's next state.
      images: where to evaluate next, [batch, height, width, 3], within 0..255.
      accepted: [batch] bool, the point just evaluated is an iterate; under Adam every point is.
      failed: [batch] bool, the optimiser cannot go on: the loss or its gradient is not finite.
      stalled: [batch] bool, no step lowers the loss any more.
    """

    state: Any
    images: Tensor
    accepted: Tensor
    failed: Tensor
    stalled: Tensor


class Optimizer(Protocol):
    """The interface of `Adam` and `Lbfgs`.

    `State` is a NamedTuple of tensors. Packed, it is the state of one image: NumPy arrays without the batch's
    dimension and without unused space, as snapshots keep it.
    """

    State: Any

    @staticmethod
    def parameters(configs: Sequence[StyleConfig]) -> Any:
        """Stacks the optimiser's parameters from a batch's configurations, as NumPy arrays [batch]."""

    @staticmethod
    def init(images: Tensor, parameters: Any) -> Any:
        """Returns the state before the first evaluation, which is made at `images`, [batch, height, width, 3]."""

    @staticmethod
    def packed(state: Any) -> Any:
        """Packs the state of one image."""

    @staticmethod
    def unpacked(state: Any) -> Any:
        """Undoes `packed`."""

    @staticmethod
    def propose(state: Any, parameters: Any, images: Tensor, total: Tensor, gradient: Tensor) -> Proposal:
        """Answers an evaluation.

        Args:
          state: as `init` or the proposal before gave it.
          parameters: from `parameters`.
          images: where the objective was evaluated, [batch, height, width, 3], float32 in 0..255.
          total: its value there, [batch], float32.
          gradient: its gradient there, like `images`.
        """


def per_image(values: Tensor) -> Tensor:
    """Reshapes [batch] to [batch, 1, 1, 1]."""
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]


def is_finite(total: Tensor, gradient: Tensor) -> Tensor:
    """Returns [batch] bool: the loss, [batch], and its gradient, [batch, height, width, 3], are finite throughout."""
    return tf.math.is_finite(total) & tf.reduce_all(tf.math.is_finite(gradient), axis=[1, 2, 3])
