"""The compiled steps of one kind: many evaluations in each call into TensorFlow.

Every image of a batch carries its own weights, limits and state, and stands still once it is finished. At a constant
batch size an image's result does not depend, to the bit, on its neighbours.
"""

import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import cachetools
import keras
import numpy as np
import tensorflow as tf

from stylecore.networks.convolutions import are_faster_plain, plain_convolutions
from stylecore.networks.features import FeatureExtractor
from stylecore.objective.objective import STYLE_LOSSES, Losses, LossWeights, Objective, Targets, loss_weights
from stylecore.objective.style_losses.base import Draw, RandomStyleLoss
from stylecore.objective.tiles import TiledObjective
from stylecore.optimizers.adam import Adam
from stylecore.optimizers.base import Optimizer
from stylecore.optimizers.lbfgs import Lbfgs
from stylecore.planning.buckets import StepKind
from stylecore.planning.room import UNLIMITED, Room, target_tiles_of, tiles_of
from stylecore.planning.tiles import Tiles, cut_after
from stylecore.planning.too_small import too_small
from stylecore.run.problem import Problem
from stylecore.run.targets import PAUSE_SECS, Layout, TargetMaker, check_masks, mask_notes
from stylecore.tensors import CountPerPicture, Gradients, Images, MaskPerPicture, PerPicture, Tensor

Returned = TypeVar("Returned")

OPTIMIZERS: dict[str, type[Optimizer]] = {"adam": Adam, "lbfgs": Lbfgs}

# What decides beside its size whether a batch fits: height, width, curvature pairs, pixels of the largest style.
MemoryKey = tuple[int, int, int, int]

# Seed and iteration of the random numbers with which delivered pictures are measured.
_MEASURED = (np.zeros(1, np.int64), np.full(1, -1, np.int32))

# XLA compiles the loop for a fixed number of records; a longer call compiles it anew.
_RECORDS = 512

STATUSES = range(5)
RUNNING, ALL_ITERATIONS, CONVERGED, FAILED, STALLED = STATUSES


class Limits(NamedTuple):
    """When each image of a batch stops: after `iterations`, or on a gain below `tolerance` over `window` iterates."""

    iterations: CountPerPicture
    window: CountPerPicture
    tolerance: PerPicture


class BatchConstants(NamedTuple):
    """What stays constant while a batch is optimised.

    Attributes:
      seeds: each picture's, [batch] int64, where the style loss is random; elsewhere nothing.
    """

    targets: Targets
    weights: LossWeights
    parameters: Any
    limits: Limits
    average_decay: PerPicture
    seeds: Any = ()


class LoopState(NamedTuple):
    """What an evaluation changes. Packed, it belongs to one image: NumPy arrays without the batch's dimension.

    Attributes:
      images: where the objective is evaluated next.
      delivered: the latest iterate, or the mean of the iterates.
      optimizer: the optimiser's state.
      iteration: the next iterate's number; the initial image has 0.
      status: RUNNING, or why the image stopped.
      window: total losses of each image's latest iterates, a ring, [batch, longest early-stop window] float32.
    """

    images: Images
    delivered: Images
    optimizer: Any
    iteration: CountPerPicture
    status: CountPerPicture
    window: Tensor


def _on_device(method: Callable[..., Returned]) -> Callable[..., Returned]:
    @functools.wraps(method)
    def placed(engine: "Engine", *arguments: Any, **options: Any) -> Returned:
        with tf.device(engine._device):
            return method(engine, *arguments, **options)

    return placed


