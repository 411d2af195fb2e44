"""StylizeRuns: the step that computes batches of runs and commits each run the moment it is done."""

import dataclasses
import functools
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import apache_beam as beam
import keras
import tensorflow as tf
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from stylecore.kernels import arithmetic_description, check_deterministic
from stylecore.planning.buckets import StepKind
from stylecore.planning.room import UNLIMITED, Room, does_not_fit, style_does_not_fit
from stylecore.run.devices import check_gpu, free_device
from stylecore.run.engine import Engine
from stylecore.run.engine_cache import get_engine
from stylecore.run.loop import MAX_EVALUATIONS_PER_CALL, SECS_PER_CALL, Optimization
from stylecore.run.problem import Problem
from stylecore.run.result import DeadlineError, Frame, OutOfMemoryError, Progress, Result
from stylecore.run.snapshot import Snapshot
from transforms.batch import BatchGroup, RunBatch
from transforms.output.attempts import Attempts, ProcessDiedError
from transforms.output.checkpoints import save_checkpoints
from transforms.output.paths import Output
from transforms.output.published_weights import load_published
from transforms.records import Reason, Run
from transforms.stylize import progress, stopping
from transforms.stylize.freed_memory import give_back_freed_memory
from transforms.stylize.loading import Loaded, Loading, LoadingError, load
from transforms.stylize.settling import Outcome, Settling

Engines = Callable[[StepKind, Callable[[], keras.Model], str, bool, Room], Engine]

LOADING_THREADS = 4

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class StylizeOptions:
    """How runs are computed.

    Attributes:
      deterministic: pads short batches and uses deterministic operations: the same bytes on the same kind of device.
      checkpoint_secs: running pictures are saved at this interval.
      run_timeout_secs: a run that computes for longer fails; None sets no limit.
      room: the device's memory, and the tiles that were asked for; a picture that needs more even in tiles, by
        estimate, fails at once.
      xla: see Engine; without effect on CPUs.
      require_gpu: stops the job on a worker without a GPU, instead of computing on its CPU for days.
      frames: the number of pictures on the way to keep of each run; short runs have fewer.
      measures: pictures are measured when they are delivered.
      measures_sha256: the fingerprint of the published network that measures them too; None measures without it.
      max_evaluations: see Optimization.
      engines: gives the engine of a kind of step.
    """

    deterministic: bool = False
    checkpoint_secs: float = 120.0
    run_timeout_secs: float | None = None
    room: Room = UNLIMITED
    xla: bool = False
    require_gpu: bool = False
    frames: int = 0
    measures: bool = True
    measures_sha256: str | None = None
    max_evaluations: int = MAX_EVALUATIONS_PER_CALL
    engines: Engines = get_engine


