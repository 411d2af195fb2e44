"""The progress bar of a local run; silent where the output is no terminal."""

import contextlib
import sys
import threading
from collections.abc import Iterator

from tqdm import tqdm

from transforms import progress, storage
from transforms.layout import Output

_POLL_SECS = 1.0


class RunBar:
    """Shows runs done of runs planned, and where the current batch is."""

    def __init__(self) -> None:
        self._bar = tqdm(total=0, unit="run", disable=None, file=sys.stderr, dynamic_ncols=True)
        self._lock = threading.Lock()

    def planned(self, runs: int) -> None:
        """See transforms.progress.Listener."""
        with self._lock:
            self._bar.total += runs
            self._bar.refresh()

    def optimizing(self, iteration: int, total_loss: float) -> None:
        """See transforms.progress.Listener."""
        self._bar.set_postfix_str(f"iteration {iteration}, loss {total_loss:.4g}")

    def finished(self, runs: int) -> None:
        """See transforms.progress.Listener."""
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
    over = threading.Event()
    thread = threading.Thread(target=_count_markers, args=(bar, output, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _count_markers(bar: RunBar, output: Output, over: threading.Event) -> None:
    seen = len(output.ids("runs"))
    while not over.wait(_POLL_SECS):
        with contextlib.suppress(storage.StorageError):
            now = len(output.ids("runs"))
            bar.finished(now - seen)
            seen = now


class IterationBar:
    """Shows the iterations of a single picture."""

    def __init__(self, iterations: int) -> None:
        self._bar = tqdm(total=iterations, unit="it", disable=None, file=sys.stderr, dynamic_ncols=True)

    def show(self, iteration: int, total_loss: float) -> None:
        """Moves the bar to an iteration."""
        self._bar.set_postfix_str(f"loss {total_loss:.4g}", refresh=False)
        self._bar.update(iteration - self._bar.n)

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()