class Engine:
    """The compiled steps of one StepKind, with caches of content and style targets.

    Attributes:
      kind: what the compiled step fixes.
      compiles_each_size: whether a batch of another size costs a compilation.

    Args:
      kind: what the compiled step fixes.
      network: the whole backbone with the weights that `kind` names, on the same device.
      device: TensorFlow's name of the device; empty leaves the choice to TensorFlow.
      xla: compiles with XLA, anew for each size of batch and images: the whole loop with optimiser and objective, and
        the targets, so that both round alike; with a random style loss the objective and the targets, of pictures in
        tiles each tile's layers alone. For GPUs.
      clock: the time in seconds, by which lessons about memory are forgotten.
      room: decides which pictures are computed in tiles.
    """

    def __init__(
        self,
        kind: StepKind,
        network: keras.Model,
        device: str = "",
        xla: bool = False,
        clock: Callable[[], float] = time.monotonic,
        room: Room = UNLIMITED,
    ) -> None:
        self.kind = kind
        self.compiles_each_size = xla
        self._network = network
        self._device = device
        layers = sorted({*kind.content_layers, *kind.style_layers})
        with tf.device(device):
            self._features = FeatureExtractor(network, layers, kind.pooling, kind.precision)
        self._optimizer = OPTIMIZERS[kind.optimizer]
        style_loss = STYLE_LOSSES[kind.style_loss]
        self._random_loss = style_loss if isinstance(style_loss, RandomStyleLoss) else None
        self._room = room
        self._steps: dict[tuple[Tiles | None, bool], _Step] = {}
        self._targets = TargetMaker(kind, self._target_objective, clock)
        self._fitting = cachetools.TTLCache[MemoryKey, int](1024, PAUSE_SECS, timer=clock)

    @property
    def traces(self) -> int:
        """How often the optimisation step was traced."""
        advances = (step.advance for step in self._steps.values() if step.advance)
        return sum(advance.experimental_get_tracing_count() for advance in advances)

    def check(self, problem: Problem) -> None:
        """Raises ValueError if an image of the problem is too small for the layers, or a mask is for all of them."""
        for stage in problem.stages:
            for image in (stage.content, *(style.image for style in stage.styles)):
                if (reason := too_small(self.kind, *image.shape[:2])) is not None:
                    raise ValueError(reason)
        check_masks(self.kind, problem)

    def notes(self, problem: Problem) -> tuple[str, ...]:
        """Returns what is left out of the problem's losses, a line each."""
        return mask_notes(self.kind, problem)

    def layout(self, problem: Problem) -> Layout:
        """Returns what the problems of a batch must have in common so that none changes a bit of another."""
        return self._targets.layout(problem)

    def fitting_size(self, problems: Sequence[Problem]) -> int:
        """Returns the size up to which a batch like that of `problems` is not known to exceed the device's memory."""
        return self._fitting.get(_memory_key(problems), sys.maxsize)

    def remember_fitting_size(self, problems: Sequence[Problem], size: int) -> None:
        """Remembers for ten minutes that batches like that of `problems` exceed the device's memory above `size`."""
        self._fitting[_memory_key(problems)] = min(size, self.fitting_size(problems))

    def release_targets(self) -> bool:
        """Drops the cached targets, and caches none for ten minutes; returns whether there were any."""
        if "_in_float32" in vars(self):
            self._in_float32.release_targets()
        return self._targets.release()

    @_on_device
    def constants(self, problems: Sequence[Problem]) -> BatchConstants:
        """Stacks the targets, weights, parameters and limits of problems of one bucket; targets are cached."""
        configs = [problem.config for problem in problems]
        weights = loss_weights(configs)
        return BatchConstants(
            self._targets.targets(problems),
            weights._replace(style_layers=weights.style_layers * self._targets.counted_layers(problems)),
            self._optimizer.parameters(configs),
            Limits(
                np.asarray([problem.iterations for problem in problems], np.int32),
                np.asarray([config.early_stop_window for config in configs], np.int32),
                np.asarray([config.early_stop_tolerance for config in configs], np.float32),
            ),
            np.asarray([config.average_decay for config in configs], np.float32),
            np.asarray([config.seed for config in configs], np.int64) if self._random_loss else (),
        )

    @_on_device
    def first_state(self, problem: Problem) -> LoopState:
        """Returns the packed state before the first evaluation of a problem whose `initial` is set."""
        return first_state(problem)

    @_on_device
    def start(self, problems: Sequence[Problem], states: Sequence[LoopState] | None = None) -> LoopState:
        """Returns a batch's state, for `advance`.

        Args:
          problems: the batch's problems, all of one height and width.
          states: each problem's packed state; None: every problem begins.
        """
        states = states or [self.first_state(problem) for problem in problems]
        ready = [state._replace(optimizer=self._optimizer.unpacked(state.optimizer)) for state in states]
        return tf.nest.map_structure(lambda *arrays: tf.constant(_stack_padded(arrays)), *ready)

    def packed_state(self, state: LoopState, index: int, problem: Problem) -> LoopState:
        """Returns the packed state of image `index` of a batch, for `start` in any other batch.

        Args:
          state: the batch's state, as NumPy arrays.
          index: the image's position in the batch.
          problem: the image's problem.
        """
        single = tf.nest.map_structure(lambda array: np.array(array[index]), state)
        window = single.window[: max(1, problem.config.early_stop_window)]
        return single._replace(optimizer=self._optimizer.packed(single.optimizer), window=window)

    @_on_device
    def advance(
        self, state: LoopState, constants: BatchConstants, evaluations: int
    ) -> tuple[LoopState, Tensor, Losses]:
        """Makes evaluations until `evaluations` are made or no image is running.

        Returns:
          The next state; the number of the iterate that each evaluation gave, [evaluations, batch] int32, -1 where it
          gave none; and the losses of each evaluation, every term [evaluations, batch].
        """
        state, made, numbers, losses = self.compiled_advance(state, constants, evaluations)(
            state, constants, evaluations
        )
        return state, numbers[:made], Losses(*(term[:made] for term in losses))

    @_on_device
    def compiled_advance(self, state: LoopState, constants: BatchConstants, evaluations: int) -> Any:
        """Returns the `tf.function` behind `advance` for batches like this one.

        It takes the arguments of `advance` and returns the next state, the number of evaluations made, and the numbers
        and losses of all its records, of which those evaluations fill the first ones.

        Args: see `advance`; `evaluations` is the largest number that it is called with.
        """
        is_plain = not self.compiles_each_size and are_faster_plain(*state.images.shape[:3])
        step = self._step_for(state.images, constants, is_plain)
        if step.advance is None or (step.records is not None and step.records < evaluations):
            # XLA draws other normal numbers: a random loss is compiled alone, and what is drawn is the same everywhere.
            xla = step.is_in_xla and self._random_loss is None
            step.records = max(_RECORDS, evaluations) if xla else None
            specs = tf.nest.map_structure(_loose_spec, (state, constants))
            step.advance = tf.function(
                functools.partial(self._advance_in_graph, step.value_and_gradient, step.records),
                input_signature=[*specs, tf.TensorSpec([], tf.int32)],
                autograph=False,
                jit_compile=xla or None,
            )
        return step.advance

    @_on_device
    def measure(self, image: np.ndarray, problem: Problem) -> Losses:
        """Returns the losses, as floats, of an 8-bit picture [height, width, 3] as a result of `problem`.

        They are measured in float32 whatever the step's precision, so that precisions can be compared. A random style
        loss is measured along the same directions for all pictures, which no evaluation takes.
        """
        if self.kind.precision != "float32":
            return self._in_float32.measure(image, problem)
        constants = self.constants([problem])
        arguments = (
            tf.constant(problem.optimised(image)[np.newaxis]),
            constants.targets,
            constants.weights,
            self._draws(*_MEASURED),
        )
        step = self._step_for(arguments[0], constants)
        if step.measure is None:
            specs = tf.nest.map_structure(_loose_spec, arguments)
            step.measure = tf.function(step.objective, input_signature=specs, autograph=False)
        return Losses(*(float(term[0]) for term in step.measure(*arguments)))

    @functools.cached_property
    def _in_float32(self) -> "Engine":
        kind = dataclasses.replace(self.kind, precision="float32")
        return Engine(kind, self._network, self._device, room=self._room)

    @_on_device
    def losses_and_gradient(self, images: Images, constants: BatchConstants) -> tuple[Losses, Gradients]:
        """Evaluates the objective once, at `images`, outside the compiled loop."""
        images = tf.convert_to_tensor(images)
        objective = self._step_for(images, constants).objective
        draws = self._draws(constants.seeds, np.zeros(1, np.int32))
        return objective.value_and_gradient(images, constants.targets, constants.weights, draws)

    def _draws(self, seeds: Any, iterations: CountPerPicture) -> tuple[Draw, ...]:
        """Returns what a random style loss draws for each layer; nothing if it is not random.

        Args:
          seeds: [batch] int64; not used if the style loss is not random.
          iterations: of each picture, or one for all.
        """
        if self._random_loss is None:
            return ()
        return self._random_loss.draws(
            seeds, iterations, [self._features.channels[name] for name in self.kind.style_layers]
        )

    def _step_for(self, images: Images, constants: BatchConstants, is_plain: bool = False) -> "_Step":
        """Returns the compiled functions for a batch of pictures of one size; `is_plain`: whole ones as in `_step`."""
        pairs = int(np.max(getattr(constants.parameters, "history_size", 0)))
        regions = max((guides.rows.shape[1] for guides in constants.targets.guides), default=0)
        height, width = images.shape[1:3]
        tiles = tiles_of(self.kind, height, width, pairs, self._room, regions)
        return self._step(tiles, is_plain and tiles is None)

    def _target_objective(self, height: int, width: int, masked: bool) -> tuple[Objective, bool]:
        step = self._step(target_tiles_of(self.kind, height, width, self._room, masked))
        return step.objective, step.is_in_xla

    def _step(self, tiles: Tiles | None, is_plain: bool = False) -> "_Step":
        """Returns what is compiled for tiles or whole pictures; `is_plain` if with plain convolutions."""
        if (tiles, is_plain) not in self._steps:
            self._steps[tiles, is_plain] = self._made_step(tiles, is_plain)
        return self._steps[tiles, is_plain]

    def _made_step(self, tiles: Tiles | None, is_plain: bool) -> "_Step":
        kind = self.kind
        layers = (self._features, kind.content_layers, kind.style_layers, kind.content_loss)
        options: dict[str, Any] = {
            "style_loss": kind.style_loss,
            "normalize_gradients": kind.normalize_gradients,
            "feature_map": kind.feature_map,
        }
        # The objective stays outside the loop's graph: in a graph with cycles oneDNN's rewriting of operations misses
        # the gradients of poolings, which then take 20 times as long.
        how: dict[str, Any] = {"experimental_attributes": {"_noinline": True}}
        compiled: dict[str, Any] = {"jit_compile": True} if self.compiles_each_size else how
        if tiles is None:
            objective = Objective(*layers, **options)
            evaluate = _traced_plain(objective.value_and_gradient) if is_plain else objective.value_and_gradient
            value_and_gradient = tf.function(evaluate, autograph=False, **compiled)
            return _Step(objective, value_and_gradient, is_in_xla=self.compiles_each_size)
        objective = TiledObjective(
            *layers,
            **options,
            cut=cut_after(kind, tiles.last),
            side_px=tiles.side_px,
            compiled=functools.partial(tf.function, autograph=False, reduce_retracing=True, **compiled),
        )
        return _Step(objective, tf.function(objective.value_and_gradient, autograph=False, **how))

    def _advance_in_graph(
        self,
        value_and_gradient: Any,
        records: int | None,
        state: LoopState,
        constants: BatchConstants,
        evaluations: Tensor,
    ) -> tuple[LoopState, Tensor, Tensor, Losses]:
        """Makes the loop of `compiled_advance`, with room for so many records; None: for as many as evaluations."""
        constants = constants._replace(parameters=self._optimizer.prepared(constants.parameters, state.images))
        shape = tf.stack([evaluations if records is None else records, tf.shape(state.status)[0]])
        empty = tf.fill(shape, -1), Losses(*(tf.zeros(shape) for _ in Losses._fields))

        def go_on(done: Tensor, state: LoopState, written: Any) -> Tensor:
            return (done < evaluations) & tf.reduce_any(state.status == RUNNING)

        def evaluate(done: Tensor, state: LoopState, written: Any) -> tuple[Tensor, LoopState, Any]:
            state, *record = self._evaluate(value_and_gradient, state, constants)
            written = tf.nest.map_structure(
                lambda rows, row: tf.tensor_scatter_nd_update(rows, [[done]], row[tf.newaxis]), written, tuple(record)
            )
            return done + 1, state, written

        made, state, (numbers, losses) = tf.while_loop(go_on, evaluate, (tf.constant(0), state, empty))
        return state, made, numbers, losses

    def _evaluate(
        self, value_and_gradient: Any, state: LoopState, constants: BatchConstants
    ) -> tuple[LoopState, Tensor, Losses]:
        # The line search of L-BFGS compares losses, so that all its evaluations draw the same. Drawing takes a loop
        # over pictures and stays outside the objective's graph.
        draws = self._draws(
            constants.seeds, state.iteration if self.kind.optimizer == "adam" else np.zeros(1, np.int32)
        )
        losses, gradient = value_and_gradient(state.images, constants.targets, constants.weights, draws)
        proposal = self._optimizer.propose(state.optimizer, constants.parameters, state.images, losses.total, gradient)
        running = state.status == RUNNING
        accepted = proposal.accepted & running
        converged, window = _early_stop(state, constants.limits, losses.total, accepted)
        finished = accepted & (state.iteration >= constants.limits.iterations)
        status = state.status
        for mask, reason in (
            (proposal.stalled, STALLED),
            (converged, CONVERGED),
            (finished, ALL_ITERATIONS),
            (proposal.failed, FAILED),
        ):
            status = tf.where(running & mask, reason, status)
        moving = status == RUNNING
        following = LoopState(
            _where(moving, proposal.images, state.images),
            _where(accepted, _averaged(state, constants.average_decay), state.delivered),
            proposal.state,  # The optimiser's state of an image that stands still is not used again.
            state.iteration + tf.cast(accepted, tf.int32),
            status,
            window,
        )
        return following, tf.where(accepted, state.iteration, -1), losses