class StylizeRuns(beam.DoFn):
    """BatchGroup -> (run_id, record or Reason) for each of its runs.

    Finished runs are not computed again: a retried bundle skips what the first attempt had done. The images of a batch
    load while the batch before it in the group computes. A run that was under way when its process died is computed
    alone, see `transforms.output.attempts`.

    Args:
      output: where pictures, markers and failures go.
      options: how runs are computed.
    """

    def __init__(self, output: Output, options: StylizeOptions) -> None:
        self._output = output
        self._options = options
        self._computed = beam.metrics.Metrics.counter("stylebeam", "runs_computed")

    def setup(self) -> None:
        if self._options.require_gpu:
            check_gpu()
        logger.info("computing on %s", arithmetic_description())
        if self._options.deterministic:
            check_deterministic()
            tf.config.experimental.enable_op_determinism()
        self._loading_pool = ThreadPoolExecutor(LOADING_THREADS, thread_name_prefix="load")
        self._attempts = Attempts(self._output)

    def start_bundle(self) -> None:
        options = self._options
        self._settling = Settling(self._output, options.deterministic, options.measures_sha256)

    def process(self, batches: BatchGroup) -> Iterator[Outcome]:
        loading: deque[Loading] = deque()
        try:
            for batch, following in itertools.zip_longest(batches, batches[1:]):
                current = loading.popleft() if loading else self._load(batch)
                # What is loaded beside a suspect could kill the process in its place.
                if following and not current.suspects():
                    loading.append(self._load(following))
                yield from self._stylize(current)
        except BaseException:
            # A retry must not meet writes of this attempt, and what is done is kept.
            for begun in loading:
                begun.cancel()
            self._settling.wait()
            raise

    def finish_bundle(self) -> Iterator[WindowedValue]:
        window = GlobalWindow()
        for outcome in self._counted(self._settling.all()):
            yield WindowedValue(outcome, window.max_timestamp(), [window])
        self._settling.close()

    def teardown(self) -> None:
        self._loading_pool.shutdown(cancel_futures=True)

    def _load(self, batch: RunBatch) -> Loading:
        return Loading(self._loading_pool, self._output, self._attempts, batch)

    def _stylize(self, loading: Loading) -> Iterator[Outcome]:
        loading.wait()  # Before a device is taken, which another thread can use meanwhile.
        with free_device() as device:
            trusted: list[tuple[Run, Loaded]] = []
            suspects: list[Run] = []
            for run, loaded in loading.results():
                if loaded.record is not None:
                    progress.finished(1)
                    if run.run_id in loading.suspects():
                        self._attempts.forget(run.run_id)
                    yield run.run_id, loaded.record
                elif run.run_id in loading.suspects():
                    suspects.append(run)
                else:
                    trusted.append((run, loaded))
            with stopping.work():
                stopping.check()
                yield from self._together(loading, trusted, {run.run_id for run in suspects}, device)
                for run in suspects:
                    stopping.check()
                    yield from self._alone(run, device, loading.batch.size)
                if suspects:
                    self._attempts.end(loading.run_ids)
        give_back_freed_memory()

    def _together(
        self, loading: Loading, trusted: list[tuple[Run, Loaded]], suspects: set[str], device: str
    ) -> Iterator[Outcome]:
        if trusted:
            run_ids = [run.run_id for run, _ in trusted]
            with self._attempts.together(loading.run_ids, run_ids, suspects) as saved:
                yield from self._optimize(trusted, device, loading.batch.size, saved)

    def _alone(self, run: Run, device: str, size: int) -> Iterator[Outcome]:
        logger.warning("%s: computed alone, since it was under way when a process died", run.run_id)
        try:
            with self._attempts.alone(run.run_id) as saved:
                loaded = load(self._output, run)
                if loaded.record is not None:  # Another worker has finished it just now.
                    progress.finished(1)
                    yield run.run_id, loaded.record
                else:
                    yield from self._optimize([(run, loaded)], device, size, saved)
        except ProcessDiedError as error:
            self._settling.submit(run, Result(error=error))

    def _optimize(
        self, unfinished: list[tuple[Run, Loaded]], device: str, size: int, saved: Callable[[], None]
    ) -> Iterator[Outcome]:
        # Unreadable weights are no run's fault: the error ends the job.
        engine = self._engine(unfinished[0][0], device)
        ready: list[tuple[Run, Problem, Snapshot | None]] = []
        for run, loaded in unfinished:
            try:
                ready.append((run, self._checked(run, loaded, engine), loaded.snapshot))
            except (*LoadingError, OutOfMemoryError) as error:
                self._settling.submit(run, Result(error=error))
        if not ready:
            return
        runs, problems, snapshots = zip(*ready, strict=True)
        begins = (f"{run.run_id} from iteration {left.iterations if left else 0}" for run, _, left in ready)
        logger.info("optimizing %s", ", ".join(begins))
        optimization = Optimization(
            engine,
            problems,
            batch_size=size if self._options.deterministic else None,
            timeout_secs=self._options.run_timeout_secs,
            snapshots={index: snapshot for index, snapshot in enumerate(snapshots) if snapshot},
            frames=self._options.frames,
            max_evaluations=self._options.max_evaluations,
            secs_per_call=min(SECS_PER_CALL, self._options.checkpoint_secs),
        )
        with _RunsUnderWay(self._output, runs, optimization, self._options.checkpoint_secs, saved) as under_way:
            for event in optimization.events():
                if isinstance(event, Progress):
                    under_way.report(event)
                elif isinstance(event, Frame):
                    self._settling.submit_frame(runs[event.index], event)
                else:
                    begun = snapshots[event[0]]
                    resumed_at = begun.evaluated if begun else 0
                    self._settling.submit(
                        *under_way.settled(*event),
                        resumed_at=resumed_at if self._options.frames else None,
                        problem=problems[event[0]] if self._options.measures else None,
                    )
                yield from self._counted(self._settling.done())

    def _checked(self, run: Run, loaded: Loaded, engine: Engine) -> Problem:
        """Returns a run's problem, or raises the reason why it cannot be computed."""
        if loaded.error is not None:
            raise loaded.error
        assert loaded.problem is not None
        engine.check(loaded.problem)
        check_memory(run, loaded.problem, self._options.room)
        return loaded.problem

    def _engine(self, run: Run, device: str) -> Engine:
        kind = run.bucket.kind
        load = functools.partial(load_published, self._output, kind.backbone, kind.weights_sha256)
        # XLA has no deterministic gradient of max pooling, and TensorFlow then refuses the step.
        xla = self._options.xla and not self._options.deterministic and "GPU" in device
        return self._options.engines(kind, load, device, xla, self._options.room)

    def _counted(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        # Counted here because Beam's counters work on Beam's own threads only.
        for outcome in outcomes:
            if not isinstance(outcome[1], Reason):
                self._computed.inc()
            yield outcome


class _RunsUnderWay:
    """A batch's runs while they compute: reports their progress; saves them at intervals and on a stop.

    Checkpoints are written beside the computation, one set at a time; leaving the context waits for the last.
    """

    def __init__(
        self,
        output: Output,
        runs: Sequence[Run],
        optimization: Optimization,
        checkpoint_secs: float,
        saved: Callable[[], None],
    ) -> None:
        self._output = output
        self._is_saved = saved
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="save")
        self._saving: Future[None] | None = None
        self._runs = dict(enumerate(runs))
        self._optimization = optimization
        self._checkpoint_secs = checkpoint_secs
        self._saved = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def report(self, state: Progress) -> None:
        """Reports progress and saves the runs if it is time.

        Raises:
          StoppedError: a stop was requested; the runs are saved.
        """
        progress.optimizing(int(state.iterations.max()), state.median_losses())
        is_due = time.monotonic() - self._saved >= self._checkpoint_secs
        if stopping.is_requested():
            if self._saving:
                self._saving.result()
            self._save(self._snapshots())
        elif is_due and (self._saving is None or self._saving.done()):
            self._saving = self._pool.submit(self._save, self._snapshots())
            self._saved = time.monotonic()
        stopping.check()

    def settled(self, index: int, result: Result) -> tuple[Run, Result, Snapshot | None, Future[None] | None]:
        """Removes run `index`; returns what settles it: the run, its result, the snapshot to go on from if it was out
        of time, and the saving of a checkpoint that the commit must not overtake.
        """
        out_of_time = isinstance(result.error, DeadlineError)
        snapshot = self._optimization.snapshot(index) if out_of_time else None
        return self._runs.pop(index), result, snapshot, self._saving

    def _snapshots(self) -> dict[str, Snapshot]:
        """Copies the states from the device."""
        return {run.run_id: self._optimization.snapshot(index) for index, run in self._runs.items()}

    def _save(self, snapshots: dict[str, Snapshot]) -> None:
        save_checkpoints(self._output, snapshots)
        self._is_saved()


def check_memory(run: Run, problem: Problem, room: Room) -> None:
    """Raises OutOfMemoryError if a run alone needs, by estimate, more than the device's memory, even in tiles.

    Args:
      run: the run.
      problem: its problem, whose styles have the sizes at which their targets are taken.
      room: the device's memory.
    """
    kind = run.bucket.kind
    history_size = run.row.config.history_size
    if (reason := does_not_fit(kind, run.height, run.width, history_size, room, run.regions)) is not None:
        raise OutOfMemoryError(reason)
    for style, entry in zip(problem.styles, run.row.styles, strict=True):
        height, width = style.image.shape[:2]
        masked, own_scale = entry.style_mask is not None, entry.scale is not None
        reason = style_does_not_fit(kind, height, width, room, masked, own_scale)
        if reason is not None:
            raise OutOfMemoryError(reason)
