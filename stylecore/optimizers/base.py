"""What the optimisers share: the interface that the engine compiles, the box of legal pixels, small operations.

An optimiser works on a batch of images, in the graph; each image has its own state, step and fate. It sees one
evaluation of the objective at a time and proposes where to evaluate next.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.tensors import Gradients, Images, MaskPerPicture, PerPicture, Tensor

LOWEST, HIGHEST = 0.0, 255.0


class Proposal(NamedTuple):
    """An optimiser's answer to an evaluation.

    Attributes:
      state: the optimiser's next state.
      images: where to evaluate next, within 0..255.
      accepted: the point just evaluated is an iterate; under Adam every point is.
      failed: the optimiser cannot go on, because the loss or its gradient is not finite.
      stalled: no step lowers the loss any more; `failed` goes before.
    """

    state: Any
    images: Images
    accepted: MaskPerPicture
    failed: MaskPerPicture
    stalled: MaskPerPicture


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
    def prepared(parameters: Any, images: Images) -> Any:
        """Returns the parameters with what all evaluations of pictures of one size share, so that it is made once."""

    @staticmethod
    def init(images: Images, parameters: Any) -> Any:
        """Returns the state before the first evaluation, which is made at `images`."""

    @staticmethod
    def packed(state: Any) -> Any:
        """Packs the state of one image."""

    @staticmethod
    def unpacked(state: Any) -> Any:
        """Undoes `packed`."""

    @staticmethod
    def is_valid(state: Any, config: StyleConfig) -> bool:
        """Returns whether the counters of a packed state, read from untrusted bytes, are possible."""

    @staticmethod
    def propose(state: Any, parameters: Any, images: Images, total: PerPicture, gradient: Gradients) -> Proposal:
        """Answers an evaluation.

        Args:
          state: as `init` or the proposal before gave it.
          parameters: from `parameters` or `prepared`.
          images: where the objective was evaluated.
          total: its value there.
          gradient: its gradient there.
        """


def per_image(values: Tensor) -> Tensor:
    """Reshapes [batch] to [batch, 1, 1, 1]."""
    return values[:, tf.newaxis, tf.newaxis, tf.newaxis]


def is_finite(total: PerPicture, gradient: Gradients) -> MaskPerPicture:
    """Returns whether each picture's loss and every component of its gradient are finite."""
    return tf.math.is_finite(total) & tf.reduce_all(tf.math.is_finite(gradient), axis=[1, 2, 3])
