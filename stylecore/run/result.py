"""The results of an optimisation: pictures, losses and their history; and the errors that end a problem."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

HISTORY_POINTS = 100
FIRST_ITERATIONS_KEPT = 10


class NotFiniteError(ArithmeticError):
    """A loss or gradient is infinite or not a number."""


class DeadlineError(TimeoutError):
    """A run was not done within its time limit."""


class OutOfMemoryError(MemoryError):
    """A picture exceeds the device's memory even alone."""


class DeviceError(RuntimeError):
    """The device failed to compute a picture, even alone."""


class HistoryEntry(NamedTuple):
    """The losses after `iteration` steps: the weighted `total` and the unweighted terms."""

    iteration: int
    total: float
    content: float
    style: float
    tv: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """The result of one problem.

    Attributes:
      image: the delivered picture, uint8 [height, width, 3]; if the problem failed, its last good picture or None.
      loss_total: weighted sum of the terms, measured, like them, on the delivered 8-bit picture and in float32.
      loss_content: content loss, unweighted but for its layers' weights.
      loss_style: style loss, likewise.
      loss_tv: total variation.
      history: losses of the float picture at iteration 0, the first ten, a regular stride and the last.
      iterations: the number of steps made.
      stop_reason: "iterations", "converged" by the early stop, "stalled" where L-BFGS' line search found no lower loss;
        None if the problem failed.
      seconds: the batch's wall time until this problem was done, divided by the number of its problems.
      error: the reason of the failure, or None.
      notes: what was left out of the losses, a line each.
    """

    image: np.ndarray | None = None
    loss_total: float = float("nan")
    loss_content: float = float("nan")
    loss_style: float = float("nan")
    loss_tv: float = float("nan")
    history: tuple[HistoryEntry, ...] = ()
    iterations: int = 0
    stop_reason: str | None = None
    seconds: float = 0.0
    error: Exception | None = None
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far the problems of an optimisation are.

    Attributes:
      running: the indices of the problems in the current batch.
      iterations: the number of steps made so far, [problems] int.
      losses: the latest total, content, style and tv, [4, problems].
    """

    running: tuple[int, ...]
    iterations: np.ndarray
    losses: np.ndarray

    def median_losses(self) -> tuple[float, float, float, float]:
        """Returns total, content, style and tv of the running problem with the median total."""
        losses = self.losses[:, self.running]
        middle = np.argsort(losses[0])[losses.shape[1] // 2]
        total, content, style, tv = (float(term) for term in losses[:, middle])
        return total, content, style, tv


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture on the way.

    Attributes:
      index: the problem's.
      iteration: the number of steps made, one of the problem's `frame_iterations`.
      image: uint8 [height, width, 3], at the size of the stage.
    """

    index: int
    iteration: int
    image: np.ndarray


class History:
    """Keeps the losses of the iterates to report: 0, the first ten, a regular stride and the latest."""

    def __init__(self, iterations: int, entries: Sequence[HistoryEntry] = ()) -> None:
        self._stride = history_stride(iterations)
        self._kept = [entry for entry in entries if self._is_kept(entry.iteration)]
        self._latest = entries[-1] if entries else None

    def extend(self, numbers: np.ndarray, losses: np.ndarray) -> None:
        """Adds iterates with the numbers [iterates] and the losses [iterates, 4].

        Numbers up to the latest one are skipped: a stage begins with the last picture of the stage before.
        """
        for number, terms in zip(numbers.tolist(), losses.tolist(), strict=True):
            if self._latest and number <= self._latest.iteration:
                continue
            self._latest = HistoryEntry(number, *terms)
            if self._is_kept(number):
                self._kept.append(self._latest)

    def entries(self) -> tuple[HistoryEntry, ...]:
        """Returns the kept entries, in order."""
        if self._latest is None or self._latest in self._kept[-1:]:
            return tuple(self._kept)
        return (*self._kept, self._latest)

    def _is_kept(self, number: int) -> bool:
        return number <= FIRST_ITERATIONS_KEPT or number % self._stride == 0


def frame_iterations(iterations: int, count: int) -> list[int]:
    """Returns the iterations at which a run shows pictures on the way: evenly spread from 0, all in its history.

    Args:
      iterations: the run's steps.
      count: the number of pictures, >= 0; a short run has fewer. The last iteration is none of them.
    """
    stride = history_stride(iterations)
    spread = (iterations * position / count for position in range(count))
    near = {round(exact) if exact <= FIRST_ITERATIONS_KEPT else round(exact / stride) * stride for exact in spread}
    return sorted(number for number in near if number < iterations)


def history_stride(iterations: int) -> int:
    """Returns a history's stride: the smallest of 1, 2, 5, 10, 20, ... that gives at most 100 points."""
    decade = 1
    while True:
        for stride in (decade, 2 * decade, 5 * decade):
            if iterations <= HISTORY_POINTS * stride:
                return stride
        decade *= 10
