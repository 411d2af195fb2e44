"""SimulatedEngine: an engine that delivers the content as the picture, with losses that fall, and computes nothing."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from stylecore.objective.objective import Losses
from stylecore.planning.buckets import StepKind
from stylecore.planning.room import Room
from stylecore.run.engine import ALL_ITERATIONS, RUNNING, Engine
from stylecore.run.problem import Problem


class _State(NamedTuple):
    status: tf.Tensor
    iteration: tf.Tensor
    delivered: tf.Tensor


class SimulatedEngine:
    """Stands for an Engine where only the rest of a job is of interest: answers what `Optimization` asks of one."""

    compiles_each_size = False

    def check(self, problem: Problem) -> None:
        """Accepts every problem."""

    def layout(self, problem: Problem) -> tuple[()]:
        """Tells no problems apart."""
        return ()

    def notes(self, problem: Problem) -> tuple[str, ...]:
        """Leaves nothing out."""
        return ()

    def fitting_size(self, problems: Sequence[Problem]) -> int:
        """Knows no limit."""
        return sys.maxsize

    def first_state(self, problem: Problem) -> None:
        """Returns no state: `start` begins with the content."""

    def constants(self, problems: Sequence[Problem]) -> Sequence[Problem]:
        """Returns the problems."""
        return problems

    def start(self, problems: Sequence[Problem], states: Any) -> _State:
        """Returns the contents, before their first iteration."""
        zeros = np.zeros(len(problems), np.int32)
        return _State(tf.constant(zeros + RUNNING), tf.constant(zeros), tf.constant([one.content for one in problems]))

    def advance(self, state: _State, problems: Sequence[Problem], evaluations: int) -> tuple[_State, tf.Tensor, Losses]:
        """Makes all iterations of all problems, see `Engine.advance`."""
        last = np.array([problem.iterations for problem in problems], np.int32)
        numbers = np.arange(last.max() + 1, dtype=np.int32)[:, np.newaxis]
        losses = [_losses(problem, numbers[:, 0]) for problem in problems]
        over = _State(tf.constant(0 * last + ALL_ITERATIONS), tf.constant(last + 1), state.delivered)
        terms = (tf.constant(np.stack(term, axis=1)) for term in zip(*losses, strict=True))
        return over, tf.constant(np.where(numbers <= last, numbers, -1)), Losses(*terms)

    def measure(self, image: np.ndarray, problem: Problem) -> Losses:
        """Returns the losses of the last iteration."""
        return Losses(*(float(term[0]) for term in _losses(problem, np.array([problem.iterations]))))


def _losses(problem: Problem, iterations: np.ndarray) -> Losses:
    content = (1 / (iterations + 2)).astype(np.float32)
    config = problem.config
    total = config.content_weight * content + config.style_weight * content + config.tv_weight * content
    return Losses(total.astype(np.float32), content, content, content)


def simulated_engine(kind: StepKind, load: Callable[[], keras.Model], device: str, xla: bool, room: Room) -> Engine:
    """Returns an engine that computes nothing, for `StylizeOptions.engines`; the network is not loaded."""
    engine: Any = SimulatedEngine()
    return engine
