"""How a running job shows its progress: a bar on a terminal, elsewhere a line a minute."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tqdm import tqdm

from pipeline.cli.command import duration, rate
from pipeline.status.reader import Status, StatusReader
from transforms.output import storage
from transforms.output.job import read_job
from transforms.output.paths import Output
from transforms.stylize import progress

LINE_SECS = 60.0
POLL_SECS = 1.0
# To list 100,000 markers in a bucket takes seconds and costs money: between two listings we wait this much longer.
_REST_OVER_LISTING = 20


def _bar(total: int, unit: str) -> Any:
    # Runs finish in bursts, a batch at a time: only the average over the whole job (smoothing=0) says when it ends.
    return tqdm(total=total, unit=unit, disable=None, file=sys.stderr, dynamic_ncols=True, smoothing=0)


def _losses(losses: progress.Losses) -> str:
    total, content, style, tv = losses
    return f"loss {total:.4g} (content {content:.3g}, style {style:.3g}, tv {tv:.3g})"


class RunBar:
    """A bar of the runs done out of those planned, with iteration and loss of the current batch."""

    def __init__(self) -> None:
        self._bar = _bar(0, " runs")
        # tqdm's own lock keeps lines apart, not the counting: Beam calls from several threads.
        self._lock = threading.Lock()

    @property
    def is_shown(self) -> bool:
        """Whether standard error is a terminal."""
        return not self._bar.disable

    def planned(self, runs: int) -> None:
        with self._lock:
            self._bar.total += runs
            self._bar.refresh()

    def optimizing(self, iteration: int, losses: progress.Losses) -> None:
        with self._lock:
            self._bar.set_postfix_str(f"iteration {iteration}, {_losses(losses)}")

    def finished(self, runs: int) -> None:
        with self._lock:
            self._bar.update(runs)

    def close(self) -> None:
        """Stops drawing; the last state stays on the terminal."""
        self._bar.close()


class IterationBar:
    """A bar of the iterations of a single picture."""

    def __init__(self, iterations: int) -> None:
        self._bar = _bar(iterations, " iterations")

    def show(self, iteration: int, losses: progress.Losses) -> None:
        """Moves the bar to an iteration."""
        self._bar.set_postfix_str(_losses(losses), refresh=False)
        self._bar.update(iteration - self._bar.n)

    def close(self) -> None:
        """Stops drawing; the last state stays on the terminal."""
        self._bar.close()


@contextlib.contextmanager
def job_progress(output: Output, in_this_process: bool, line_secs: float = LINE_SECS) -> Iterator[None]:
    """Shows the progress of a job for as long as the context lasts.

    Args:
      output: the job's output directory.
      in_this_process: whether runs are computed here, so that the bar can follow them; else it counts markers.
      line_secs: seconds between two lines where standard error is not a terminal.
    """
    bar = RunBar()
    try:
        if not bar.is_shown:
            shown = _beside(lambda over: _print_lines(output, over, line_secs))
        elif in_this_process:
            shown = progress.listening(bar)
        else:
            shown = _beside(lambda over: _count_markers(bar, output, over))
        with shown:
            yield
    finally:
        bar.close()


@contextlib.contextmanager
def _beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Does `work` in a thread; the event that it is given is set when the context ends."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _print_lines(output: Output, over: threading.Event, line_secs: float) -> None:
    reader = StatusReader(output.root)
    rest_secs = line_secs
    while not over.wait(rest_secs):
        began = time.monotonic()
        # The job reports for itself that its directory cannot be listed; and nobody may be left to read the line.
        with contextlib.suppress(OSError):
            print(_line(reader.read()), file=sys.stderr, flush=True)
        rest_secs = max(line_secs, _REST_OVER_LISTING * (time.monotonic() - began))


def _line(status: Status) -> str:
    parts = [f"{status.done} runs done", f"{sum(status.failed.values())} failed"]
    if status.runs_per_min:
        parts.append(rate(status.runs_per_min, "runs"))
    if status.secs_left is not None:
        parts.append(f"{'at most ' if status.is_bound else ''}about {duration(status.secs_left)} left")
    return ", ".join(parts)


def _count_markers(bar: RunBar, output: Output, over: threading.Event) -> None:
    first: int | None = None
    shown, rest_secs = 0, 0.0
    is_planned = is_over = False
    while not is_over:
        is_over = over.wait(rest_secs)  # Once it is set, the markers are counted one last time.
        began = time.monotonic()
        # The job reports for itself that its directory cannot be listed.
        with contextlib.suppress(storage.StorageError):
            markers = len(output.ids("runs"))
            first = markers if first is None else first
            # job.json has no number of runs before the whole manifest was read.
            if not is_planned and (job := read_job(output)) and job.runs is not None:
                bar.planned(max(0, job.runs - first))
                is_planned = True
            bar.finished(max(0, markers - first - shown))
            shown = max(shown, markers - first)
        rest_secs = max(POLL_SECS, _REST_OVER_LISTING * (time.monotonic() - began))
