"""The loop around the compiled steps: problems of one bucket -> results, each as soon as it is done.

Problems go through their stages together: those at the coarsest stage come next. A batch that exceeds the device's
memory goes on from where it was, first without the engine's cached targets, then in halves; after any other failure of
the device each of its problems goes on alone, and one that fails again is given up. A problem that is done, out of time
or not finite leaves its batch; the others go on, in a smaller batch once half have left, unless its size is fixed.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from stylecore.errors import one_line
from stylecore.images.resize import resize
from stylecore.run.engine import ALL_ITERATIONS, CONVERGED, FAILED, RUNNING, STALLED, Engine, LoopState
from stylecore.run.problem import Problem
from stylecore.run.result import (
    DeadlineError,
    DeviceError,
    Frame,
    History,
    NotFiniteError,
    OutOfMemoryError,
    Progress,
    Result,
    frame_iterations,
)
from stylecore.run.snapshot import Snapshot

logger = logging.getLogger(__name__)

Done = tuple[int, Result]
Event = Progress | Frame | Done

SECS_PER_CALL = 2.0
MAX_EVALUATIONS_PER_CALL = 500
# With fewer left, a smaller batch does not repay its start.
_MIN_ITERATIONS_TO_REBATCH = 20
# How cuDNN, cuBLAS and XLA fail on GPUs, apart from memory.
_DEVICE_ERRORS = (tf.errors.InternalError, tf.errors.UnknownError, tf.errors.NotFoundError)
_STOP_REASONS = {ALL_ITERATIONS: "iterations", CONVERGED: "converged", STALLED: "stalled"}


class Optimization:
    """Problems of one bucket on their way to results.

    Args:
      engine: the engine of the problems' StepKind.
      problems: at least one; all of one bucket.
      batch_size: pads batches to this size by repeating a problem, because float arithmetic depends on the batch size.
      timeout_secs: a problem that computes for longer fails with DeadlineError.
      snapshots: by a problem's index, where it goes on; problems without one begin.
      frames: the number of pictures on the way to yield of each problem, see `frame_iterations`.
      max_evaluations: a call into TensorFlow makes at most so many.
      secs_per_call: the time that a call is meant to take.
    """

    def __init__(
        self,
        engine: Engine,
        problems: Sequence[Problem],
        *,
        batch_size: int | None = None,
        timeout_secs: float | None = None,
        snapshots: Mapping[int, Snapshot] | None = None,
        frames: int = 0,
        max_evaluations: int = MAX_EVALUATIONS_PER_CALL,
        secs_per_call: float = SECS_PER_CALL,
    ) -> None:
        self._engine = engine
        self._batch_size = batch_size
        self._timeout_secs = timeout_secs
        self._pace = _Pace(max_evaluations, secs_per_call)
        snapshots = snapshots or {}
        self._courses = [
            _Course(index, problem, snapshots.get(index), frames) for index, problem in enumerate(problems)
        ]
        self._batch: _ActiveBatch | None = None
        self._iterations = np.zeros(len(problems), np.int64)
        self._losses = np.full((4, len(problems)), np.nan)

    def events(self) -> Iterator[Event]:
        """Yields (index, result) of each problem as soon as it is done, and Progress between calls into TensorFlow.

        A problem's frames come in order, each before the Progress of its call.
        """
        waiting: dict[int, list[_Course]] = defaultdict(list)
        for course in self._courses:
            waiting[course.stage].append(course)
        while waiting:
            courses = waiting.pop(min(waiting))
            yield from self._advance_some(courses)
            for course in courses:
                if not course.is_over:
                    waiting[course.stage].append(course)

    def snapshot(self, index: int) -> Snapshot:
        """Returns where problem `index` stands; it must be under way or have failed with DeadlineError."""
        course = self._courses[index]
        if self._batch:
            self._batch.save(course)
        return course.snapshot(self._engine)

    def _advance_some(self, courses: list["_Course"]) -> Iterator[Event]:
        """Takes as many courses as fit into memory, all of one stage, to that stage's end."""
        members, size = self._next_batch(courses)
        try:
            yield from self._advance_batch(members, size)
        except tf.errors.ResourceExhaustedError:
            yield from self._without_memory(self._saved(members), size)
        except _DEVICE_ERRORS as error:
            yield from self._after_failure(self._saved(members), error)
        finally:
            self._batch = None

    def _next_batch(self, courses: list["_Course"]) -> tuple[list["_Course"], int]:
        """Returns the courses to advance next and the size of their batch; suspects go alone and before the others."""
        suspects = [course for course in courses if course.is_suspect]
        members = suspects[:1] or self._alike(courses)
        size = self._batch_size or len(members)
        # A smaller batch may be of another kind, without the largest style, and have a limit of its own.
        while (fitting := self._engine.fitting_size([course.problem for course in members[:size]])) < size:
            size = fitting
        return members[:size], size

    def _alike(self, courses: list["_Course"]) -> list["_Course"]:
        """Returns all courses, at a fixed batch size those of the first one's layout: no neighbour changes a bit."""
        if self._batch_size is None:
            return courses
        layouts = [self._engine.layout(course.problem) for course in courses]
        return [course for course, layout in zip(courses, layouts, strict=True) if layout == layouts[0]]

    def _saved(self, members: list["_Course"]) -> list["_Course"]:
        """Returns the members that the current batch has left to advance, with their states up to date."""
        if not self._batch:
            return members  # It failed before its first evaluation.
        remaining = list(self._batch.active.values())
        for course in remaining:
            self._batch.save(course)
        return remaining

    def _without_memory(self, remaining: list["_Course"], size: int) -> Iterator[Done]:
        height, width = remaining[0].problem.content.shape[:2]
        logger.warning("%d pictures of %dx%d pixels exceed the device's memory", size, width, height)
        if self._engine.release_targets():
            return
        if size > 1:
            self._engine.remember_fitting_size([course.problem for course in remaining], size // 2)
        else:
            yield remaining[0].fail(
                OutOfMemoryError(f"{width}x{height} pixels exceed the device's memory, even in a batch of one")
            )

    def _after_failure(self, remaining: list["_Course"], error: Exception) -> Iterator[Done]:
        reason = one_line(getattr(error, "message", error), 300)
        if remaining[0].is_suspect:
            yield remaining[0].fail(DeviceError(f"the device failed on this picture, even alone: {reason}"))
            return
        logger.warning("the device failed on %d pictures, each goes on alone: %s", len(remaining), reason)
        for course in remaining:
            course.is_suspect = True

    def _advance_batch(self, members: list["_Course"], size: int) -> Iterator[Event]:
        batch = self._batch = _ActiveBatch(self._engine, members, size, self._pace)
        while batch.active:
            running = tuple(course.index for course in batch.active.values())
            for course, iteration, losses in batch.advance():
                self._iterations[course.index] = iteration
                self._losses[:, course.index] = losses
            yield from batch.frames()
            # A caller that receives Progress may take snapshots of the other problems and stop; results come first.
            yield from batch.settle(self._timeout_secs)
            yield Progress(running, self._iterations.copy(), self._losses.copy())
            if self._batch_size is None and not self._engine.compiles_each_size and batch.is_half_empty:
                self._saved(members)
                return


class _Course:
    """One problem's way through its stages.

    Attributes:
      state: packed, where the problem stands between batches; None at the beginning of a stage.
      seconds: its share of the time of every batch that it was in, those before a restart included.
      elapsed_secs: the whole time, since the restart, of the batches that it was in.
      is_suspect: the device has failed on its batch in this stage.
      frames: the iterations, over all stages, of the frames that are still to come.
    """

    def __init__(self, index: int, problem: Problem, snapshot: Snapshot | None, frames: int) -> None:
        self.index = index
        self.iterations = problem.config.iterations
        self.problem = problem.stages[snapshot.stage if snapshot else 0]
        self.stage = snapshot.stage if snapshot else 0
        self.steps_before = snapshot.steps_before if snapshot else 0
        self.state = snapshot.state if snapshot else None
        self.history = History(self.iterations, snapshot.history if snapshot else ())
        self.seconds = snapshot.seconds if snapshot else 0.0
        self.elapsed_secs = 0.0
        self.is_suspect = False
        self.is_over = False
        self._stages = problem.stages
        evaluated = snapshot.evaluated if snapshot else 0
        self.frames = [number for number in frame_iterations(self.iterations, frames) if number >= evaluated]

    @property
    def is_at_last_stage(self) -> bool:
        return self.stage == len(self._stages) - 1

    def snapshot(self, engine: Engine) -> Snapshot:
        state = engine.first_state(self.problem) if self.state is None else self.state
        return Snapshot(self.stage, self.steps_before, state, self.history.entries(), self.seconds)

    def carry_up(self, picture: np.ndarray, steps: int) -> None:
        """Begins the next stage with this one's picture, float32 [height, width, 3], made in `steps` steps."""
        self.stage += 1
        self.steps_before += steps
        self.state = None
        self.is_suspect = False
        following = self._stages[self.stage]
        self.problem = following.starting_from(resize(picture, *following.content.shape[:2]))

    def finish(self, **outcome: Any) -> Done:
        """Ends the course; `outcome` holds fields of its Result."""
        self.is_over = True
        return self.index, Result(history=self.history.entries(), seconds=self.seconds, **outcome)

    def fail(self, error: Exception, picture: np.ndarray | None = None, steps: int = 0) -> Done:
        """Ends the course with an error and its last good picture, made in `steps` steps of this stage."""
        return self.finish(image=picture, iterations=self.steps_before + steps, error=error)


class _Pace(NamedTuple):
    """How much a call into TensorFlow does: at most so many evaluations, in about so many seconds."""

    max_evaluations: int
    secs_per_call: float


class _ActiveBatch:
    """Courses of one stage that advance together.

    Attributes:
      active: the courses that have not reached the end of the stage, by their position in the batch.
    """

    def __init__(self, engine: Engine, courses: Sequence[_Course], size: int, pace: _Pace) -> None:
        self._last_account = time.monotonic()
        self._pace = pace
        self._engine = engine
        self._count = len(courses)
        padded = [*courses, *[courses[0]] * (size - len(courses))]
        problems = [course.problem for course in padded]
        states = [engine.first_state(course.problem) if course.state is None else course.state for course in padded]
        self._constants = engine.constants(problems)
        self._evaluations = 1
        self.active = dict(enumerate(courses))
        self._take(engine.start(problems, states))

    @property
    def is_half_empty(self) -> bool:
        """Whether half of the courses have left and the others have enough to do for a batch of their own."""
        left = [course.problem.iterations - self._steps(position) for position, course in self.active.items()]
        return 0 < 2 * len(left) <= self._count and max(left) >= _MIN_ITERATIONS_TO_REBATCH

    def advance(self) -> Iterator[tuple[_Course, int, np.ndarray]]:
        """Makes some evaluations; yields each active course, its iterations so far and its latest losses, [4]."""
        if RUNNING not in self._status:
            return  # All ended in an earlier batch, which then had no memory to measure their pictures.
        began = time.monotonic()
        evaluations = min(self._evaluations, self._evaluations_to_frame())
        state, numbers, losses = self._engine.advance(self._state, self._constants, evaluations)
        self._take(state)
        numbers, terms = numbers.numpy(), np.stack([term.numpy() for term in losses], axis=1)
        affordable = evaluations * self._pace.secs_per_call / max(time.monotonic() - began, 1e-6)
        self._evaluations = int(np.clip(affordable, 1, self._pace.max_evaluations))
        self._account()
        for position, course in self.active.items():
            is_iterate = numbers[:, position] >= 0
            course.history.extend(course.steps_before + numbers[is_iterate, position], terms[is_iterate, :, position])
            yield course, course.steps_before + self._steps(position), terms[-1, :, position]

    def frames(self) -> Iterator[Frame]:
        """Yields the active courses' frames that are due at their latest iterates."""
        for position, course in self.active.items():
            is_over = course.is_at_last_stage and self._status[position] != RUNNING
            number = course.steps_before + int(self._iteration[position]) - 1
            if course.frames and number == course.frames[0] and not is_over and self._status[position] != FAILED:
                yield Frame(course.index, course.frames.pop(0), self._picture(position, course))

    def settle(self, timeout_secs: float | None) -> Iterator[Done]:
        """Removes the courses that are at the end of the stage or out of time; yields their results."""
        for position, course in list(self.active.items()):
            status = int(self._status[position])
            if status != RUNNING:
                result = self._end(position, course, status)
                del self.active[position]
                if result:
                    yield result
            elif timeout_secs is not None and course.elapsed_secs >= timeout_secs:
                self.save(course)
                del self.active[position]
                yield self._out_of_time(position, course, timeout_secs)

    def save(self, course: _Course) -> None:
        """Copies the batch's state of a course into the course, if it is active here."""
        for position, active in self.active.items():
            if active is course:
                course.state = self._engine.packed_state(self._fetched(), position, course.problem)

    def _evaluations_to_frame(self) -> int:
        """Returns how many evaluations bring the first of the frames to come, unless some give no iterate."""
        left = [
            course.frames[0] + 1 - course.steps_before - int(self._iteration[position])
            for position, course in self.active.items()
            if course.frames and self._status[position] == RUNNING
        ]
        return max(1, min(left, default=self._pace.max_evaluations))

    def _take(self, state: LoopState) -> None:
        """Makes `state` the batch's, and fetches at once what every call asks of every picture."""
        self._state = state
        self._status, self._iteration = state.status.numpy(), state.iteration.numpy()
        self._delivered: np.ndarray | None = None
        self._fetched_state: LoopState | None = None

    def _fetched(self) -> LoopState:
        """Returns the whole state as NumPy arrays, fetched once for all courses."""
        if self._fetched_state is None:
            self._fetched_state = tf.nest.map_structure(lambda tensor: tensor.numpy(), self._state)
        return self._fetched_state

    def _end(self, position: int, course: _Course, status: int) -> Done | None:
        steps = self._steps(position)
        if status == FAILED:
            number = course.steps_before + int(self._iteration[position])
            error = NotFiniteError(f"the loss or its gradient is not finite at iteration {number}")
            return course.fail(error, self._picture(position, course) if number else None, steps)
        if not course.is_at_last_stage:
            course.carry_up(self._last_iterate(position), steps)
            return None
        return self._finish(position, course, _STOP_REASONS[status], steps)

    def _finish(self, position: int, course: _Course, stop_reason: str, steps: int) -> Done:
        picture = self._picture(position, course)
        losses = self._engine.measure(picture, course.problem)
        self._account()
        if not np.isfinite(losses.total):
            return course.fail(NotFiniteError("the loss of the delivered picture is not finite"), picture, steps)
        return course.finish(
            image=picture,
            loss_total=losses.total,
            loss_content=losses.content,
            loss_style=losses.style,
            loss_tv=losses.tv,
            iterations=course.steps_before + steps,
            stop_reason=stop_reason,
            notes=self._engine.notes(course.problem),
        )

    def _out_of_time(self, position: int, course: _Course, timeout_secs: float) -> Done:
        steps = self._steps(position)
        made = f"at iteration {course.steps_before + steps} of {course.iterations}"
        return course.fail(
            DeadlineError(f"not done after {timeout_secs:g} seconds, {made}"), self._picture(position, course), steps
        )

    def _steps(self, position: int) -> int:
        return max(0, int(self._iteration[position]) - 1)

    def _picture(self, position: int, course: _Course) -> np.ndarray:
        return course.problem.delivered(self._last_iterate(position))

    def _last_iterate(self, position: int) -> np.ndarray:
        if self._delivered is None:
            self._delivered = self._state.delivered.numpy()
        return self._delivered[position]

    def _account(self) -> None:
        """Adds the time since the last call to the courses that are still active."""
        now = time.monotonic()
        secs, self._last_account = now - self._last_account, now
        for course in self.active.values():
            course.elapsed_secs += secs
            course.seconds += secs / self._count
