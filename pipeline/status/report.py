"""A status as text, printed once or kept up to date."""

import shutil
import sys
import time
from collections.abc import Iterator
from typing import TextIO

from pipeline.cli.command import duration, plural, rate
from pipeline.status.reader import FINISHED, RATE_WINDOW_SECS, RUNNING, STOPPED, Status, StatusReader

REFRESH_SECS = 3.0
_SILENCE_WORTH_SAYING_SECS = 60.0
_TO_LINE_START_AND_CLEAR = "\x1b[{lines}F\x1b[J"


def report(status: Status) -> Iterator[str]:
    """Yields the lines that `stylebeam status` prints."""
    yield f"{status.directory}: {_state(status)}"
    yield from _job(status)
    yield f"done       {plural(status.done, 'run')}{_of_runs(status)}"
    yield f"failed     {sum(status.failed.values())}"
    for error_type, count in sorted(status.failed.items(), key=lambda item: (-item[1], item[0])):
        yield f"           {count} {error_type}"
    if status.retried:
        yield f"           and {status.retried} of earlier jobs, to be tried again"
    yield f"remaining  {_remaining(status)}"
    yield from _speed(status)


def one_line(status: Status) -> str:
    """Returns the changing parts of a status on one line."""
    parts = [f"{status.done} done", f"{sum(status.failed.values())} failed", f"{_remaining(status)} remaining"]
    if status.secs_left is not None:
        parts.append(f"{_about(status)} {duration(status.secs_left)} left")
    return f"{_state(status)}: {', '.join(parts)}"


def _state(status: Status) -> str:
    if status.state == FINISHED:
        return FINISHED
    silence = f"no activity for {duration(status.idle_secs)}"
    if status.state == STOPPED:
        return f"{STOPPED}: its process has ended" if status.is_known else f"{STOPPED}, as it seems: {silence}"
    return RUNNING + (f", {silence}" if status.idle_secs >= _SILENCE_WORTH_SAYING_SECS else "")


def _job(status: Status) -> Iterator[str]:
    if status.job is None:
        yield "job        not known: there is no readable job.json"
        return
    rows, runs = status.job.rows, status.job.runs
    counted = "runs not counted yet" if runs is None else plural(runs, "run")
    yield f"manifest   {status.job.manifest}, {rows} rows, {counted}"
    yield f"started    {status.job.started}"


def _of_runs(status: Status) -> str:
    runs = status.job.runs if status.job else None
    if status.foreign and status.state != FINISHED:
        return " by this job; runs/ holds pictures of other manifests too"
    return "" if runs is None else f" of {runs}"


def _remaining(status: Status) -> str:
    if status.remaining is None:
        return "not known"
    return f"{'at most ' if status.is_bound else ''}{status.remaining}"


def _about(status: Status) -> str:
    return "at most about" if status.is_bound else "about"


def _speed(status: Status) -> Iterator[str]:
    if not status.runs_per_min or status.state == STOPPED:
        return
    over = "over the whole job" if status.state == FINISHED else f"over the last {duration(RATE_WINDOW_SECS)} at most"
    yield f"rate       {rate(status.runs_per_min, 'runs')}, {over}"
    if status.secs_left is not None:
        yield f"time left  {_about(status)} {duration(status.secs_left)}"


def watch(reader: StatusReader, out: TextIO = sys.stdout, refresh_secs: float = REFRESH_SECS) -> Status:
    """Shows the status until the job is finished or Ctrl-C is pressed, and returns the last one.

    Args:
      reader: reads the status.
      out: a terminal, which is redrawn in place, or any other file, which gets a line for each change.
      refresh_secs: the seconds between two readings.
    """
    show = _Redrawn(out) if out.isatty() else _Appended(out)
    while True:
        status = reader.read()
        show(status)
        if status.state == FINISHED:
            return status
        try:
            time.sleep(refresh_secs)
        except KeyboardInterrupt:
            return status


class _Redrawn:
    """Writes the report to a terminal, over the previous one."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines = 0

    def __call__(self, status: Status) -> None:
        # A wrapped line would take two rows, and the cursor would not go back far enough.
        width = shutil.get_terminal_size().columns - 1
        lines = [line[:width] for line in report(status)]
        back = _TO_LINE_START_AND_CLEAR.format(lines=self._lines) if self._lines else ""
        self._out.write(back + "".join(f"{line}\n" for line in lines))
        self._out.flush()
        self._lines = len(lines)


class _Appended:
    """Writes one line for each change of the status."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._last: tuple[object, ...] = ()

    def __call__(self, status: Status) -> None:
        now = (status.state, status.done, tuple(sorted(status.failed.items())), status.remaining)
        if now != self._last:
            print(one_line(status), file=self._out, flush=True)
            self._last = now
