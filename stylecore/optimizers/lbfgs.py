"""L-BFGS inside the box 0..255, batched and in the graph: each image has its own history, step and line search.

Each evaluation of the objective either gives an image its next iterate or shortens its step. Pixels at a bound that the
gradient pushes outwards are held, the quasi-Newton direction is that of the free pixels (Bertsekas' two-metric
projection), and the step is searched along the projected arc. To leave the box and clip only the last picture would
triple the loss of the delivered one.

The inverse Hessian is applied in its compact form: a few matrix products with the whole history and two triangular
solves in float64, where the two-loop recursion would pass over the pictures many times. Memory traffic is what it
costs: in an evaluation each s is read three times, each y once, and y without its held pixels is written once and read
four times. The ring is written in place.

References:
  Byrd, Nocedal, Schnabel: Representations of Quasi-Newton Matrices and Their Use in Limited Memory Methods.
    Mathematical Programming 1994, theorem 2.2.
  Bertsekas: Projected Newton Methods for Optimization Problems with Simple Constraints. SIAM J. Control Optim. 1982.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.kernels import is_compiled_with_xla
from stylecore.optimizers.base import HIGHEST, LOWEST, Proposal, is_finite, per_image
from stylecore.optimizers.products import Factor, factor, product, weighted_sum
from stylecore.optimizers.spectral import LENGTHENED, smooth_square, smoothed, spectrum
from stylecore.tensors import CountPerPicture, Gradients, Histories, Images, MaskPerPicture, PerPicture, Tensor

# Armijo's fraction of the decrease that the gradient promises.
SUFFICIENT_DECREASE = 1e-4
SHORTEST, LONGEST_CUT = 0.1, 0.5
MAX_TRIALS = 15
# Without curvature the step moves the pixel that moves most by this many grey levels; chosen by measurement with
# benchmarks/lbfgs.py.
FIRST_STEP = 40.0
# A pair is kept if s.y exceeds this fraction of y.y, so that the inverse Hessian stays positive and bounded.
LEAST_CURVATURE = 1e-9
TINY = 1e-30


class LbfgsParameters(NamedTuple):
    """What a batch is optimised with.

    Attributes:
      history_size: curvature pairs that each image keeps.
      spectral: whether its first Hessian is smooth in frequency, not a multiple of the identity.
      basis: a `spectral.Spectrum`, that first Hessian for the pictures' size; () until it is made.
    """

    history_size: CountPerPicture
    spectral: MaskPerPicture
    basis: Any = ()


class LbfgsState(NamedTuple):
    """The latest iterate and where the line search from it stands.

    Attributes:
      images: the iterate.
      total: its loss; infinite before the first evaluation.
      gradient: its gradient.
      direction: the direction of the search, shaped like `images`.
      step: the length of the last trial, as a multiple of `direction`.
      trials: evaluations of the present line search.
      finite_trials: evaluations since the iterate that were finite, of every line search from it.
      steps: s, differences of iterates.
      changes: y, differences of gradients.
      kept: the number of pairs in the history.
      newest: the newest pair's place in the ring.
      history_size: the length of each image's own ring; the batch has room for the longest.
    """

    images: Images
    total: PerPicture
    gradient: Gradients
    direction: Gradients
    step: PerPicture
    trials: CountPerPicture
    finite_trials: CountPerPicture
    steps: Histories
    changes: Histories
    kept: CountPerPicture
    newest: CountPerPicture
    history_size: CountPerPicture


class Lbfgs:
    """L-BFGS with the pixels inside 0..255; implements `base.Optimizer`."""

    State = LbfgsState

    @staticmethod
    def parameters(configs: Sequence[StyleConfig]) -> LbfgsParameters:
        """Stacks the parameters of a batch's configurations, as NumPy arrays."""
        return LbfgsParameters(
            np.asarray([config.history_size for config in configs], np.int32),
            np.asarray([config.precondition == "spectral" for config in configs]),
        )

    @staticmethod
    def prepared(parameters: LbfgsParameters, images: Images) -> LbfgsParameters:
        """Returns the parameters with the first Hessian for the size of `images`."""
        basis = spectrum(images, parameters.spectral)
        return parameters._replace(basis=basis)

    @staticmethod
    def init(images: Images, parameters: LbfgsParameters) -> LbfgsState:
        """Returns the state before the first evaluation, which is made at `images`."""
        batch, *shape = images.shape
        sizes = parameters.history_size
        history = tf.zeros([batch, int(np.max(sizes)), *shape])
        nothing = tf.zeros_like(images)
        none = tf.zeros([batch], tf.int32)
        start = tf.fill([batch], np.float32(np.inf))
        step = tf.zeros([batch])
        return LbfgsState(images, start, nothing, nothing, step, none, none, history, history, none, none, sizes)

    @staticmethod
    def packed(state: LbfgsState) -> LbfgsState:
        """Returns the state of one image with the pairs in use only, the newest first."""
        size = int(state.history_size)
        used = (state.newest - np.arange(state.kept)) % size
        return state._replace(steps=state.steps[used], changes=state.changes[used])

    @staticmethod
    def unpacked(state: LbfgsState) -> LbfgsState:
        """Undoes `packed`. Every pair returns to its place, because the last bits of its products depend on it."""
        return state._replace(steps=_ring(state, state.steps), changes=_ring(state, state.changes))

    @staticmethod
    def is_valid(state: LbfgsState, config: StyleConfig) -> bool:
        """Returns whether the counters are possible and fit to the pairs."""
        size = config.history_size
        return bool(
            state.history_size == size
            and len(state.steps) == len(state.changes) == state.kept <= size
            and 0 <= state.newest < size
            and 0 <= state.trials < MAX_TRIALS
            and 0 <= state.finite_trials < 2 * MAX_TRIALS
        )

    @staticmethod
    def propose(
        state: LbfgsState, parameters: LbfgsParameters, images: Images, total: PerPicture, gradient: Gradients
    ) -> Proposal:
        """Accepts the evaluation at `images` or cuts the step."""
        if not parameters.basis:
            parameters = Lbfgs.prepared(parameters, images)
        finite = is_finite(total, gradient)
        first = tf.math.is_inf(state.total)
        promised = dot(state.gradient, images - state.images)
        accepted = finite & (first | (total <= state.total + SUFFICIENT_DECREASE * promised))
        accepted &= first | (promised < 0)
        gave_up = ~accepted & (state.trials + 1 >= MAX_TRIALS)
        moved = _accept(state, images, total, gradient, accepted, first)
        # Out of trials: forget the curvature and try steepest descent. If that was the direction, nothing is lower.
        stalled = gave_up & (moved.kept == 0)
        moved = moved._replace(kept=tf.where(gave_up, 0, moved.kept))
        turned = _turn(moved, parameters, accepted | gave_up)
        shorter = state.step * _cut(state, promised, total, finite)
        turned = turned._replace(
            step=tf.where(accepted | gave_up, turned.step, shorter),
            trials=tf.where(accepted | gave_up, 0, state.trials + 1),
            finite_trials=tf.where(accepted, 0, state.finite_trials + tf.cast(finite, tf.int32)),
        )
        trial = tf.clip_by_value(turned.images + per_image(turned.step) * turned.direction, LOWEST, HIGHEST)
        still = tf.reduce_all(tf.equal(trial, turned.images), axis=[1, 2, 3])
        ended = stalled | still
        failed = ~accepted & (turned.finite_trials == 0) & (first | ended)
        return Proposal(turned, trial, accepted, failed, ended & ~failed)


