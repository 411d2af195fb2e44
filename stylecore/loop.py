"""The one loop: a batch of problems of one bucket -> results, each as soon as it is done."""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from stylecore.engine import ALL_ITERATIONS, CONVERGED, FAILED, RUNNING, Batch, Engine, LoopState
from stylecore.problems import Problem
from stylecore.results import History, NotFiniteError, Progress, Result

_SECS_PER_CALL = 2.0
_EVALUATIONS_PER_CALL = (5, 500)
_STOP_REASONS = {ALL_ITERATIONS: "iterations", CONVERGED: "converged"}


def optimize(
    engine: Engine,
    problems: Sequence[Problem],
    *,
    batch_size: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Iterator[tuple[int, Result]]:
    """Optimises problems of one bucket in one batch and yields each as soon as it is done.

    Args:
      engine: of the problems' StepKind.
      problems: not empty; all of one height and width.
      batch_size: pads the batch to this size by repeating a problem: float arithmetic depends on the batch size alone.
      on_progress: called between calls into TensorFlow.

    Yields:
      (index into `problems`, result).
    """
    started = time.monotonic()
    padded = [*problems, *[problems[0]] * ((batch_size or 0) - len(problems))]
    batch = engine.batch(padded)
    state = engine.start(padded, batch)
    histories = [History(problem.config.iterations) for problem in problems]
    waiting = set(range(len(problems)))
    evaluations = _EVALUATIONS_PER_CALL[0]
    while waiting:
        called = time.monotonic()
        state, numbers, losses = engine.advance(state, batch, evaluations)
        status = state.status.numpy()
        terms = np.stack([term.numpy() for term in losses], axis=1)
        for index in waiting:
            histories[index].extend(numbers.numpy()[:, index], terms[:, :, index])
        if on_progress:
            on_progress(Progress(state.iteration.numpy()[: len(problems)] - 1, terms[-1, :, : len(problems)]))
        for index in sorted(waiting):
            if status[index] != RUNNING:
                waiting.remove(index)
                seconds = (time.monotonic() - started) / len(problems)
                yield index, _result(engine, batch, state, index, histories[index], seconds)
        evaluations = _next_call(evaluations, time.monotonic() - called)


def _next_call(evaluations: int, secs: float) -> int:
    low, high = _EVALUATIONS_PER_CALL
    return int(np.clip(evaluations * _SECS_PER_CALL / max(secs, 1e-6), low, high))


def _result(engine: Engine, batch: Batch, state: LoopState, index: int, history: History, seconds: float) -> Result:
    made = max(0, int(state.iteration[index]) - 1)
    if int(state.status[index]) == FAILED:
        error = NotFiniteError(f"the loss or its gradient is not finite at iteration {int(state.iteration[index])}")
        return Result(history=history.entries(), iterations=made, seconds=seconds, error=error)
    image = np.rint(state.delivered[index].numpy()).astype(np.uint8)
    losses = engine.measure(image, batch, index)
    return Result(
        image=image,
        loss_total=losses.total,
        loss_content=losses.content,
        loss_style=losses.style,
        loss_tv=losses.tv,
        history=history.entries(),
        iterations=made,
        stop_reason=_STOP_REASONS[int(state.status[index])],
        seconds=seconds,
    )
