"""WriteMetrics: one metrics row for each row of the manifest, in Parquet files that a rerun overwrites."""

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa

from transforms.ahead import AHEAD
from transforms.finished import read_recorded
from transforms.output import storage
from transforms.output.commit import complete_commit, forget_failure, outcome_of_finished
from transforms.output.job import check_owned
from transforms.output.measures import fill_measures, with_later_measures
from transforms.output.metrics_chunks import CHUNK_BYTES, Chunk, Outcomes, chunks_of, cut, write_sorted
from transforms.output.metrics_files import MetricsFile, file_count, metrics_name
from transforms.output.paths import PARQUET, Output
from transforms.output.record import RunRecord, columns, metrics_schema
from transforms.output.storage import read_ahead
from transforms.records import Failure, ManifestRow, Reason

# So many runs, with their rows' further columns, are in memory while their markers are read.
_BATCH = 4 * AHEAD
# What today's manifest says of a finished run; all else is taken from its record.
_DESCRIBED = ("manifest_row", "content", "style", "config", "extra", "uris", "initial")
_RECORDED = tuple(name for name in columns() if name not in _DESCRIBED)
# About what a row weighs as Python values beside its further columns.
_ROW_BYTES = 4096
_Joined = tuple[str, dict[str, Any]]
_Asked = tuple[ManifestRow, str]
_Named = tuple[str, ManifestRow]


def done_row(row: ManifestRow, record: RunRecord) -> RunRecord:
    """Returns the metrics row of a manifest row whose run is finished.

    Args:
      row: says how this manifest names the images, and its further columns.
      record: the run's record, possibly of an earlier job with another manifest.
    """
    return dataclasses.replace(record, **_described(row))


def failed_row(number: int, described: ManifestRow | Mapping[str, Any], failure: Failure) -> RunRecord:
    """Returns the metrics row of a manifest row that failed.

    Args:
      number: the row's number in the manifest.
      described: the row; or, if it is not valid, the columns content, style and extra as far as they could be read.
      failure: the failure of the row or of its run.
    """
    known = _described(described) if isinstance(described, ManifestRow) else dict(described)
    return RunRecord(
        **{
            **known,
            "manifest_row": number,
            "run_id": failure.run_id,
            "status": "failed",
            "error_type": failure.reason.error_type,
            "error_message": failure.reason.error_message,
        }
    )


def _described(row: ManifestRow) -> dict[str, Any]:
    return {
        "manifest_row": row.number,
        "content": row.content,
        "style": row.style_entries(),
        "config": row.config.to_dict(),
        "extra": row.extra,
        "initial": row.initial and row.initial.written,
        # In the metrics alone: pictures are published, and say nothing of the machine on which they were made.
        "uris": [storage.absolute(uri) for uri in row.image_uris()],
    }


class WriteMetrics(beam.PTransform):
    """Rows and what became of their runs -> (name, Outcomes) of each file, and None once stale files are removed.

    It takes "rows" and "in_metrics" of `SplitFinished`, "outcomes": (run_id, record or Reason) of the runs that were
    computed, and "failed": metrics rows.

    Args:
      output: the output directory.
      rows: the number of rows of the manifest, which fixes the set of files: every other file is stale.
      recorded_failures: the ids of the failures that were recorded when the job began.
      measured: the run_ids of the runs that were measured later, see `transforms.output.measures`.
      job_id: the id of the job, which each file carries; see `transforms.output.job.check_owned`.
    """

    def __init__(
        self,
        output: Output,
        rows: int,
        recorded_failures: beam.pvalue.AsSingleton,
        measured: beam.pvalue.AsSingleton,
        job_id: str | None = None,
    ) -> None:
        super().__init__()
        self._output = output
        self._job_id = job_id
        self._beside = recorded_failures, measured
        self._files = file_count(rows)

    def expand(self, inputs: Any) -> Any:
        computed = (
            {"rows": inputs["rows"], "outcomes": inputs["outcomes"]}
            | "JoinOutcomes" >> beam.CoGroupByKey()
            | "RunsInBatches" >> beam.BatchElements(min_batch_size=_BATCH, max_batch_size=_BATCH)
            | "RowsOfRuns" >> beam.ParDo(RowsOfRuns(self._output), *self._beside)
        )
        taken = (
            inputs["in_metrics"]
            | "GroupByOldFile" >> beam.GroupByKey()
            | "TakeRows" >> beam.ParDo(TakeRows(self._output), *self._beside)
        )
        failed = (
            inputs["failed"]
            | "FailedInBatches" >> beam.BatchElements(min_batch_size=_BATCH, max_batch_size=_BATCH)
            | "PackFailed" >> beam.FlatMap(chunks_of)
        )
        written = (
            (computed, taken, failed)
            | "AllRows" >> beam.Flatten()
            | "GroupFiles" >> beam.GroupByKey()
            | "WriteFile" >> beam.MapTuple(self._write)
        )
        removed = (
            written.pipeline
            | "Once" >> beam.Create([None])
            | "RemoveStale" >> beam.Map(self._remove_stale, beam.pvalue.AsIter(written))
        )
        return written, removed

    def _write(self, number: int, chunks: Iterable[Chunk]) -> tuple[str, Outcomes]:
        name = metrics_name(number, self._files)
        with tempfile.TemporaryFile() as file:
            outcomes = write_sorted(chunks, file, self._job_id)
            check_owned(self._output, self._job_id)
            storage.write_file(self._output.metrics(name), file, PARQUET)
        return name, outcomes

    def _remove_stale(self, _: None, written: Iterable[tuple[str, Outcomes]]) -> None:
        check_owned(self._output, self._job_id)
        for name in set(storage.list_names(self._output.metrics(), ".parquet")) - {name for name, _ in written}:
            storage.delete(self._output.metrics(name))


