"""What an optimisation gives back: pictures, losses, and the history of how they came about."""

import dataclasses
from typing import NamedTuple

import numpy as np

HISTORY_POINTS = 100
FIRST_ITERATIONS_KEPT = 10


class NotFiniteError(ArithmeticError):
    """A loss or gradient that is infinite or not a number."""


class HistoryEntry(NamedTuple):
    """Losses after `iteration` steps: `total` weighted, the terms not."""

    iteration: int
    total: float
    content: float
    style: float
    tv: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one problem.

    Attributes:
      image: uint8 [height, width, 3], the delivered picture; None if there is none.
      loss_total: weighted sum of the terms, of the delivered 8-bit picture, like the next three.
      loss_content: content loss, unweighted but for its layers' weights.
      loss_style: style loss, likewise.
      loss_tv: total variation.
      history: losses of the float picture at iteration 0, the first ten, a regular stride and the last.
      iterations: steps that were made.
      stop_reason: "iterations" or "converged".
      seconds: the batch's wall time until this problem was done, over the number of its problems.
      error: why it failed, or None.
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


class Progress(NamedTuple):
    """How far a batch is.

    Attributes:
      iterations: made so far, [problems].
      losses: the latest total, content, style and tv, [4, problems].
    """

    iterations: np.ndarray
    losses: np.ndarray

    def median_losses(self) -> tuple[float, float, float, float]:
        """Returns total, content, style and tv of the problem whose total is the median."""
        middle = np.argsort(self.losses[0])[self.losses.shape[1] // 2]
        total, content, style, tv = (float(term) for term in self.losses[:, middle])
        return total, content, style, tv


class History:
    """Keeps the iterates that are reported: 0, the first ten, a regular stride, and always the latest."""

    def __init__(self, iterations: int) -> None:
        self._stride = history_stride(iterations)
        self._kept: list[HistoryEntry] = []
        self._latest: HistoryEntry | None = None

    def extend(self, numbers: np.ndarray, losses: np.ndarray) -> None:
        """Takes the numbers of iterates, [evaluations], -1 where there is none, and their losses, [evaluations, 4]."""
        for number, terms in zip(numbers.tolist(), losses.tolist(), strict=True):
            if number < 0:
                continue
            self._latest = HistoryEntry(number, *terms)
            if number <= FIRST_ITERATIONS_KEPT or number % self._stride == 0:
                self._kept.append(self._latest)

    def entries(self) -> tuple[HistoryEntry, ...]:
        """Returns what was kept, in order."""
        if self._latest is None or self._latest in self._kept[-1:]:
            return tuple(self._kept)
        return (*self._kept, self._latest)


def history_stride(iterations: int) -> int:
    """Returns the stride of a history: the least of 1, 2, 5, 10, 20, ... that gives at most 100 points."""
    decade = 1
    while True:
        for stride in (decade, 2 * decade, 5 * decade):
            if iterations <= HISTORY_POINTS * stride:
                return stride
        decade *= 10