def dot(a: Tensor, b: Tensor) -> PerPicture:
    """Returns the inner product of each image of `a` with that of `b`, both [batch, height, width, 3]."""
    return tf.reduce_sum(a * b, axis=[1, 2, 3])


def _accept(
    state: LbfgsState,
    images: Images,
    total: PerPicture,
    gradient: Gradients,
    accepted: MaskPerPicture,
    first: MaskPerPicture,
) -> LbfgsState:
    """Makes the accepted evaluations the iterates, and their differences the newest curvature pairs."""
    step, change = images - state.images, gradient - state.gradient
    curved = dot(step, change) > LEAST_CURVATURE * dot(change, change)
    store = accepted & ~first & curved
    slot = tf.where(store, (state.newest + 1) % state.history_size, state.newest)
    return state._replace(
        images=_choose(accepted, images, state.images),
        total=tf.where(accepted, total, state.total),
        gradient=_choose(accepted, gradient, state.gradient),
        steps=_push(state.steps, step, slot, store),
        changes=_push(state.changes, change, slot, store),
        kept=tf.minimum(state.kept + tf.cast(store, tf.int32), state.history_size),
        newest=slot,
    )


def _ring(state: LbfgsState, pairs: np.ndarray) -> np.ndarray:
    size = int(state.history_size)
    ring = np.zeros((size, *pairs.shape[1:]), pairs.dtype)
    ring[(state.newest - np.arange(state.kept)) % size] = pairs
    return ring


