"""StylizeRuns: the DoFn with the cached model. Each run is committed the moment it is done."""

import dataclasses
import functools
import logging
import threading
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import tensorflow as tf

from stylecore.engine import Engine
from stylecore.engines import check_gpu, get_engine
from stylecore.images import ImageError
from stylecore.loop import optimize
from stylecore.problems import Problem, prepare
from stylecore.results import Progress, Result
from transforms import progress
from transforms.batching import RunBatch
from transforms.commit import commit_result, finished_record, record_failure
from transforms.image_files import ChangedError, load_image
from transforms.layout import Output
from transforms.networks import load_published
from transforms.records import Failure, Reason, Run
from transforms.storage import StorageError

logger = logging.getLogger(__name__)

Outcome = tuple[str, dict[str, Any] | Reason]

# One batch at a time has the device, however many threads a worker has.
_device_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class StylizeOptions:
    """How runs are computed.

    Attributes:
      deterministic: pads short batches and uses deterministic operations: the same bytes on the same kind of device.
      require_gpu: stops the job on a worker that has no GPU, instead of computing on its CPU for days.
    """

    deterministic: bool = False
    require_gpu: bool = False


class StylizeRuns(beam.DoFn):
    """RunBatch -> (run_id, record or Reason) for each of its runs.

    Runs that are finished already are not computed again: a bundle that is retried skips what it had done.

    Args:
      output: where pictures, markers and failures go.
      options: how they are computed.
    """

    def __init__(self, output: Output, options: StylizeOptions) -> None:
        self._output = output
        self._options = options
        self._computed = beam.metrics.Metrics.counter("stylebeam", "runs_computed")

    def setup(self) -> None:
        """See beam.DoFn."""
        if self._options.require_gpu:
            check_gpu()
        if self._options.deterministic:
            tf.config.experimental.enable_op_determinism()

    def process(self, batch: RunBatch) -> Iterator[Outcome]:
        """See beam.DoFn."""
        with _device_lock:
            runs: list[Run] = []
            for run in batch.runs:
                if (record := finished_record(self._output, run.run_id)) is not None:
                    progress.finished(1)
                    yield run.run_id, record
                else:
                    runs.append(run)
            if runs:
                yield from self._compute(runs, batch.size if self._options.deterministic else None)

    def _compute(self, runs: list[Run], padded_size: int | None) -> Iterator[Outcome]:
        kind = runs[0].bucket.kind
        engine = get_engine(kind, functools.partial(_load_network, self._output, kind.backbone, kind.weights_sha256))
        ready: list[tuple[Run, Problem]] = []
        for run in runs:
            try:
                ready.append((run, load_problem(run, engine)))
            except (StorageError, ImageError, ChangedError, ValueError) as error:
                yield self._fail(run, error)
        if not ready:
            return
        problems = [problem for _, problem in ready]
        for index, result in optimize(engine, problems, batch_size=padded_size, on_progress=_report):
            yield self._settle(ready[index][0], result)

    def _settle(self, run: Run, result: Result) -> Outcome:
        if result.error is not None:
            return self._fail(run, result.error)
        record = commit_result(self._output, run, result)
        self._computed.inc()
        progress.finished(1)
        return run.run_id, record

    def _fail(self, run: Run, error: Exception) -> Outcome:
        reason = Reason.of(error)
        record_failure(self._output, Failure(run.run_id, run.run_id, reason))
        progress.finished(1)
        return run.run_id, reason


def load_problem(run: Run, engine: Engine) -> Problem:
    """Loads a run's images, checks them against what was probed, and brings them to their sizes.

    Raises:
      StorageError, ImageError, ChangedError: an image that cannot be had any more.
      ValueError: an image too small for the layers.
    """
    content = load_image(run.row.content_uri, run.content_sha256)
    styles = [
        (load_image(style.uri, sha256), style.weight)
        for style, sha256 in zip(run.row.styles, run.style_sha256, strict=True)
    ]
    problem = prepare(content, styles, run.row.config)
    engine.check(problem)
    return problem


def _load_network(output: Output, backbone: str, fingerprint: str) -> Any:
    logger.info("loading %s %s", backbone, fingerprint[:16])
    return load_published(output, backbone, fingerprint)


def _report(state: Progress) -> None:
    progress.optimizing(int(state.iterations.max()), state.median_losses())
