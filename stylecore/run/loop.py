"""The one loop: problems of one bucket -> results, each as soon as it is done.

Problems go through their stages together: whoever is at the coarsest stage comes next. A batch that exceeds the
device's memory goes on in halves from where it was; who is done, out of time or not finite leaves the others alone.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from stylecore.images.resize import resize
from stylecore.run.engine import ALL_ITERATIONS, CONVERGED, FAILED, RUNNING, Engine
from stylecore.run.problem import Problem
from stylecore.run.result import DeadlineError, History, NotFiniteError, OutOfMemoryError, Progress, Result
from stylecore.run.snapshot import Snapshot

logger = logging.getLogger(__name__)

Done = tuple[int, Result]

_SECS_PER_CALL = 2.0
_MAX_EVALUATIONS_PER_CALL = 500
_STOP_REASONS = {ALL_ITERATIONS: "iterations", CONVERGED: "converged"}


def optimize(
    engine: Engine,
    problems: Sequence[Problem],
    *,
    batch_size: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[Done]:
    """Optimises problems of one bucket and yields (index, result) of each as soon as it is done.

    Args:
      engine: of the problems' StepKind.
      problems: not empty; all of one bucket.
      batch_size: see Optimization.
      on_progress: called between calls into TensorFlow.
    """
    for event in Optimization(engine, problems, batch_size=batch_size).events():
        if not isinstance(event, Progress):
            yield event
        elif on_progress:
            on_progress(event)


class Optimization:
    """Problems of one bucket on their way to results.

    Args:
      engine: of the problems' StepKind.
      problems: not empty; all of one bucket.
      batch_size: pads batches to this size by repeating a problem: float arithmetic depends on the batch size alone.
      timeout_secs: a problem that is computed for longer fails with DeadlineError.
      snapshots: where problems were left, by their index; the others begin.
    """

    def __init__(
        self,
        engine: Engine,
        problems: Sequence[Problem],
        *,
        batch_size: int | None = None,
        timeout_secs: float | None = None,
        snapshots: Mapping[int, Snapshot] | None = None,
    ) -> None:
        self._engine = engine
        self._batch_size = batch_size
        self._timeout_secs = timeout_secs
        snapshots = snapshots or {}
        self._runs = [_Run(index, problem, snapshots.get(index)) for index, problem in enumerate(problems)]
        self._batch: _Batch | None = None
        self._iterations = np.zeros(len(problems), np.int64)
        self._losses = np.full((4, len(problems)), np.nan)

    def events(self) -> Iterator[Progress | Done]:
        """Yields (index, result) of each problem as soon as it is done, and Progress between calls into TensorFlow."""
        waiting: dict[int, list[_Run]] = defaultdict(list)
        for run in self._runs:
            waiting[run.stage].append(run)
        while waiting:
            runs = waiting.pop(min(waiting))
            yield from self._advance_some(runs)
            for run in runs:
                if not run.is_over:
                    waiting[run.stage].append(run)

    def snapshot(self, index: int) -> Snapshot:
        """Returns where a problem stands that is not done, or was out of time."""
        run = self._runs[index]
        if self._batch:
            self._batch.save(run)
        return run.snapshot(self._engine)

    def _advance_some(self, runs: list["_Run"]) -> Iterator[Progress | Done]:
        """Takes as many runs of one stage as fit to the end of it."""
        height, width = runs[0].problem.content.shape[:2]
        size = min(self._batch_size or len(runs), self._engine.fitting_size(height, width))
        members = runs[:size]
        try:
            yield from self._advance_batch(members, size)
        except tf.errors.ResourceExhaustedError:
            logger.warning("%d pictures of %dx%d pixels exceed the device's memory", size, width, height)
            for run in members:
                if self._batch:
                    self._batch.save(run)
            if size > 1:
                self._engine.remember_fitting_size(height, width, size // 2)
            else:
                yield members[0].fail(
                    OutOfMemoryError(f"{width}x{height} pixels exceed the device's memory, even in a batch of one")
                )
        finally:
            self._batch = None

    def _advance_batch(self, members: list["_Run"], size: int) -> Iterator[Progress | Done]:
        batch = self._batch = _Batch(self._engine, members, size)
        while batch.active:
            running = tuple(run.index for run in batch.active.values())
            for run, iteration, losses in batch.advance():
                self._iterations[run.index] = iteration
                self._losses[:, run.index] = losses
            # Whoever hears of progress may ask where the others stand, and stop: what is done is handed on before.
            yield from batch.settle(self._timeout_secs)
            yield Progress(running, self._iterations.copy(), self._losses.copy())


class _Run:
    """One problem on its way through its stages.

    Between batches `state` is where it stands, packed; None at the beginning of a stage. `seconds` is its share of the
    time of all batches that it was in, those before a restart too; `elapsed_secs` their whole time since then.
    """

    def __init__(self, index: int, problem: Problem, snapshot: Snapshot | None) -> None:
        self.index = index
        self.iterations = problem.config.iterations
        self.problem = problem.stages[snapshot.stage if snapshot else 0]
        self.stage = snapshot.stage if snapshot else 0
        self.steps_before = snapshot.steps_before if snapshot else 0
        self.state = snapshot.state if snapshot else None
        self.history = History(self.iterations, snapshot.history if snapshot else ())
        self.seconds = snapshot.seconds if snapshot else 0.0
        self.elapsed_secs = 0.0
        self.is_over = False
        self._stages = problem.stages

    @property
    def is_at_last_stage(self) -> bool:
        return self.stage == len(self._stages) - 1

    def snapshot(self, engine: Engine) -> Snapshot:
        state = engine.first_state(self.problem) if self.state is None else self.state
        return Snapshot(self.stage, self.steps_before, state, self.history.entries(), self.seconds)

    def carry_up(self, picture: np.ndarray, steps: int) -> None:
        """Goes on to the next stage with the picture of this one."""
        self.stage += 1
        self.steps_before += steps
        self.state = None
        following = self._stages[self.stage]
        self.problem = following.starting_from(resize(picture, *following.content.shape[:2]))

    def finish(self, **outcome: Any) -> Done:
        """Ends the run with a result."""
        self.is_over = True
        return self.index, Result(history=self.history.entries(), seconds=self.seconds, **outcome)

    def fail(self, error: Exception, picture: np.ndarray | None = None, steps: int = 0) -> Done:
        """Ends the run with an error and its last good picture."""
        return self.finish(image=picture, iterations=self.steps_before + steps, error=error)


class _Batch:
    """Runs of one stage that are advanced together.

    Attributes:
      active: the runs that are not at the end of this stage, by their position in the batch.
    """

    def __init__(self, engine: Engine, runs: Sequence[_Run], size: int) -> None:
        self._last_account = time.monotonic()
        self._engine = engine
        self._count = len(runs)
        padded = [*runs, *[runs[0]] * (size - len(runs))]
        problems = [run.problem for run in padded]
        states = [engine.first_state(run.problem) if run.state is None else run.state for run in padded]
        self._constants = engine.batch(problems)
        self._state = engine.start(problems, states)
        self._evaluations = 1
        self.active = dict(enumerate(runs))

    def advance(self) -> Iterator[tuple[_Run, int, np.ndarray]]:
        """Makes some evaluations; yields each active run, how far it is and its losses [4]."""
        if RUNNING not in self._state.status.numpy():
            return  # They ended in a batch that had no memory to measure them.
        began = time.monotonic()
        self._state, numbers, losses = self._engine.advance(self._state, self._constants, self._evaluations)
        numbers, terms = numbers.numpy(), np.stack([term.numpy() for term in losses], axis=1)
        self._evaluations = _next_call(self._evaluations, time.monotonic() - began)
        self._account()
        for position, run in self.active.items():
            is_iterate = numbers[:, position] >= 0
            run.history.extend(run.steps_before + numbers[is_iterate, position], terms[is_iterate, :, position])
            yield run, run.steps_before + self._steps(position), terms[-1, :, position]

    def settle(self, timeout_secs: float | None) -> Iterator[Done]:
        """Lets go of the runs that are at the end of this stage or out of time; yields the results there are."""
        for position, run in list(self.active.items()):
            status = int(self._state.status[position])
            if status != RUNNING:
                result = self._end(position, run, status)
                del self.active[position]
                if result:
                    yield result
            elif timeout_secs is not None and run.elapsed_secs >= timeout_secs:
                self.save(run)
                del self.active[position]
                yield self._out_of_time(position, run, timeout_secs)

    def save(self, run: _Run) -> None:
        """Brings a run's own state up to date, if it is active here."""
        for position, active in self.active.items():
            if active is run:
                run.state = self._engine.packed_state(self._state, position, run.problem)

    def _end(self, position: int, run: _Run, status: int) -> Done | None:
        steps = self._steps(position)
        if status == FAILED:
            number = run.steps_before + int(self._state.iteration[position])
            error = NotFiniteError(f"the loss or its gradient is not finite at iteration {number}")
            return run.fail(error, self._picture(position) if number else None, steps)
        if not run.is_at_last_stage:
            run.carry_up(self._state.delivered[position].numpy(), steps)
            return None
        return self._finish(position, run, _STOP_REASONS[status], steps)

    def _finish(self, position: int, run: _Run, stop_reason: str, steps: int) -> Done:
        picture = self._picture(position)
        losses = self._engine.measure(picture, self._constants, position)
        self._account()
        if not np.isfinite(losses.total):
            return run.fail(NotFiniteError("the loss of the delivered picture is not finite"), picture, steps)
        return run.finish(
            image=picture,
            loss_total=losses.total,
            loss_content=losses.content,
            loss_style=losses.style,
            loss_tv=losses.tv,
            iterations=run.steps_before + steps,
            stop_reason=stop_reason,
        )

    def _out_of_time(self, position: int, run: _Run, timeout_secs: float) -> Done:
        steps = self._steps(position)
        made = f"at iteration {run.steps_before + steps} of {run.iterations}"
        return run.fail(
            DeadlineError(f"not done after {timeout_secs:g} seconds, {made}"), self._picture(position), steps
        )

    def _steps(self, position: int) -> int:
        return max(0, int(self._state.iteration[position]) - 1)

    def _picture(self, position: int) -> np.ndarray:
        return np.rint(self._state.delivered[position].numpy()).astype(np.uint8)

    def _account(self) -> None:
        """Books the time since the last call to the runs that are still active."""
        now = time.monotonic()
        secs, self._last_account = now - self._last_account, now
        for run in self.active.values():
            run.elapsed_secs += secs
            run.seconds += secs / self._count


def _next_call(evaluations: int, secs: float) -> int:
    return int(np.clip(evaluations * _SECS_PER_CALL / max(secs, 1e-6), 1, _MAX_EVALUATIONS_PER_CALL))
