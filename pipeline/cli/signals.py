"""SIGINT and SIGTERM during a job: commits in flight are finished, running pictures saved, and the process ends.

Not as exceptions: Beam would take them for errors of the step that they happen to interrupt, and its worker threads
would keep a normal exit waiting. A second signal ends the process at once; everything written is whole at any moment.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from transforms.stylize import stopping

# Those who send SIGTERM send SIGKILL later: spot machines after 30 seconds.
GRACE_SECS = 25.0
_STANDARD_ERROR = 2
_STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143}


@contextlib.contextmanager
def stop_well() -> Iterator[None]:
    """Handles the signals in this way."""
    before = {number: signal.signal(number, _handle) for number in _STATUS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if stopping.is_requested():
            threading.Event().wait()  # The process is about to end: nobody shall report the interrupted step.


def _handle(number: int, frame: Any) -> None:
    status = _STATUS[signal.Signals(number)]
    if stopping.is_requested():
        _end(status, "stopped at once; what is finished is kept, the same command goes on from there")
    stopping.request()
    logging.disable()  # What breaks from here on breaks because of us.
    # In a thread: a handler interrupts the main thread wherever it is, and what we wait for may need what it holds.
    threading.Thread(target=_end_when_idle, args=(status,), daemon=True).start()


def _end_when_idle(status: int) -> None:
    # Most steps are simply done again. And where other processes compute, they are on their own.
    is_busy = not stopping.wait_until_idle(0)
    if is_busy and not stopping.wait_until_idle(0.2):
        _say("stopping: saving what is under way; once more to stop at once")
    is_saved = is_busy and stopping.wait_until_idle(GRACE_SECS)
    rest = "what is finished is kept and what was under way is saved" if is_saved else "what is finished is kept"
    _end(status, f"stopped; {rest}, the same command goes on from there")


def _end(status: int, text: str) -> None:
    _say(text)
    with contextlib.suppress(OSError, RuntimeError):
        sys.stdout.flush()
    os._exit(status)


def _say(text: str) -> None:
    # Not by print: the signal may have interrupted one. And Ctrl-C may have ended who was to read it, a `| tee` say.
    with contextlib.suppress(OSError):
        os.write(_STANDARD_ERROR, f"{text}\n".encode())
