"""StylizeRuns on a few runs, stopped in the middle or not, and what is on disk afterwards."""

import contextlib
import json

import pytest

from transforms.batch import RunBatch
from transforms.output import storage
from transforms.output.paths import Output
from transforms.records import Reason
from transforms.stylize import progress, stopping
from transforms.stylize.stylize_runs import StylizeOptions, StylizeRuns

# Small pictures would be done within one or two calls into TensorFlow.
SHORT_CALLS = {"max_evaluations": 4}
# Where the content image starts, its loss is finite; after one step it is not.
DIVERGING = {"content_weight": 3e38, "init": "content"}
SAME_BYTES = {"deterministic": True}
OFTEN = {"checkpoint_secs": 1e-9}


def begun(path):
    path.mkdir()
    (path / "job.json").write_text("{}")
    return Output(str(path))


def stylize(output, *batches, **options):
    """The outcomes of one bundle, by run_id; what is done must be on disk by then."""
    step = StylizeRuns(output, StylizeOptions(**{**SHORT_CALLS, **options}))
    step.setup()
    try:
        step.start_bundle()
        outcomes = list(step.process(tuple(RunBatch(max(2, len(batch)), tuple(batch)) for batch in batches)))
        outcomes += [windowed.value for windowed in step.finish_bundle()]
    finally:
        step.teardown()
    assert sorted(run_id for run_id, _ in outcomes) == sorted(run.run_id for batch in batches for run in batch)
    for run_id, outcome in outcomes:
        assert storage.exists(output.failure(run_id) if isinstance(outcome, Reason) else output.marker(run_id))
    return dict(outcomes)


def picture_bytes(output, run):
    return storage.read_bytes(output.image(run.run_id))


def marker(output, run):
    return json.loads(storage.read_bytes(output.marker(run.run_id)))


def names(output, folder):
    return sorted(storage.list_names(storage.join(output.root, folder)))


class Watch:
    """A listener that calls `heard(iteration)` at every report."""

    def __init__(self, heard):
        self._heard = heard

    def planned(self, runs):
        pass

    def optimizing(self, iteration, losses):
        self._heard(iteration)

    def finished(self, runs):
        pass


@contextlib.contextmanager
def stopped_at(iteration):
    """Asks to stop as soon as a batch has made so many iterations."""
    try:
        with progress.listening(Watch(lambda made: stopping.request() if made >= iteration else None)):
            yield
    finally:
        stopping._requested.clear()


def started(caplog):
    """What the log says of every optimisation: the iteration from which it went on, by run_id."""
    said = [text for record in caplog.records if (text := record.getMessage()).startswith("optimizing ")]
    parts = [part.split() for text in said for part in text.removeprefix("optimizing ").split(", ")]
    return {run_id: int(number) for run_id, *_, number in parts}


def left_in_the_middle(output, made, iteration=10, **options):
    with stopped_at(iteration), pytest.raises(stopping.StoppedError):
        stylize(output, made, **options)
