"""Snapshots: where a run stands between two evaluations, as bytes, to go on from in any other batch."""

import dataclasses
import io
import json
from typing import Any

import numpy as np

from stylecore.errors import one_line
from stylecore.run.engine import OPTIMIZERS, STATUSES, LoopState, first_state
from stylecore.run.problem import Problem
from stylecore.run.result import HistoryEntry

FORMAT_VERSION = 2
_FACTS, _OPTIMIZER = "facts", "optimizer."


class SnapshotError(ValueError):
    """The bytes are not a snapshot of the problem."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A run between two evaluations.

    Attributes:
      stage: the index of the problem's current stage.
      steps_before: the number of steps made in the stages before.
      state: packed, see `Engine.packed_state`.
      history: the history so far.
      seconds: the run's share of computing time so far.
    """

    stage: int
    steps_before: int
    state: LoopState
    history: tuple[HistoryEntry, ...]
    seconds: float

    @property
    def iterations(self) -> int:
        """The number of steps made in all stages."""
        return self.steps_before + max(0, int(self.state.iteration) - 1)

    @property
    def evaluated(self) -> int:
        """The number of iterates evaluated in all stages, the initial picture included."""
        # A stage begins with the last iterate of the stage before.
        return self.steps_before + max(int(self.state.iteration), int(self.stage > 0))

    def to_bytes(self) -> bytes:
        """Returns the snapshot as an uncompressed .npz without pickles."""
        facts = {
            "version": FORMAT_VERSION,
            "stage": self.stage,
            "steps_before": self.steps_before,
            "history": self.history,
            "seconds": self.seconds,
        }
        out = io.BytesIO()
        arrays: dict[str, Any] = {_FACTS: np.asarray(json.dumps(facts)), **_arrays(self.state)}
        np.savez(out, allow_pickle=False, **arrays)
        return out.getvalue()


def read_snapshot(data: bytes, problem: Problem) -> Snapshot:
    """Reads what `Snapshot.to_bytes` wrote.

    Args:
      data: the bytes; they are not trusted.
      problem: the run's problem.

    Raises:
      SnapshotError: the bytes are damaged, of another version, or of another problem.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            facts = json.loads(str(arrays[_FACTS]))
            state = _state({name: arrays[name] for name in arrays.files}, problem)
        if facts["version"] != FORMAT_VERSION:
            raise SnapshotError(f"a snapshot of version {facts['version']}, expected {FORMAT_VERSION}")
        history = tuple(HistoryEntry(int(entry[0]), *map(float, entry[1:])) for entry in facts["history"])
        snapshot = Snapshot(int(facts["stage"]), int(facts["steps_before"]), state, history, float(facts["seconds"]))
        _check(snapshot, problem)
    except SnapshotError:
        raise
    # Damaged bytes break zipfile, NumPy and JSON in as many ways as there are bytes.
    except Exception as error:
        raise SnapshotError(f"not a snapshot: {one_line(error, 200)}") from error
    return snapshot


def _arrays(state: LoopState) -> dict[str, np.ndarray]:
    values: dict[str, Any] = state._asdict()
    optimizer = values.pop("optimizer")._asdict()
    return {**values, **{_OPTIMIZER + name: value for name, value in optimizer.items()}}


def _state(arrays: dict[str, np.ndarray], problem: Problem) -> LoopState:
    kind = OPTIMIZERS[problem.config.optimizer].State
    optimizer = kind(**{name: arrays[_OPTIMIZER + name] for name in kind._fields})
    others = {name: arrays[name] for name in LoopState._fields if name != "optimizer"}
    return LoopState(optimizer=optimizer, **others)


def _check(snapshot: Snapshot, problem: Problem) -> None:
    if not 0 <= snapshot.stage < len(problem.stages):
        raise SnapshotError(f"at stage {snapshot.stage} of {len(problem.stages)}")
    stage = problem.stages[snapshot.stage]
    expected = _arrays(first_state(stage.starting_from(stage.content)))
    for name, array in _arrays(snapshot.state).items():
        _check_array(name, array, expected[name])
    _check_counters(snapshot, problem, stage)


def _check_array(name: str, array: np.ndarray, expected: np.ndarray) -> None:
    # The first state has no curvature pairs: where its first dimension is 0, any length is legal.
    fixed = 1 if expected.shape[:1] == (0,) else 0
    if array.dtype != expected.dtype or array.ndim != expected.ndim or array.shape[fixed:] != expected.shape[fixed:]:
        raise SnapshotError(
            f"{name} is {array.dtype} of the shape {array.shape}, expected {expected.dtype} of {expected.shape}"
        )
    if not np.isfinite(array).all() and name != _OPTIMIZER + "total":
        raise SnapshotError(f"{name} is not finite")


def _check_counters(snapshot: Snapshot, problem: Problem, stage: Problem) -> None:
    state = snapshot.state
    if state.status not in STATUSES:
        raise SnapshotError(f"status must be one of {', '.join(map(str, STATUSES))}, got {state.status}")
    before = sum(coarser.iterations for coarser in problem.stages[: snapshot.stage])
    for name, value, highest in (
        ("iteration", int(state.iteration), stage.iterations + 1),
        ("steps_before", snapshot.steps_before, before),
        (
            "the history's last iteration",
            max((entry.iteration for entry in snapshot.history), default=0),
            before + int(state.iteration),
        ),
    ):
        if not 0 <= value <= highest:
            raise SnapshotError(f"{name} must lie in 0..{highest}, got {value}")
    if not 0 <= snapshot.seconds < np.inf:
        raise SnapshotError(f"seconds must be finite and >= 0, got {snapshot.seconds}")
    if not OPTIMIZERS[problem.config.optimizer].is_valid(state.optimizer, problem.config):
        raise SnapshotError("the optimiser's counters are impossible")
