"""StatusReader: the progress of a job, from its output directory alone.

The files and their modification times tell what is done, what failed and whether the job is still active. This works
beside a job in another process or in the cloud, and after a job that was killed. Whether a job on this machine is
running is known from its process.
"""

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.status.process import is_alive
from transforms.output import storage
from transforms.output.job import JobRecord, read_job
from transforms.output.paths import Output

RUNNING, FINISHED, STOPPED = "running", "finished", "stopped"
RATE_WINDOW_SECS = 600.0
MAX_FAILURES_READ = 1_000
# A job counts as stopped after a pause three times as long as its longest so far, within these bounds. Before the first
# picture it may download weights and compile, and a batch may take ten minutes by estimate.
MIN_PATIENCE_SECS, MAX_PATIENCE_SECS = 120.0, 1200.0

_MAX_JSON_BYTES = 2**20
_ROW_PREFIX = "row-"  # Names failures of rows without a run_id, see records.identify_failed_row.
_OTHER_SIGNS_OF_LIFE = ("sources", "weights", "checkpoints", "partial")
_METRICS_NAME = re.compile(r".*-of-(\d+)\.parquet")


@dataclasses.dataclass(frozen=True)
class Status:
    """The progress of a job.

    Attributes:
      directory: the output directory.
      state: RUNNING, FINISHED or STOPPED.
      is_known: whether `state` is certain, rather than judged by recent activity.
      job: job.json; None if it is missing or cannot be read.
      done: the number of finished runs.
      failed: the number of this job's failures by error type.
      retried: the number of failures of earlier jobs that this job has not tried again yet.
      remaining: the number of runs to compute; None if it is unknown.
      is_bound: whether `remaining` is an upper bound, because rows are counted and runs are not yet.
      foreign: the number of markers that belong to other manifests, because the job has fewer runs than that.
      runs_per_min: the rate of the last minutes, or of the whole job once it is finished.
      idle_secs: the seconds since the last activity.
    """

    directory: str
    state: str
    is_known: bool
    job: JobRecord | None
    done: int
    failed: Mapping[str, int]
    retried: int
    remaining: int | None
    is_bound: bool
    foreign: int
    runs_per_min: float
    idle_secs: float

    @property
    def secs_left(self) -> float | None:
        """The estimated seconds to the end of a running job; None if they are unknown."""
        if self.state != RUNNING or not self.remaining or not self.runs_per_min:
            return None
        return self.remaining / self.runs_per_min * 60


@dataclasses.dataclass(frozen=True)
class _Records:
    """The contents of an output directory; times are in seconds since the epoch."""

    job: JobRecord | None
    started: float
    markers: np.ndarray
    failures: Mapping[str, float]
    metrics: Mapping[str, float]
    latest: float


class StatusReader:
    """Reads the status of one output directory repeatedly; each failure record is read once."""

    def __init__(self, directory: str) -> None:
        self._output = Output(directory)
        self._reasons: dict[tuple[str, float], str] = {}

    def read(self, now: float | None = None) -> Status:
        """Reads the current status.

        Args:
          now: the time in seconds since the epoch; the clock's unless given.

        Raises:
          StorageError: the directory does not exist, holds nothing of a job, or cannot be listed.
        """
        now = time.time() if now is None else now
        records = _read_records(self._output)
        fresh = {name: updated for name, updated in records.failures.items() if updated >= records.started}
        failed = Counter(self._reason(name, updated) for name, updated in fresh.items())
        return _judge(self._output.root, records, set(fresh), failed, now)

    def _reason(self, name: str, updated: float) -> str:
        if (name, updated) not in self._reasons:
            if len(self._reasons) >= MAX_FAILURES_READ:
                return "not looked into"
            record = storage.read_json_object(storage.join(self._output.root, "failures", name), _MAX_JSON_BYTES)
            self._reasons[name, updated] = str((record or {}).get("error_type", "unreadable record"))
        return self._reasons[name, updated]


def _read_records(output: Output) -> _Records:
    def listed(folder: str, suffix: str = "") -> Iterator[tuple[str, float]]:
        return (found[:2] for found in storage.list_objects(storage.join(output.root, folder), suffix))

    job = read_job(output)
    markers = np.sort(np.fromiter((updated for _, updated in listed("runs", ".json")), float))
    failures, metrics = dict(listed("failures", ".json")), dict(listed("metrics", ".parquet"))
    others = [updated for folder in _OTHER_SIGNS_OF_LIFE for _, updated in listed(folder)]
    times = [*markers[-1:].tolist(), *failures.values(), *metrics.values(), *others]
    if not job and not times:
        raise storage.NotFoundError(f"{output.root}: no such output directory, or no job has begun there")
    started = job.started_secs if job else 0.0
    return _Records(job, started, markers, failures, metrics, latest=max([started, *times]))


def _judge(directory: str, records: _Records, fresh: set[str], failed: Mapping[str, int], now: float) -> Status:
    new = records.markers[records.markers >= records.started]
    idle_secs = max(0.0, now - records.latest)
    finished = _is_finished(records)
    job = records.job or JobRecord()
    is_bound = job.runs is None
    runs = job.rows if is_bound else job.runs
    # As long as only rows are counted, a failed row without a run_id counts too.
    failed_runs = sum(is_bound or not name.startswith(_ROW_PREFIX) for name in fresh)
    foreign = max(0, len(records.markers) + failed_runs - runs) if runs is not None else 0
    done = len(new) if foreign else len(records.markers)
    remaining = None if foreign or runs is None else runs - done - failed_runs
    if finished and runs is not None:
        done, remaining = runs - failed_runs, 0
    alive = is_alive(job.process)
    seems_alive = idle_secs < _patience_secs(records.started, new) if alive is None else alive
    return Status(
        directory=directory,
        state=FINISHED if finished else RUNNING if seems_alive else STOPPED,
        is_known=finished or alive is not None,
        job=records.job,
        done=done,
        failed=dict(failed),
        retried=0 if finished else len(records.failures) - len(fresh),
        remaining=remaining,
        is_bound=is_bound,
        foreign=foreign,
        runs_per_min=_runs_per_min(records.started, new, now, finished),
        idle_secs=idle_secs,
    )


def _is_finished(records: _Records) -> bool:
    """Returns whether the metrics, which only gallery and dataset follow, are complete by job.json or all are new."""
    job = records.job or JobRecord()
    if job.metrics_rows is not None:
        return True
    if job.runs is None or not records.metrics or min(records.metrics.values()) < records.started:
        return False
    totals = {int(match.group(1)) for name in records.metrics if (match := _METRICS_NAME.fullmatch(name))}
    return not totals or totals == {len(records.metrics)}


def _patience_secs(started: float, markers: np.ndarray) -> float:
    if not len(markers):
        return MAX_PATIENCE_SECS
    longest_pause = np.diff(markers, prepend=started or markers[0]).max()
    return float(np.clip(3 * longest_pause, MIN_PATIENCE_SECS, MAX_PATIENCE_SECS))


def _runs_per_min(started: float, markers: np.ndarray, now: float, finished: bool) -> float:
    if not len(markers):
        return 0.0
    first = started or float(markers[0])
    begin, end = (first, float(markers[-1])) if finished else (max(first, now - RATE_WINDOW_SECS), now)
    return float(np.sum(markers >= begin)) / max(end - begin, 1.0) * 60
