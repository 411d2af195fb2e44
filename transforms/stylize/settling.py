"""Settling results in the background while the next ones compute: each is committed or recorded as failed."""

import contextlib
import json
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from stylecore.errors import one_line
from stylecore.images.codec import encode_png
from stylecore.measures.measure import measure
from stylecore.run.problem import Problem
from stylecore.run.result import Frame, Result
from stylecore.run.snapshot import Snapshot
from transforms.output import storage
from transforms.output.checkpoints import save_checkpoints
from transforms.output.commit import commit_result, record_failure
from transforms.output.frames import save_frame, stored_frames
from transforms.output.paths import PNG, Output
from transforms.output.record import RunRecord
from transforms.records import Failure, Reason, Run
from transforms.stylize import progress, stopping
from transforms.stylize.picture_network import picture_network

Outcome = tuple[str, RunRecord | Reason]
Returned = TypeVar("Returned")

logger = logging.getLogger(__name__)

SETTLING_THREADS = 8
# Each holds a picture in memory.
MAX_PENDING = 32


class Settling:
    """Results on their way to storage. A storage error is raised by `done` or `all`.

    Args:
      output: where pictures and failures go.
      untimed: see `commit.commit_result`.
      measures_sha256: see StylizeOptions.
    """

    def __init__(self, output: Output, untimed: bool, measures_sha256: str | None = None) -> None:
        self._output = output
        self._untimed = untimed
        self._measures_sha256 = measures_sha256
        self._pool = ThreadPoolExecutor(SETTLING_THREADS, thread_name_prefix="settle")
        self._pending: deque[Future[Outcome]] = deque()
        self._frames: deque[Future[int | None]] = deque()
        self._frames_of: defaultdict[str, list[Future[int | None]]] = defaultdict(list)

    def submit(
        self,
        run: Run,
        result: Result,
        snapshot: Snapshot | None = None,
        after: Future[None] | None = None,
        resumed_at: int | None = None,
        problem: Problem | None = None,
    ) -> None:
        """Commits a run's result in the background, or records its error and its snapshot, if there is one.

        Args:
          run: the run.
          result: its result.
          snapshot: where a later job goes on with a run that failed.
          after: work of other threads that must end before, such as the saving of a checkpoint.
          resumed_at: the iteration from which this attempt went on, if frames are wanted: those from before count too.
          problem: what the picture is measured against; None measures nothing.
        """
        if len(self._pending) >= MAX_PENDING:
            wait([self._pending[0]])
        frames = self._frames_of.pop(run.run_id, [])
        work = self._settle, run, result, snapshot, after, frames, resumed_at, problem
        self._pending.append(self._in_background(*work))

    def submit_frame(self, run: Run, frame: Frame) -> None:
        """Stores a frame in the background; the run's result is settled after its frames."""
        while self._frames and (self._frames[0].done() or len(self._frames) >= MAX_PENDING):
            self._frames.popleft().exception()  # Waits for it; the run's settling raises what it raised.
        saved = self._in_background(
            save_frame, self._output, run.run_id, frame.iteration, frame.image, run.height, run.width
        )
        self._frames.append(saved)
        self._frames_of[run.run_id].append(saved)

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
        wait(self._frames)

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()

    def _in_background(self, work: Callable[..., Returned], *arguments: Any) -> Future[Returned]:
        under_way = contextlib.ExitStack()
        under_way.enter_context(stopping.work())
        future = self._pool.submit(work, *arguments)
        future.add_done_callback(lambda _: under_way.close())
        return future

    def _settle(
        self,
        run: Run,
        result: Result,
        snapshot: Snapshot | None,
        after: Future[None] | None,
        saving: Sequence[Future[int | None]],
        resumed_at: int | None,
        problem: Problem | None,
    ) -> Outcome:
        if after is not None:
            after.result()
        # The pool began to save the frames before this: waiting here cannot keep them from ending.
        made = [saved for future in saving if (saved := future.result()) is not None]
        if result.error is None:
            frames = None
            if resumed_at is not None:
                frames = sorted({*made, *stored_frames(self._output, run.run_id, resumed_at)})
            measures = None
            if problem is not None and result.image is not None:
                measures = self._measured(result.image, problem)
            outcome: RunRecord | Reason = commit_result(self._output, run, result, self._untimed, frames, measures)
        else:
            outcome = self._fail(run, result, snapshot)
        progress.finished(1)
        return run.run_id, outcome

    def _measured(self, picture: np.ndarray, problem: Problem) -> dict[str, float | None]:
        network = picture_network(self._output, self._measures_sha256) if self._measures_sha256 else None
        try:
            return measure(picture, *problem.in_colour, network)
        except tf.errors.OpError as error:  # Of memory, say: a picture is worth more than its measures.
            logger.warning("a picture is measured without the network: %s", one_line(error, 200))
            return measure(picture, *problem.in_colour)

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
