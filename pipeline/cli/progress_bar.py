"""The progress bar of a local run; silent where the output is no terminal."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from transforms.output import storage
from transforms.output.paths import Output
from transforms.stylize import progress

_POLL_SECS = 1.0
# Listing 100,000 markers in a bucket takes seconds and costs money: the larger part of the time nothing is asked.
_REST_OVER_LISTING = 20


def _bar(total: int, unit: str) -> Any:
    # Runs finish in bursts, a batch at a time: only the average over the whole job (smoothing=0) says when it ends.
    return tqdm(total=total, unit=unit, disable=None, file=sys.stderr, dynamic_ncols=True, smoothing=0)


def _losses(losses: progress.Losses) -> str:
    total, content, style, tv = losses
    return f"loss {total:.4g} (content {content:.3g}, style {style:.3g}, tv {tv:.3g})"


class RunBar:
    """Shows runs done of runs planned, and iteration and loss of the current batch."""

    def __init__(self) -> None:
        self._bar = _bar(0, " runs")
        # tqdm's own lock keeps lines apart, not the counting: Beam calls from several threads.
        self._lock = threading.Lock()

    @property
    def is_shown(self) -> bool:
        """Whether standard error is a terminal."""
        return not self._bar.disable

    def planned(self, runs: int) -> None:
        """See transforms.stylize.progress.Listener."""
        with self._lock:
            self._bar.total += runs
            self._bar.refresh()

    def optimizing(self, iteration: int, losses: progress.Losses) -> None:
        """See transforms.stylize.progress.Listener."""
        with self._lock:
            self._bar.set_postfix_str(f"iteration {iteration}, {_losses(losses)}")

    def finished(self, runs: int) -> None:
        """See transforms.stylize.progress.Listener."""
        with self._lock:
            self._bar.update(runs)

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()


@contextlib.contextmanager
def run_bar(output: Output, in_this_process: bool) -> Iterator[None]:
    """Shows a bar; when other processes compute, it counts the markers that appear in the output directory."""
    bar = RunBar()
    try:
        with progress.listening(bar) if in_this_process else _watching(bar, output):
            yield
    finally:
        bar.close()


@contextlib.contextmanager
def _watching(bar: RunBar, output: Output) -> Iterator[None]:
    if not bar.is_shown:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_count_markers, args=(bar, output, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _count_markers(bar: RunBar, output: Output, over: threading.Event) -> None:
    first: int | None = None
    shown, rest_secs = 0, 0.0
    is_planned = is_over = False
    while not is_over:
        is_over = over.wait(rest_secs)  # Counts once more then.
        began = time.monotonic()
        # The job itself will say what is wrong with the directory.
        with contextlib.suppress(storage.StorageError):
            markers = len(output.ids("runs"))
            first = markers if first is None else first
            if not is_planned and (runs := _runs_of(output)) is not None:
                bar.planned(max(0, runs - first))
                is_planned = True
            bar.finished(max(0, markers - first - shown))
            shown = max(shown, markers - first)
        rest_secs = max(_POLL_SECS, _REST_OVER_LISTING * (time.monotonic() - began))


def _runs_of(output: Output) -> int | None:
    """The number of runs in job.json: not there before the manifest was read."""
    try:
        runs = json.loads(storage.read_bytes(output.job)).get("runs")
    except (storage.NotFoundError, ValueError, AttributeError):
        return None
    return runs if isinstance(runs, int) else None


class IterationBar:
    """Shows the iterations of a single picture."""

    def __init__(self, iterations: int) -> None:
        self._bar = _bar(iterations, " iterations")

    def show(self, iteration: int, losses: progress.Losses) -> None:
        """Moves the bar to an iteration."""
        self._bar.set_postfix_str(_losses(losses), refresh=False)
        self._bar.update(iteration - self._bar.n)

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()
