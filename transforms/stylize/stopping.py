"""Stopping on request: what computes in this process saves its runs, ends, and can be waited for."""

import contextlib
import threading
from collections.abc import Iterator


class StoppedError(RuntimeError):
    """The computation ended on request; its runs are saved."""


_requested = threading.Event()
_idle = threading.Condition()
_working = 0


def request() -> None:
    """Requests that every computation in this process stop at its next check."""
    _requested.set()


def check() -> None:
    """Raises StoppedError if a stop was requested."""
    if _requested.is_set():
        raise StoppedError("stopped")


def is_requested() -> bool:
    """Returns whether a stop was requested."""
    return _requested.is_set()


@contextlib.contextmanager
def work() -> Iterator[None]:
    """Encloses work that must not be cut off; `wait_until_idle` waits for it."""
    global _working
    with _idle:
        _working += 1
    try:
        yield
    finally:
        with _idle:
            _working -= 1
            _idle.notify_all()


def wait_until_idle(timeout_secs: float) -> bool:
    """Waits until no `work` is under way; returns False if that takes longer than `timeout_secs`."""
    with _idle:
        return _idle.wait_for(lambda: _working == 0, timeout_secs)
