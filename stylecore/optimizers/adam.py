"""Adam for a batch of images, the pixels kept within 0..255."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.optimizers.base import HIGHEST, LOWEST, Proposal, is_finite, per_image
from stylecore.tensors import Gradients, Images, PerPicture


class AdamParameters(NamedTuple):
    """Adam's parameters of a batch."""

    learning_rate: PerPicture
    beta_1: PerPicture
    beta_2: PerPicture
    epsilon: PerPicture


class AdamState(NamedTuple):
    """First and second moments of the gradients, shaped like them, and the number of steps."""

    mu: Gradients
    nu: Gradients
    steps: PerPicture


class Adam:
    """Adam with the pixels clipped to 0..255 after every step; implements `base.Optimizer`.

    The form is the reordered one of section 2 of the paper, as in Keras: epsilon stands beside the uncorrected root.

    References:
      Kingma, Ba: Adam: A Method for Stochastic Optimization. ICLR 2015.
    """

    State = AdamState

    @staticmethod
    def parameters(configs: Sequence[StyleConfig]) -> AdamParameters:
        """Stacks the parameters of a batch's configurations, as NumPy arrays."""
        names = AdamParameters._fields
        return AdamParameters(*(np.asarray([getattr(c, name) for c in configs], np.float32) for name in names))

    @staticmethod
    def prepared(parameters: AdamParameters, images: Images) -> AdamParameters:
        """Returns the parameters as they are."""
        return parameters

    @staticmethod
    def init(images: Images, parameters: AdamParameters) -> AdamState:
        """Returns the state before the first evaluation, which is made at `images`."""
        return AdamState(tf.zeros_like(images), tf.zeros_like(images), tf.zeros_like(parameters.learning_rate))

    @staticmethod
    def packed(state: AdamState) -> AdamState:
        """Returns the state of one image as it is: Adam's has no unused space."""
        return state

    @staticmethod
    def unpacked(state: AdamState) -> AdamState:
        """Undoes `packed`."""
        return state

    @staticmethod
    def is_valid(state: AdamState, config: StyleConfig) -> bool:
        """Returns whether the number of steps is possible."""
        return bool(0 <= state.steps <= config.iterations + 1)

    @staticmethod
    def propose(
        state: AdamState, parameters: AdamParameters, images: Images, total: PerPicture, gradient: Gradients
    ) -> Proposal:
        """Makes one step from the evaluation at `images`."""
        finite = is_finite(total, gradient)
        steps = state.steps + 1.0
        beta_1, beta_2 = parameters.beta_1, parameters.beta_2
        mu = state.mu + (gradient - state.mu) * per_image(1.0 - beta_1)
        nu = state.nu + (tf.square(gradient) - state.nu) * per_image(1.0 - beta_2)
        correction = tf.sqrt(1.0 - tf.pow(beta_2, steps)) / (1.0 - tf.pow(beta_1, steps))
        step = per_image(parameters.learning_rate * correction) * mu / (tf.sqrt(nu) + per_image(parameters.epsilon))
        moved = tf.clip_by_value(images - step, LOWEST, HIGHEST)
        return Proposal(AdamState(mu, nu, steps), moved, finite, ~finite, tf.zeros_like(finite))