class RowsOfRuns(beam.DoFn):
    """[(run_id, {"rows": manifest rows, "outcomes": at most one})] -> (number of the metrics file, chunk).

    A run without an outcome was finished before: its record is read.
    """

    def __init__(self, output: Output) -> None:
        self._output = output

    def process(
        self, batch: list[_Joined], recorded_failures: set[str], measured: set[str]
    ) -> Iterator[tuple[int, Chunk]]:
        records = _Records(self._output, recorded_failures, measured)
        outcomes = records.of((run_id, next(iter(joined["outcomes"]), None)) for run_id, joined in batch)
        for some in _by_weight((row, run_id) for run_id, joined in batch for row in joined["rows"]):
            yield from _chunks(some, outcomes)


class TakeRows(beam.DoFn):
    """(file of the last job's metrics, [(run_id, manifest row)]) -> (number of the metrics file, chunk).

    What the file holds of a run is taken over without a look at its marker. The marker of a run that the file does not
    hold any more is read.
    """

    def __init__(self, output: Output) -> None:
        self._output = output

    def process(
        self, element: tuple[tuple[Any, ...], Iterable[_Named]], recorded_failures: set[str], measured: set[str]
    ) -> Iterator[tuple[int, Chunk]]:
        file, wanted = element
        records = _Records(self._output, recorded_failures, measured)
        recorded = read_recorded(self._output, MetricsFile(*file), list(_RECORDED))
        recorded = None if recorded is None else fill_measures(self._output, recorded, measured)
        places = {} if recorded is None else {name: place for place, name in enumerate(recorded["run_id"].to_pylist())}
        for some in _by_weight((row, run_id) for run_id, row in wanted):
            held = [(row, places[run_id]) for row, run_id in some if run_id in places]
            if recorded is not None and held:
                yield from cut(_described_anew(recorded, held))
            records.forget_failures({run_id for _, run_id in some} & places.keys())
            others = [asked for asked in some if asked[1] not in places]
            if others:
                yield from _chunks(others, records.of((run_id, None) for run_id in {run_id for _, run_id in others}))


class _Records:
    """Turns run_ids into records: what each run became in this job, or else what its marker or picture says.

    Args:
      output: the output directory.
      recorded_failures: the ids of the failures that were recorded when the job began.
      measured: the run_ids of the runs that were measured later.
    """

    def __init__(self, output: Output, recorded_failures: set[str], measured: set[str]) -> None:
        self._output = output
        self._recorded_failures = recorded_failures
        self._measured = measured

    def of(self, runs: Iterable[tuple[str, RunRecord | Reason | None]]) -> dict[str, RunRecord | Reason]:
        """Returns run_id -> record or Reason, for (run_id, outcome in this job, if any); several are read at once."""
        runs = list(runs)
        found = read_ahead(lambda run: self._of(*run), runs, AHEAD)
        return {run_id: outcome for (run_id, _), outcome in zip(runs, found, strict=True)}

    def forget_failures(self, run_ids: Iterable[str]) -> None:
        """Deletes older failures of finished runs."""
        for run_id in run_ids:
            if run_id in self._recorded_failures:
                forget_failure(self._output, run_id)

    def _of(self, run_id: str, outcome: RunRecord | Reason | None) -> RunRecord | Reason:
        if outcome is None:
            outcome = outcome_of_finished(self._output, run_id, self._recorded_failures)
        elif isinstance(outcome, Reason):
            # Another job may have made the picture meanwhile. Completing its commit deletes the record of our failure.
            outcome = complete_commit(self._output, run_id) or outcome
        if isinstance(outcome, Reason):
            return outcome
        return with_later_measures(self._output, outcome, self._measured)


def _by_weight(asked: Iterable[_Asked]) -> Iterator[list[_Asked]]:
    """Yields as many rows at once as weigh no more than a chunk."""
    some: list[_Asked] = []
    weight = 0
    for row, run_id in asked:
        some.append((row, run_id))
        weight += _ROW_BYTES + len(row.extra or "")
        if weight >= CHUNK_BYTES:
            yield some
            some, weight = [], 0
    if some:
        yield some


def _chunks(asked: list[_Asked], outcomes: Mapping[str, RunRecord | Reason]) -> Iterator[tuple[int, Chunk]]:
    yield from chunks_of([_metrics_row(row, run_id, outcomes[run_id]) for row, run_id in asked])


def _metrics_row(row: ManifestRow, run_id: str, outcome: RunRecord | Reason) -> RunRecord:
    if isinstance(outcome, Reason):
        return failed_row(row.number, row, Failure(run_id, run_id, outcome))
    return done_row(row, outcome)


def _described_anew(recorded: pa.Table, held: list[tuple[ManifestRow, int]]) -> pa.RecordBatch:
    """Returns metrics rows of what is `recorded` of their runs, and what today's manifest says.

    Args:
      recorded: the columns `_RECORDED` of finished runs.
      held: rows, each with the place of its run there.
    """
    schema = metrics_schema()
    described = [RunRecord(**_described(row)).to_arrow() for row, _ in held]
    today = pa.RecordBatch.from_pylist(described, pa.schema([schema.field(name) for name in _DESCRIBED]))
    taken = recorded.take(pa.array([place for _, place in held])).combine_chunks()
    arrays = [today[name] if name in _DESCRIBED else taken[name].combine_chunks() for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
