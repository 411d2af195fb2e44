"""SIGINT and SIGTERM during a job: commits in flight are finished, running pictures saved, and the process ends.

The signals do not become exceptions: Beam would report them as errors of the step that they happen to interrupt, and
its worker threads would delay a normal exit. A second signal ends the process at once; files are whole at any moment.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from pipeline.cli.command import ExitStatus
from transforms.stylize import stopping

# After SIGTERM comes SIGKILL: on a spot machine 30 seconds later.
GRACE_SECS = 25.0
_STANDARD_ERROR = 2
_STATUS = {signal.SIGINT: ExitStatus.INTERRUPTED, signal.SIGTERM: ExitStatus.TERMINATED}


@contextlib.contextmanager
def stop_well(is_elsewhere: bool = False) -> Iterator[None]:
    """Ends the process in this way if SIGINT or SIGTERM arrives before the context ends.

    Args:
      is_elsewhere: this process only waits for a job that another one runs, and that goes on.
    """
    handler = _end_waiting if is_elsewhere else _handle
    before = {number: signal.signal(number, handler) for number in _STATUS}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
        if stopping.is_requested():
            # The process is about to end: an error of the interrupted step must not be reported.
            threading.Event().wait()


def _end_waiting(number: int, frame: Any) -> None:
    _end(_STATUS[signal.Signals(number)], "no longer waiting; if the job was submitted, it goes on where it runs")


def _handle(number: int, frame: Any) -> None:
    status = _STATUS[signal.Signals(number)]
    if stopping.is_requested():
        _end(status, "stopped at once; what is finished is kept, the same command goes on from there")
    stopping.request()
    logging.disable()  # Errors from here on follow from the stop itself.
    # In a thread: a handler interrupts the main thread, which may hold a lock that the work we wait for needs.
    threading.Thread(target=_end_when_idle, args=(status,), daemon=True).start()


def _end_when_idle(status: int) -> None:
    # Only commits and running pictures are waited for: other steps are simply done again. Where other processes
    # compute, they handle their own signals.
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
    # os.write, because the signal may have interrupted a print. Its reader, `| tee` say, may have ended by Ctrl-C too.
    with contextlib.suppress(OSError):
        os.write(_STANDARD_ERROR, f"{text}\n".encode())
