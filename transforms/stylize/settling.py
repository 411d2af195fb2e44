"""Settling results in the background while the next ones compute: each is committed or recorded as failed."""

import contextlib
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

from stylecore.images.codec import encode_png
from stylecore.run.result import Result
from stylecore.run.snapshot import Snapshot
from transforms.output import storage
from transforms.output.checkpoints import save_checkpoints
from transforms.output.commit import commit_result, record_failure
from transforms.output.paths import PNG, Output
from transforms.output.record import RunRecord
from transforms.records import Failure, Reason, Run
from transforms.stylize import progress, stopping

Outcome = tuple[str, RunRecord | Reason]

SETTLING_THREADS = 8
# Each holds a picture in memory.
MAX_PENDING = 32


class Settling:
    """Results on their way to storage. A storage error is raised by `done` or `all`.

    Args:
      output: where pictures and failures go.
      untimed: see `commit.commit_result`.
    """

    def __init__(self, output: Output, untimed: bool) -> None:
        self._output = output
        self._untimed = untimed
        self._pool = ThreadPoolExecutor(SETTLING_THREADS, thread_name_prefix="settle")
        self._pending: deque[Future[Outcome]] = deque()

    def submit(self, run: Run, result: Result, snapshot: Snapshot | None = None) -> None:
        """Commits a run's result in the background, or records its error and its snapshot, if there is one."""
        if len(self._pending) >= MAX_PENDING:
            wait([self._pending[0]])
        under_way = contextlib.ExitStack()
        under_way.enter_context(stopping.work())
        future = self._pool.submit(self._settle, run, result, snapshot)
        future.add_done_callback(lambda _: under_way.close())
        self._pending.append(future)

    def done(self) -> Iterator[Outcome]:
        """Yields the outcomes that are ready, in the order of `submit`.

        Raises:
          StorageError: the output cannot be written.
        """
        while self._pending and self._pending[0].done():
            yield self._pending.popleft().result()

    def all(self) -> Iterator[Outcome]:
        """Waits for everything submitted and yields its outcomes; see `done`."""
        wait(self._pending)
        yield from self.done()

    def wait(self) -> None:
        """Waits until nothing is under way; raises no storage error."""
        wait(self._pending)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()

    def _settle(self, run: Run, result: Result, snapshot: Snapshot | None) -> Outcome:
        if result.error is None:
            outcome: RunRecord | Reason = commit_result(self._output, run, result, self._untimed)
        else:
            outcome = self._fail(run, result, snapshot)
        progress.finished(1)
        return run.run_id, outcome

    def _fail(self, run: Run, result: Result, snapshot: Snapshot | None) -> Reason:
        assert result.error is not None
        reason = Reason.of(result.error)
        if snapshot is not None:
            save_checkpoints(self._output, {run.run_id: snapshot})
        if result.image is not None:
            text = {"run_id": run.run_id, "status": "failed", "iterations": result.iterations, **reason.to_dict()}
            storage.write(self._output.partial(run.run_id), encode_png(result.image, json.dumps(text)), PNG)
        record_failure(self._output, Failure(run.run_id, run.run_id, reason))
        return reason
