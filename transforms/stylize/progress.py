"""Progress of the computation in this process, reported to listeners. Worker processes have none."""

import contextlib
from collections.abc import Iterator
from typing import Protocol

# Total, content, style, tv.
Losses = tuple[float, float, float, float]


class Listener(Protocol):
    """Receives progress: a progress bar, say."""

    def planned(self, runs: int) -> None:
        """Called when `runs` more runs are to be computed."""

    def optimizing(self, iteration: int, losses: Losses) -> None:
        """Called when the current batch is at `iteration`, with the losses of its median picture."""

    def finished(self, runs: int) -> None:
        """Called when `runs` more runs are done or failed."""


_listeners: list[Listener] = []


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Adds a listener while the context lasts."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def planned(runs: int) -> None:
    """Reports that `runs` more runs are to be computed."""
    for listener in _listeners:
        listener.planned(runs)


def optimizing(iteration: int, losses: Losses) -> None:
    """Reports that the current batch is at `iteration`, with the losses of its median picture."""
    for listener in _listeners:
        listener.optimizing(iteration, losses)


def finished(runs: int) -> None:
    """Reports that `runs` more runs are done or failed."""
    for listener in _listeners:
        listener.finished(runs)