def _push(history: Histories, newest: Tensor, slot: CountPerPicture, store: MaskPerPicture) -> Histories:
    """Writes the newest entry of each image that stores one, in place; the others keep what was there."""
    places = tf.stack([tf.range(tf.shape(slot)[0]), slot], axis=1)
    before = tf.gather_nd(history, places)
    entry = _choose(store, newest, before)
    if is_compiled_with_xla():
        return tf.tensor_scatter_nd_update(history, places, entry)
    # On a CPU the kernel above copies the whole history and this one does not. x - x is 0 and 0 + x is x, to the bit.
    empty = tf.raw_ops.ScatterNdNonAliasingAdd(input=history, indices=places, updates=-before)
    return tf.raw_ops.ScatterNdNonAliasingAdd(input=empty, indices=places, updates=entry)


def _turn(state: LbfgsState, parameters: LbfgsParameters, turning: MaskPerPicture) -> LbfgsState:
    """Gives each image of `turning` a new direction and the length of its first trial."""
    outwards = ((state.images <= LOWEST) & (state.gradient > 0)) | ((state.images >= HIGHEST) & (state.gradient < 0))
    free = tf.cast(~outwards, state.gradient.dtype)
    downhill = -state.gradient * free
    newton, curved = _newton(state, parameters, downhill, free)
    # Where the direction hardly descends, the history does not describe this region.
    descends = dot(state.gradient, newton) < -1e-8 * tf.sqrt(dot(downhill, downhill) * dot(newton, newton))
    usable = curved & descends
    stuck = turning & ~usable
    smooth = tf.cond(
        tf.reduce_any(stuck), lambda: _first_hessian(downhill, free, parameters), lambda: tf.zeros_like(downhill)
    )
    direction = _choose(usable, newton, smooth)
    first_step = FIRST_STEP / tf.maximum(tf.reduce_max(tf.abs(smooth), axis=[1, 2, 3]), 1e-30)
    return state._replace(
        direction=_choose(turning, direction, state.direction),
        step=tf.where(turning, tf.where(usable, 1.0, first_step), state.step),
        kept=tf.where(stuck, 0, state.kept),
    )


def _first_hessian(vector: Gradients, free: Tensor, parameters: LbfgsParameters) -> Gradients:
    """Returns M B M times a vector that is zero where a pixel is held."""
    return free * smoothed(vector, parameters.spectral, parameters.basis)


