"""How a person's wish to stop reaches what computes: it saves what is under way and says when it is idle."""

import contextlib
import threading
from collections.abc import Iterator


class StoppedError(RuntimeError):
    """The computation ended because that was asked for; it is saved."""


_requested = threading.Event()
_idle = threading.Condition()
_working = 0


def request() -> None:
    """Asks everything in this process to stop at the next opportunity."""
    _requested.set()


def check() -> None:
    """Raises StoppedError if that was asked for."""
    if _requested.is_set():
        raise StoppedError("stopped")


def is_requested() -> bool:
    """Returns whether it was asked for."""
    return _requested.is_set()


@contextlib.contextmanager
def work() -> Iterator[None]:
    """Encloses what must not be cut off: whoever asked to stop waits until it is done."""
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
    """Waits until no such work is under way; returns False if that takes longer than `timeout_secs`."""
    with _idle:
        return _idle.wait_for(lambda: _working == 0, timeout_secs)
