"""The compiled loop of one kind of step: many evaluations in each call into TensorFlow.

Every image of the batch carries its own weights, limits and state; one that is finished stands still while the others
go on. At a constant batch size an image's result does not depend, to the bit, on its neighbours.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cachetools
import keras
import numpy as np
import tensorflow as tf

from stylecore.backbones import FeatureExtractor
from stylecore.buckets import StepKind
from stylecore.config import StyleConfig
from stylecore.lbfgs import Lbfgs
from stylecore.objective import Losses, LossWeights, Objective, Targets, loss_weights
from stylecore.optimizers import Adam
from stylecore.problems import Problem

Tensor = Any

OPTIMIZERS: dict[str, Any] = {"adam": Adam, "lbfgs": Lbfgs}
TARGET_CACHE_BYTES = 512 * 2**20

RUNNING, ALL_ITERATIONS, CONVERGED, FAILED = range(4)


class Limits(NamedTuple):
    """When each image of a batch stops, [batch]: int32 iterations and window, float32 tolerance."""

    iterations: Tensor
    window: Tensor
    tolerance: Tensor


class Batch(NamedTuple):
    """What stays constant while a batch is optimised."""

    targets: Targets
    weights: LossWeights
    parameters: Any
    limits: Limits


class LoopState(NamedTuple):
    """What an evaluation changes.

    Attributes:
      images: where the objective is evaluated next, [batch, height, width, 3].
      delivered: the latest iterate, of the same shape.
      optimizer: the optimiser's state.
      iteration: [batch] int32, the number that the next iterate will have; the initial image has 0.
      status: [batch] int32, running or why not.
      window: [longest early-stop window, batch] float32, the total losses of the latest iterates, a ring.
    """

    images: Tensor
    delivered: Tensor
    optimizer: Any
    iteration: Tensor
    status: Tensor
    window: Tensor


class Engine:
    """The compiled steps of one StepKind, with caches of content and style targets.

    Args:
      kind: what is fixed in the compiled step.
      network: the whole backbone with the weights that `kind` names.
    """

    def __init__(self, kind: StepKind, network: keras.Model) -> None:
        self.kind = kind
        layers = sorted({*kind.content_layers, *kind.style_layers})
        self._features = FeatureExtractor(network, layers, kind.pooling, kind.precision)
        self._objective = Objective(self._features, kind.content_layers, kind.style_layers, kind.content_loss)
        self._optimizer = OPTIMIZERS[kind.optimizer]
        self._targets = cachetools.LRUCache(TARGET_CACHE_BYTES, getsizeof=_bytes_of)
        image = [tf.TensorSpec([None, None, None, 3], tf.float32)]
        self._content_targets = tf.function(self._objective.content_targets, input_signature=image)
        self._style_targets = tf.function(self._objective.style_targets, input_signature=image)
        self._measure: Any = None
        self._advance: Any = None

    @property
    def traces(self) -> int:
        """How often the optimisation step was traced."""
        return self._advance.experimental_get_tracing_count() if self._advance else 0

    def check(self, problem: Problem) -> None:
        """Raises ValueError if an image of the problem is too small for the layers."""
        for image in (problem.content, *(style for style, _ in problem.styles)):
            self._features.check_size(*image.shape[:2])

    def batch(self, problems: Sequence[Problem]) -> Batch:
        """Stacks problems of one bucket; their targets come from the cache where they can."""
        configs = [problem.config for problem in problems]
        content = [self._cached(self._content_targets, problem.content) for problem in problems]
        style = [self._style_target(problem) for problem in problems]
        return Batch(
            Targets(_stack(content), _stack(style)),
            loss_weights(configs),
            self._optimizer.parameters(configs),
            _limits(configs),
        )

    def start(self, problems: Sequence[Problem], batch: Batch) -> LoopState:
        """Returns the state before the first evaluation."""
        images = tf.constant(np.stack([problem.initial for problem in problems]))
        count = len(problems)
        longest_window = max(1, int(batch.limits.window.max()))
        return LoopState(
            images,
            images,
            self._optimizer.init(images, batch.parameters),
            tf.zeros([count], tf.int32),
            tf.fill([count], RUNNING),
            tf.zeros([longest_window, count]),
        )

    def advance(self, state: LoopState, batch: Batch, evaluations: int) -> tuple[LoopState, Tensor, Losses]:
        """Makes up to `evaluations` evaluations.

        Returns:
          The next state; the number of the iterate that each evaluation gave, [evaluations, batch] int32, -1 where it
          gave none; and its losses, each [evaluations, batch].
        """
        if self._advance is None:
            specs = tf.nest.map_structure(_loose_spec, (state, batch))
            self._advance = tf.function(
                self._advance_in_graph, input_signature=[*specs, tf.TensorSpec([], tf.int32)], autograph=False
            )
        return self._advance(state, batch, evaluations)

    def measure(self, image: np.ndarray, batch: Batch, index: int) -> Losses:
        """Returns the losses, as floats, of an 8-bit picture [height, width, 3] for problem `index` of the batch."""
        single = tf.nest.map_structure(lambda t: t[index : index + 1], (batch.targets, batch.weights))
        arguments = (tf.constant(image[np.newaxis], tf.float32), *single)
        if self._measure is None:
            specs = tf.nest.map_structure(_loose_spec, arguments)
            self._measure = tf.function(self._objective, input_signature=specs)
        return Losses(*(float(term[0]) for term in self._measure(*arguments)))

    def losses_and_gradient(self, images: Tensor, batch: Batch) -> tuple[Losses, Tensor]:
        """Evaluates the objective once, outside of the loop."""
        return self._objective.value_and_gradient(tf.convert_to_tensor(images), batch.targets, batch.weights)

    def _style_target(self, problem: Problem) -> tuple[Tensor, ...]:
        weighted = [
            [gram * weight for gram in self._cached(self._style_targets, image)] for image, weight in problem.styles
        ]
        return tuple(sum(layer[1:], start=layer[0]) for layer in zip(*weighted, strict=True))

    def _cached(self, compute: Callable[[Tensor], tuple[Tensor, ...]], image: np.ndarray) -> tuple[Tensor, ...]:
        key = (compute, image.shape, hashlib.blake2b(image.tobytes()).digest())
        if (found := self._targets.get(key)) is not None:
            return found
        # One image at a time: its targets are then the same bits in whatever batch it comes.
        targets = compute(tf.constant(image[np.newaxis]))
        if _bytes_of(targets) <= TARGET_CACHE_BYTES:
            self._targets[key] = targets
        return targets

    def _advance_in_graph(
        self, state: LoopState, batch: Batch, evaluations: Tensor
    ) -> tuple[LoopState, Tensor, Losses]:
        count = tf.shape(state.status)[0]
        per_problem = tf.TensorShape([None])
        records = (
            tf.TensorArray(tf.int32, 0, dynamic_size=True, element_shape=per_problem),
            Losses(*(tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=per_problem) for _ in range(4))),
        )

        def go_on(done: Tensor, state: LoopState, records: Any) -> Tensor:
            return (done < evaluations) & tf.reduce_any(state.status == RUNNING)

        def evaluate(done: Tensor, state: LoopState, records: Any) -> tuple[Tensor, LoopState, Any]:
            state, iterate, losses = self._evaluate(state, batch)
            numbers, terms = records
            written = Losses(*(array.write(done, term) for array, term in zip(terms, losses, strict=True)))
            return done + 1, state, (numbers.write(done, iterate), written)

        done, state, (numbers, terms) = tf.while_loop(go_on, evaluate, (tf.constant(0), state, records))
        shape = tf.stack([done, count])
        stacked = Losses(*(tf.reshape(array.stack(), shape) for array in terms))
        return state, tf.reshape(numbers.stack(), shape), stacked

    def _evaluate(self, state: LoopState, batch: Batch) -> tuple[LoopState, Tensor, Losses]:
        losses, gradient = self._objective.value_and_gradient(state.images, batch.targets, batch.weights)
        proposal = self._optimizer.propose(state.optimizer, batch.parameters, state.images, losses.total, gradient)
        running = state.status == RUNNING
        accepted = proposal.accepted & running
        converged, window = _early_stop(state, batch.limits, losses.total, accepted)
        finished = accepted & (state.iteration >= batch.limits.iterations)
        status = state.status
        for mask, reason in (
            (proposal.stalled, CONVERGED),
            (converged, CONVERGED),
            (finished, ALL_ITERATIONS),
            (proposal.failed, FAILED),
        ):
            status = tf.where(running & mask, reason, status)
        moving = status == RUNNING
        following = LoopState(
            _where(moving, proposal.images, state.images),
            _where(accepted, state.images, state.delivered),
            tf.nest.map_structure(lambda new, old: _where(moving, new, old), proposal.state, state.optimizer),
            state.iteration + tf.cast(accepted, tf.int32),
            status,
            window,
        )
        return following, tf.where(accepted, state.iteration, -1), losses


def _limits(configs: Sequence[StyleConfig]) -> Limits:
    return Limits(
        np.asarray([c.iterations for c in configs], np.int32),
        np.asarray([c.early_stop_window for c in configs], np.int32),
        np.asarray([c.early_stop_tolerance for c in configs], np.float32),
    )


def _early_stop(state: LoopState, limits: Limits, total: Tensor, accepted: Tensor) -> tuple[Tensor, Tensor]:
    """Returns whether the loss fell by less than the tolerance over the window, and the window with this iterate."""
    slots = tf.shape(state.window)[0]
    columns = tf.range(tf.shape(total)[0])
    before = tf.gather_nd(state.window, tf.stack([(state.iteration - limits.window) % slots, columns], axis=1))
    watched = accepted & (limits.window > 0) & (state.iteration >= limits.window)
    converged = watched & (before - total < limits.tolerance * before)
    here = tf.one_hot(state.iteration % slots, slots, axis=0, on_value=True, off_value=False)
    return converged, tf.where(here & accepted, total, state.window)


def _where(mask: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Selects per image; `mask` is [batch], the others [batch, ...]."""
    return tf.where(tf.reshape(mask, tf.concat([[-1], tf.ones([tf.rank(new) - 1], tf.int32)], axis=0)), new, old)


def _stack(targets: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    return tuple(tf.concat(layer, axis=0) for layer in zip(*targets, strict=True))


def _loose_spec(value: Any) -> tf.TensorSpec:
    """Batch sizes, image sizes and window lengths are free; channels are not. One trace serves them all."""
    value = tf.convert_to_tensor(value)
    rank = value.shape.rank
    fixed = {0: 0, 1: 0, 2: 0, 3: 2}.get(rank, 1)
    return tf.TensorSpec([None] * (rank - fixed) + value.shape.as_list()[rank - fixed :], value.dtype)


def _bytes_of(tensors: Sequence[Tensor]) -> int:
    return sum(int(np.prod(t.shape)) * t.dtype.size for t in tensors)
