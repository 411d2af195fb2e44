"""How a run inside this process tells a person how far it is. In other processes nobody listens."""

import contextlib
from collections.abc import Iterator
from typing import Protocol

# Total, content, style, tv.
Losses = tuple[float, float, float, float]


class Listener(Protocol):
    """What wants to know."""

    def planned(self, runs: int) -> None:
        """So many more runs are to be computed."""

    def optimizing(self, iteration: int, losses: Losses) -> None:
        """The current batch is at this iteration; the losses are those of its median picture."""

    def finished(self, runs: int) -> None:
        """So many more runs are done or failed."""


_listeners: list[Listener] = []


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Reports to `listener` what happens in this process."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def planned(runs: int) -> None:
    """See Listener."""
    for listener in _listeners:
        listener.planned(runs)


def optimizing(iteration: int, losses: Losses) -> None:
    """See Listener."""
    for listener in _listeners:
        listener.optimizing(iteration, losses)


def finished(runs: int) -> None:
    """See Listener."""
    for listener in _listeners:
        listener.finished(runs)
