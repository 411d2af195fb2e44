"""L-BFGS inside the box 0..255, batched and in the graph: each image has its own history, step and line search.

An evaluation of the objective either gives the next iterate or shortens the step; images of one batch need not agree.
Pixels at a bound that the gradient pushes outwards are held, the quasi-Newton direction is that of the free pixels
(Bertsekas' two-metric projection), and the step is searched along the projected arc. Leaving the box and clipping the
last picture instead triples the loss of what is delivered.

References:
  Nocedal, Wright: Numerical Optimization, 2nd ed., algorithm 7.4 (two-loop recursion).
  Bertsekas: Projected Newton Methods for Optimization Problems with Simple Constraints. SIAM J. Control Optim. 1982.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from stylecore.config import StyleConfig
from stylecore.optimizers import HIGHEST, LOWEST, Proposal, is_finite, per_image

Tensor = Any

# Armijo's fraction of the decrease that the gradient promises.
SUFFICIENT_DECREASE = 1e-4
SHORTEST, LONGEST_CUT = 0.1, 0.5
MAX_TRIALS = 15
# Without curvature the step is so long that the pixel that moves most moves by this many grey levels:
# chosen by measurement, see benchmarks/lbfgs.py.
FIRST_STEP = 40.0
# A pair is kept if s.y exceeds this fraction of y.y, so that the inverse Hessian stays positive and bounded.
LEAST_CURVATURE = 1e-9


class LbfgsParameters(NamedTuple):
    """Curvature pairs that each image keeps, [batch], int32."""

    history_size: Tensor


class LbfgsState(NamedTuple):
    """The latest iterate and where the line search from it stands.

    Attributes:
      images: the iterate, [batch, height, width, 3].
      total: its loss, [batch]; infinite before the first evaluation.
      gradient: of its loss, like `images`.
      direction: of the search, like `images`.
      step: the length that the last trial had, in directions, [batch].
      trials: evaluations since the iterate, [batch] int32.
      steps: s, differences of iterates, the newest first, [batch, history, height, width, 3].
      changes: y, differences of gradients, likewise.
      kept: pairs in the history, [batch] int32.
    """

    images: Tensor
    total: Tensor
    gradient: Tensor
    direction: Tensor
    step: Tensor
    trials: Tensor
    steps: Tensor
    changes: Tensor
    kept: Tensor


class Lbfgs:
    """L-BFGS with the pixels inside 0..255; has the interface of `optimizers.Adam`."""

    @staticmethod
    def parameters(configs: Sequence[StyleConfig]) -> LbfgsParameters:
        """Stacks the parameters of a batch's configurations, as NumPy arrays."""
        return LbfgsParameters(np.asarray([config.history_size for config in configs], np.int32))

    @staticmethod
    def init(images: Tensor, parameters: LbfgsParameters) -> LbfgsState:
        """Returns the state before the first evaluation, which is that of `images`."""
        batch, *shape = images.shape
        history = tf.zeros([batch, int(np.max(parameters.history_size)), *shape])
        nothing = tf.zeros_like(images)
        none = tf.zeros([batch], tf.int32)
        start = tf.fill([batch], np.float32(np.inf))
        return LbfgsState(images, start, nothing, nothing, tf.zeros([batch]), none, history, history, none)

    @staticmethod
    def propose(
        state: LbfgsState, parameters: LbfgsParameters, images: Tensor, total: Tensor, gradient: Tensor
    ) -> Proposal:
        """Takes the evaluation of `images` ([batch, height, width, 3]; total [batch]): accepts it or cuts the step."""
        finite = is_finite(total, gradient)
        first = tf.math.is_inf(state.total)
        promised = dot(state.gradient, images - state.images)
        accepted = finite & (first | (total <= state.total + SUFFICIENT_DECREASE * promised))
        accepted &= first | (promised < 0)
        gave_up = ~accepted & (state.trials + 1 >= MAX_TRIALS)
        moved = _accept(state, parameters, images, total, gradient, accepted, first)
        # Out of trials: forget the curvature and try steepest descent; if that was it already, nothing lowers the loss.
        stalled = gave_up & (moved.kept == 0)
        moved = moved._replace(kept=tf.where(gave_up, 0, moved.kept))
        turned = _turn(moved, accepted | gave_up)
        shorter = state.step * _cut(state, promised, total, finite)
        turned = turned._replace(
            step=tf.where(accepted | gave_up, turned.step, shorter),
            trials=tf.where(accepted | gave_up, 0, state.trials + 1),
        )
        trial = tf.clip_by_value(turned.images + per_image(turned.step) * turned.direction, LOWEST, HIGHEST)
        still = tf.reduce_all(tf.equal(trial, turned.images), axis=[1, 2, 3])
        return Proposal(turned, trial, accepted, first & ~finite, stalled | (still & ~(first & ~finite)))


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product of each image of a batch, [batch]."""
    return tf.reduce_sum(a * b, axis=[1, 2, 3])


def _accept(
    state: LbfgsState,
    parameters: LbfgsParameters,
    images: Tensor,
    total: Tensor,
    gradient: Tensor,
    accepted: Tensor,
    first: Tensor,
) -> LbfgsState:
    """Makes the accepted evaluations the iterates, and their differences the newest curvature pairs."""
    step, change = images - state.images, gradient - state.gradient
    curved = dot(step, change) > LEAST_CURVATURE * dot(change, change)
    store = accepted & ~first & curved
    return state._replace(
        images=_choose(accepted, images, state.images),
        total=tf.where(accepted, total, state.total),
        gradient=_choose(accepted, gradient, state.gradient),
        steps=_push(state.steps, step, store),
        changes=_push(state.changes, change, store),
        kept=tf.minimum(state.kept + tf.cast(store, tf.int32), parameters.history_size),
    )


def _push(history: Tensor, newest: Tensor, store: Tensor) -> Tensor:
    shifted = tf.concat([newest[:, tf.newaxis], history[:, :-1]], axis=1)
    return tf.where(store[:, tf.newaxis, tf.newaxis, tf.newaxis, tf.newaxis], shifted, history)


def _turn(state: LbfgsState, turning: Tensor) -> LbfgsState:
    """Gives the images that turn a new direction with the length of its first trial."""
    outwards = ((state.images <= LOWEST) & (state.gradient > 0)) | ((state.images >= HIGHEST) & (state.gradient < 0))
    free = tf.cast(~outwards, state.gradient.dtype)
    downhill = -state.gradient * free
    newton, curved = _two_loop(state, downhill, free)
    # A direction that hardly descends says that the history is of no use here.
    descends = dot(state.gradient, newton) < -1e-8 * tf.sqrt(dot(downhill, downhill) * dot(newton, newton))
    usable = curved & descends
    direction = _choose(usable, newton, downhill)
    first_step = FIRST_STEP / tf.maximum(tf.reduce_max(tf.abs(downhill), axis=[1, 2, 3]), 1e-30)
    return state._replace(
        direction=_choose(turning, direction, state.direction),
        step=tf.where(turning, tf.where(usable, 1.0, first_step), state.step),
        kept=tf.where(turning & ~usable, 0, state.kept),
    )


def _two_loop(state: LbfgsState, downhill: Tensor, free: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the inverse Hessian of the free pixels times `downhill`, and whether any curvature went into it."""
    pairs = tf.shape(state.steps)[1]
    zeros = tf.zeros_like(state.total)

    def back(index: Tensor, q: Tensor, scale: Tensor, alphas: Any, rhos: Any) -> tuple[Any, ...]:
        step, change = state.steps[:, index] * free, state.changes[:, index] * free
        curvature, length = dot(step, change), dot(change, change)
        counts = (index < state.kept) & (curvature > LEAST_CURVATURE * length)
        rho = tf.where(counts, tf.math.divide_no_nan(1.0, curvature), 0.0)
        alpha = rho * dot(step, q)
        scale = tf.where(counts & (scale == 0.0), tf.math.divide_no_nan(curvature, length), scale)
        return index + 1, q - per_image(alpha) * change, scale, alphas.write(index, alpha), rhos.write(index, rho)

    def forth(index: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
        step, change = state.steps[:, index] * free, state.changes[:, index] * free
        beta = rhos.read(index) * dot(change, r)
        return index - 1, r + per_image(alphas.read(index) - beta) * step

    def empty() -> Any:
        return tf.TensorArray(tf.float32, pairs, element_shape=[None], clear_after_read=False)

    _, q, scale, alphas, rhos = tf.while_loop(
        lambda index, *_: index < pairs, back, (tf.constant(0), downhill, zeros, empty(), empty())
    )
    _, r = tf.while_loop(lambda index, _: index >= 0, forth, (pairs - 1, q * per_image(scale)))
    return r, scale > 0.0


def _cut(state: LbfgsState, promised: Tensor, total: Tensor, finite: Tensor) -> Tensor:
    """Returns by what the step is cut: to the minimum of the parabola through what is known, within bounds."""
    parabola = -0.5 * promised / (total - state.total - promised)
    known = finite & tf.math.is_finite(parabola)
    return tf.where(known, tf.clip_by_value(parabola, SHORTEST, LONGEST_CUT), SHORTEST)


def _choose(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return tf.where(per_image(mask), new, old)
