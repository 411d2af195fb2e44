"""WriteMetrics: one metrics row for each row of the manifest, in Parquet files that a rerun overwrites."""

import dataclasses
import io
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from transforms.ahead import AHEAD
from transforms.output import storage
from transforms.output.commit import complete_commit, outcome_of_finished
from transforms.output.job import JOB_KEY, JobRecord, check_owned, read_job
from transforms.output.measures import MEASURE_KEYS, filled, later_measures, measured_ids, with_later_measures
from transforms.output.paths import PARQUET, ROWS_PER_METRICS_FILE, Output
from transforms.output.record import RunRecord, metrics_schema
from transforms.output.storage import read_ahead
from transforms.records import Failure, ManifestRow, Reason

# So many runs, with their rows' further columns, are in memory while their markers are read.
_BATCH = 4 * AHEAD
_Joined = tuple[str, dict[str, Any]]


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
        # In the metrics alone: pictures are published, and say nothing of the machine on which they were made.
        "uris": [storage.absolute(uri) for uri in row.image_uris()],
    }


def metrics_table(rows: Iterable[RunRecord]) -> pa.Table:
    """Returns metrics rows as a table, sorted by manifest row."""
    ordered = sorted(rows, key=lambda row: row.manifest_row)
    return pa.Table.from_pylist([row.to_arrow() for row in ordered], schema=metrics_schema())


def merge_measures(output: Output) -> None:
    """Fills measures that were computed later into the files of metrics/; a file that lacks none is not written.

    Raises:
      TakenOverError: a job with another manifest has begun in the directory.
      StorageError: a file cannot be read or written.
    """
    measured = measured_ids(output)
    owner = (read_job(output) or JobRecord()).id
    for name in list(storage.list_names(output.metrics(), ".parquet")) if measured else ():
        table = pq.read_table(io.BytesIO(storage.read_bytes(output.metrics(name))))
        merged = _with_measures(output, table, measured)
        if not merged.equals(table):
            _write_table(output, name, merged, owner)


def _with_measures(output: Output, table: pa.Table, measured: Collection[str]) -> pa.Table:
    values = {key: table[key].to_pylist() for key in MEASURE_KEYS if key in table.column_names}
    done = enumerate(zip(table["run_id"].to_pylist(), table["status"].to_pylist(), strict=True))
    lacking = [
        (row, run_id)
        for row, (run_id, status) in done
        if status == "done" and run_id in measured and any(column[row] is None for column in values.values())
    ]
    found = read_ahead(lambda one: later_measures(output, one[1]), lacking, AHEAD)
    for (row, _), later in zip(lacking, found, strict=True):
        for key, value in filled({key: column[row] for key, column in values.items()}, later).items():
            values[key][row] = value
    for key, column in values.items():
        place = table.schema.get_field_index(key)
        table = table.set_column(place, table.schema.field(place), pa.array(column, table.schema.field(place).type))
    return table


def _write_table(output: Output, name: str, table: pa.Table, job_id: str | None) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    check_owned(output, job_id)
    storage.write(output.metrics(name), buffer.getvalue(), PARQUET)


class WriteMetrics(beam.PTransform):
    """{"runs": Run, "outcomes": (run_id, record or Reason), "failed": metrics rows} -> names of the files written.

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
        self._files = max(1, math.ceil(rows / ROWS_PER_METRICS_FILE))

    def expand(self, inputs: Any) -> Any:
        runs = inputs["runs"] | "RunsById" >> beam.Map(lambda run: (run.run_id, run.row))
        joined = (
            {"rows": runs, "outcomes": inputs["outcomes"]}
            | "JoinOutcomes" >> beam.CoGroupByKey()
            | "RunsInBatches" >> beam.BatchElements(min_batch_size=_BATCH, max_batch_size=_BATCH)
            | "RowsOfRuns" >> beam.ParDo(_RowsOfRuns(self._output), *self._beside)
        )
        written = (
            (joined, inputs["failed"])
            | "AllRows" >> beam.Flatten()
            | "KeyByFile" >> beam.Map(lambda row: (row.manifest_row // ROWS_PER_METRICS_FILE, row))
            | "GroupFiles" >> beam.GroupByKey()
            | "WriteFile" >> beam.MapTuple(self._write)
        )
        removed = (
            written.pipeline
            | "Once" >> beam.Create([None])
            | "RemoveStale" >> beam.Map(self._remove_stale, beam.pvalue.AsIter(written))
        )
        return written, removed

    def _name(self, index: int) -> str:
        return f"metrics-{index:05d}-of-{self._files:05d}.parquet"

    def _write(self, index: int, rows: Iterable[RunRecord]) -> str:
        table = metrics_table(rows)
        if self._job_id:
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), JOB_KEY: self._job_id.encode()})
        _write_table(self._output, self._name(index), table, self._job_id)
        return self._name(index)

    def _remove_stale(self, _: None, written: Iterable[str]) -> None:
        check_owned(self._output, self._job_id)
        for name in set(storage.list_names(self._output.metrics(), ".parquet")) - set(written):
            storage.delete(self._output.metrics(name))


class _RowsOfRuns(beam.DoFn):
    def __init__(self, output: Output) -> None:
        self._output = output

    def process(self, batch: list[_Joined], recorded_failures: set[str], measured: set[str]) -> Iterator[RunRecord]:
        outcomes = read_ahead(lambda element: self._measured(element, recorded_failures, measured), batch, AHEAD)
        for (run_id, joined), outcome in zip(batch, outcomes, strict=True):
            for row in joined["rows"]:
                if isinstance(outcome, Reason):
                    yield failed_row(row.number, row, Failure(run_id, run_id, outcome))
                else:
                    yield done_row(row, outcome)

    def _measured(self, element: _Joined, recorded_failures: set[str], measured: set[str]) -> RunRecord | Reason:
        outcome = self._outcome(element, recorded_failures)
        return outcome if isinstance(outcome, Reason) else with_later_measures(self._output, outcome, measured)

    def _outcome(self, element: _Joined, recorded_failures: set[str]) -> RunRecord | Reason:
        run_id, joined = element
        outcome: RunRecord | Reason | None = next(iter(joined["outcomes"]), None)
        if outcome is None:
            return outcome_of_finished(self._output, run_id, recorded_failures)
        if isinstance(outcome, Reason):
            # Another job may have made the picture meanwhile. Completing its commit deletes the record of our failure.
            return complete_commit(self._output, run_id) or outcome
        return outcome