@dataclasses.dataclass
class _Step:
    """What is compiled for pictures that are computed in one way, whole or in tiles; None until it is needed.

    Attributes:
      is_in_xla: XLA compiles the objective as a whole, so that it can compile what stands around it.
      records: the most evaluations that `advance` can make; None sets no limit.
    """

    objective: Objective
    value_and_gradient: Any
    is_in_xla: bool = False
    measure: Any = None
    advance: Any = None
    records: int | None = None


def _traced_plain(function: Callable[..., Returned]) -> Callable[..., Returned]:
    @functools.wraps(function)
    def traced(*arguments: Any) -> Returned:
        with plain_convolutions():
            return function(*arguments)

    return traced


def _memory_key(problems: Sequence[Problem]) -> MemoryKey:
    height, width = problems[0].content.shape[:2]
    pairs = max(problem.config.history_size if problem.config.optimizer == "lbfgs" else 0 for problem in problems)
    return height, width, pairs, max(style.image[..., 0].size for p in problems for style in p.styles)


def first_state(problem: Problem) -> LoopState:
    """Returns the packed state before the first evaluation of a problem whose `initial` is set."""
    optimizer = OPTIMIZERS[problem.config.optimizer]
    image = np.asarray(problem.initial, np.float32)
    begun = optimizer.init(image[np.newaxis], optimizer.parameters([problem.config]))
    return LoopState(
        image,
        image,
        optimizer.packed(tf.nest.map_structure(lambda t: np.asarray(t[0]), begun)),
        np.int32(0),
        np.int32(RUNNING),
        np.zeros(max(1, problem.config.early_stop_window), np.float32),
    )