def _newton(
    state: LbfgsState, parameters: LbfgsParameters, downhill: Gradients, free: Tensor
) -> tuple[Gradients, MaskPerPicture]:
    """Returns the inverse Hessian of the free pixels times `downhill`, and whether any curvature went into it.

    With M the mask of the free pixels, S M and Y M the pairs as rows, the newest first, R the lower triangle of
    S M Y^T with its diagonal D, H0 = gamma M B M with gamma = s.y / y.(M B M y) of the newest pair, LENGTHENED
    where B is spectral, the product with a vector v is

        a = R^-1 S v,   w = H0 (v - Y^T a),   c = R^-T (D a - Y w),   H v = w + S^T c.
    """
    pairs = tf.shape(state.steps)[1]
    size, places = state.history_size[:, tf.newaxis], tf.range(pairs)[tf.newaxis]
    # From ages to places in the ring and back again: the permutation is its own inverse.
    ages = tf.where(places < size, (state.newest[:, tf.newaxis] - places) % size, places)
    # Of S M Y^T one mask is enough, and the vectors are masked: S itself needs none.
    masked = _rows(state.changes * free[:, tf.newaxis])
    s, y = factor(_rows(state.steps)), factor(masked)
    sy = _by_age(product(s, y, transpose_b=True), ages)
    curvature = tf.linalg.diag_part(sy)
    length = tf.gather(tf.cast(_squares(masked), tf.float64), ages, batch_dims=1)
    counts = (tf.range(pairs) < state.kept[:, tf.newaxis]) & (curvature > LEAST_CURVATURE * length)
    both = counts[:, :, tf.newaxis] & counts[:, tf.newaxis]
    triangle = tf.linalg.set_diag(tf.where(both, sy, 0.0), tf.where(counts, curvature, 1.0))

    newest = tf.argmax(tf.cast(counts, tf.int32), axis=1)  # The newest pair that counts; any if none does.
    change = free * tf.gather(state.changes, tf.gather(ages, newest, batch_dims=1), batch_dims=1)
    smooth_length = smooth_square(change, parameters.spectral, parameters.basis)
    gamma = tf.cast(tf.gather(curvature, newest, batch_dims=1), change.dtype) / tf.maximum(smooth_length, TINY)
    gamma *= tf.where(parameters.spectral, LENGTHENED, 1.0)

    def products(rows: Factor, vector: Gradients) -> Tensor:
        column = tf.reshape(vector, [tf.shape(vector)[0], -1, 1])
        found = tf.cast(product(rows, factor(column))[..., 0], tf.float64)
        return tf.where(counts, tf.gather(found, ages, batch_dims=1), 0.0)

    def combined(rows: Factor, weights: Tensor) -> Gradients:
        by_place = tf.cast(tf.gather(weights, ages, batch_dims=1), tf.float32)
        return free * tf.reshape(weighted_sum(by_place, rows), tf.shape(downhill))

    a = _solved(triangle, products(s, downhill))
    w = per_image(gamma) * _first_hessian(downhill - combined(y, a), free, parameters)
    c = _solved(triangle, curvature * a - products(y, w), adjoint=True)
    return w + combined(s, c), tf.reduce_any(counts, axis=1)


def _rows(history: Histories) -> Tensor:
    """Returns each image's history as a matrix, [batch, history, pixels]."""
    return tf.reshape(history, tf.concat([tf.shape(history)[:2], [-1]], axis=0))


def _squares(rows: Tensor) -> Tensor:
    """Returns the inner product of each row with itself, [batch, history]."""
    if is_compiled_with_xla():
        return tf.reduce_sum(tf.square(rows), axis=2)
    # One operation, where squares would be written and read again.
    return tf.square(tf.math.reduce_euclidean_norm(rows, axis=2))


def _by_age(products: Tensor, ages: Tensor) -> Tensor:
    """Reorders [batch, history, history] from places in the ring to ages, the newest first, in float64."""
    rows = tf.gather(tf.cast(products, tf.float64), ages, batch_dims=1)
    return tf.gather(rows, ages, axis=2, batch_dims=1)


def _solved(triangle: Tensor, values: Tensor, adjoint: bool = False) -> Tensor:
    return tf.linalg.triangular_solve(triangle, values[..., tf.newaxis], lower=True, adjoint=adjoint)[..., 0]


def _cut(state: LbfgsState, promised: PerPicture, total: PerPicture, finite: MaskPerPicture) -> PerPicture:
    """Returns the factor of the step: the minimum of the parabola through the known values, within bounds."""
    parabola = -0.5 * promised / (total - state.total - promised)
    known = finite & tf.math.is_finite(parabola)
    return tf.where(known, tf.clip_by_value(parabola, SHORTEST, LONGEST_CUT), SHORTEST)


def _choose(mask: MaskPerPicture, new: Tensor, old: Tensor) -> Tensor:
    return tf.where(per_image(mask), new, old)
