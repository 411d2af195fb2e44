"""Loading a batch's images, checkpoints and markers in the background, while the batch before it computes."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

from stylecore.images.codec import ImageError
from stylecore.images.style import Style
from stylecore.run.problem import Problem, prepare
from stylecore.run.snapshot import Snapshot
from transforms.batch import RunBatch
from transforms.input_images import ChangedError, ImageCache, InputImage
from transforms.output.attempts import Attempts
from transforms.output.checkpoints import load_checkpoint
from transforms.output.commit import finished_record
from transforms.output.facts import forget_facts
from transforms.output.paths import Output
from transforms.output.record import RunRecord
from transforms.output.storage import StorageError, read_ahead
from transforms.records import Run

MARKERS_AHEAD = 16

# Of this process, whose threads all load for its devices.
_images = ImageCache()

# Errors that a run's images can cause. Any other error is a defect of this program and stops the bundle.
LoadingError = (StorageError, ImageError, ChangedError, ValueError)


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A loaded run: its record if it is finished; else its problem, with a snapshot if it was left, or the error.

    A suspect that is not finished has none of them: it is loaded when its turn comes.
    """

    record: RunRecord | None = None
    problem: Problem | None = None
    snapshot: Snapshot | None = None
    error: Exception | None = None


class Loading:
    """The loading of one batch's runs.

    Args:
      pool: the threads that load.
      output: holds finished runs and checkpoints.
      attempts: know which runs must be computed alone; those are not loaded here.
      batch: the runs to load.
    """

    def __init__(self, pool: ThreadPoolExecutor, output: Output, attempts: Attempts, batch: RunBatch) -> None:
        self.batch = batch
        self.run_ids = [run.run_id for run in batch.runs]
        self._output = output
        self._suspects: Future[set[str]] = pool.submit(attempts.suspects, self.run_ids)
        self._futures: list[Future[Loaded]] = [pool.submit(self._load, run) for run in batch.runs]

    def suspects(self) -> set[str]:
        """Returns the run_ids of the runs that must be computed alone."""
        return self._suspects.result()

    def wait(self) -> None:
        """Waits until all are loaded."""
        wait(self._futures)

    def results(self) -> Iterator[tuple[Run, Loaded]]:
        """Yields each run once all are loaded, as finished if another worker has finished it since."""
        loaded = [future.result() for future in self._futures]
        records = read_ahead(self._record_of, zip(self.batch.runs, loaded, strict=True), MARKERS_AHEAD)
        for run, found, record in zip(self.batch.runs, loaded, records, strict=True):
            yield run, Loaded(record=record) if record else found

    def cancel(self) -> None:
        """Cancels every load that has not begun."""
        for future in self._futures:
            future.cancel()

    def _load(self, run: Run) -> Loaded:
        return Loaded() if run.run_id in self.suspects() else load(self._output, run)

    def _record_of(self, item: tuple[Run, Loaded]) -> RunRecord | None:
        run, found = item
        return found.record or finished_record(self._output, run.run_id)


def load(output: Output, run: Run) -> Loaded:
    """Loads a run; an error that its images cause is returned, not raised."""
    if (record := finished_record(output, run.run_id)) is not None:
        return Loaded(record=record)
    try:
        problem = load_problem(run)
    except LoadingError as error:
        if isinstance(error, ChangedError):
            forget_facts(output, run.row.image_uris())
        return Loaded(error=error)
    return Loaded(problem=problem, snapshot=load_checkpoint(output, run.run_id, problem))


def load_problem(run: Run) -> Problem:
    """Loads a run's images and prepares its problem.

    Raises:
      StorageError, ImageError: an image cannot be read.
      ChangedError: an image has changed since it was probed.
    """
    row, sha256 = run.row, run.sha256

    def image(uri: str) -> InputImage:
        return _images.image(uri, sha256[uri])

    styles = []
    for style in row.styles:
        masks = {field: image(mask.uri) for field, mask in style.masks()}
        styles.append(Style(image(style.uri), style.weight, style.scale, **masks))
    initial = image(row.initial.uri) if row.initial else None
    return prepare(image(row.content_uri), styles, row.config, initial)