def _averaged(state: LoopState, decay: PerPicture) -> Images:
    """Returns the mean of each image's iterates so far, weighted by powers of its decay, the latest one by 1.

    The initial image does not count. At a decay of 0 it is the latest iterate, to the bit.
    """
    steps = tf.cast(tf.maximum(state.iteration, 1), tf.float32)
    weight = tf.reshape((1.0 - decay) / (1.0 - tf.pow(decay, steps)), [-1, 1, 1, 1])
    return _where(
        (decay > 0) & (state.iteration > 0), state.delivered + weight * (state.images - state.delivered), state.images
    )


def _early_stop(
    state: LoopState, limits: Limits, total: PerPicture, accepted: MaskPerPicture
) -> tuple[MaskPerPicture, Tensor]:
    """Returns whether each loss fell by less than the tolerance over its window, and the windows with this iterate."""
    slot = state.iteration % tf.maximum(limits.window, 1)
    before = tf.gather(state.window, slot, batch_dims=1)
    watched = accepted & (limits.window > 0) & (state.iteration >= limits.window)
    converged = watched & (before - total < limits.tolerance * before)
    here = tf.one_hot(slot, tf.shape(state.window)[1], on_value=True, off_value=False)
    return converged, tf.where(here & accepted[:, tf.newaxis], total[:, tf.newaxis], state.window)


def _where(mask: MaskPerPicture, new: Tensor, old: Tensor) -> Tensor:
    """Selects per image: `mask` is [batch], `new` and `old` are [batch, ...]."""
    return tf.where(tf.reshape(mask, tf.concat([[-1], tf.ones([tf.rank(new) - 1], tf.int32)], axis=0)), new, old)


def _stack_padded(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Stacks arrays whose first dimensions may differ; zeros fill up the shorter ones."""
    if np.ndim(arrays[0]) == 0 or len({len(array) for array in arrays}) == 1:
        return np.stack(arrays)
    stacked = np.zeros((len(arrays), max(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[: len(array)] = array
    return stacked


def _loose_spec(value: Any) -> tf.TensorSpec:
    """Leaves batch sizes, image sizes and window lengths free and fixes channels, so that one trace serves them all.

    Whole numbers count positions or say where they are: all their dimensions stay free.
    """
    value = tf.convert_to_tensor(value)
    rank = value.shape.rank
    fixed = 0 if value.dtype.is_integer else {0: 0, 1: 0, 2: 0, 3: 2}.get(rank, 1)
    return tf.TensorSpec([None] * (rank - fixed) + value.shape.as_list()[rank - fixed :], value.dtype)
