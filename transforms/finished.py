"""Which runs are finished when a job begins, and where their records are: in the metrics of the last job, or markers.

A run is finished if it has its marker and its picture. Its record is taken from the metrics of the last job where these
are newer than its marker, so that a job with nothing to do reads some files instead of a million markers.
"""

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.ahead import AHEAD, MapAhead
from transforms.output import storage
from transforms.output.commit import forget_run, list_runs
from transforms.output.metrics_files import MetricsFile, list_metrics, open_metrics
from transforms.output.paths import ROWS_PER_METRICS_FILE, Output
from transforms.output.record import metrics_schema
from transforms.output.storage import read_ahead
from transforms.records import Run
from transforms.stylize.progress import planned

logger = logging.getLogger(__name__)

TO_COMPUTE, EVERY, ROWS, IN_METRICS = "to_compute", "every", "rows", "in_metrics"

# So many files of metrics are in memory at once while their run_ids are read.
_FILES_AHEAD = 8
# What the columns that are read of a file may hold, unpacked.
_MAX_BYTES = 2**28


class SplitFinished(beam.PTransform):
    """(run_id, Run) -> what is to do for each of them, in tagged outputs.

    - "to_compute": Run, each once, with the first row that asks for it.
    - "every": Run, each once, the finished ones too.
    - "rows": (run_id, ManifestRow) of the runs to compute, and of finished ones whose marker is to be read.
    - "in_metrics": (MetricsFile, (run_id, ManifestRow)) of the finished runs whose record is in a file of metrics/.

    Args:
      output: the output directory.
    """

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def expand(self, runs: Any) -> Any:
        digits = runs.pipeline | "Digits" >> beam.Create(storage.hex_prefixes(self._output.root))
        files = (
            runs.pipeline
            | "Once" >> beam.Create([self._output])
            | "ListMetrics" >> beam.FlatMap(list_metrics)
            | "SpreadFiles" >> beam.Reshuffle()
        )
        return (
            {
                "runs": runs,
                "finished": self._listed(digits, "Finished", _finished, AHEAD),
                "recorded": self._listed(files, "Recorded", _recorded, _FILES_AHEAD),
            }
            | "JoinFinished" >> beam.CoGroupByKey()
            | "Split" >> beam.FlatMapTuple(_split).with_outputs(EVERY, ROWS, IN_METRICS, main=TO_COMPUTE)
        )

    def _listed(self, where: Any, name: str, listed: Callable[[Output, Any], list[Any]], ahead: int) -> Any:
        work = functools.partial(listed, self._output)
        return where | f"List{name}" >> MapAhead(work, ahead=ahead) | name >> beam.FlatMap(lambda found: found)


def _finished(output: Output, digit: str) -> list[tuple[str, float]]:
    """Returns (run_id, when its marker was written), and forgets the runs whose picture somebody has deleted."""
    listed = list_runs(output, digit)
    for _ in read_ahead(functools.partial(forget_run, output), listed.lost, AHEAD):
        pass
    return list(listed.finished.items())


def _recorded(output: Output, file: MetricsFile) -> list[tuple[str, MetricsFile]]:
    """Returns (run_id, file) of the finished runs in a metrics file."""
    table = read_recorded(output, file, ["run_id"])
    run_ids = set() if table is None else set(table["run_id"].to_pylist())
    return [(run_id, file) for run_id in run_ids if run_id]


def _split(run_id: str, joined: Mapping[str, Iterable[Any]]) -> Iterator[Any]:
    runs: list[Run] = sorted(joined["runs"], key=lambda run: run.row.number)
    marked = next(iter(joined["finished"]), None)
    file = max(joined["recorded"], key=lambda file: file.updated_secs, default=None)
    for run in runs[:1]:
        yield beam.pvalue.TaggedOutput(EVERY, run)
        if marked is None:
            planned(1)
            yield run
    for run in runs:
        # A marker that is newer tells of a run that was deleted and computed again since.
        if marked is not None and file is not None and marked < file.updated_secs:
            yield beam.pvalue.TaggedOutput(IN_METRICS, (tuple(file), (run_id, run.row)))
        else:
            yield beam.pvalue.TaggedOutput(ROWS, (run_id, run.row))


def read_recorded(output: Output, file: MetricsFile, columns: list[str]) -> pa.Table | None:
    """Returns columns of the finished runs in a file of an earlier job.

    Returns:
      The rows; None if the file is gone, damaged, larger than those that jobs write, or has other columns than metrics
      have now.

    Raises:
      StorageError: it cannot be read.
    """
    try:
        with open_metrics(output, file) as source:
            if source.schema_arrow.equals(metrics_schema()) and _is_small(source, columns):
                table = source.read(list(dict.fromkeys([*columns, "status"])))
                return table.filter(pc.equal(table["status"], "done"))
    except (pa.ArrowException, storage.NotFoundError) as error:
        logger.warning("%s: of no use: %s", output.metrics(file.name), error)
    return None


def _is_small(source: pq.ParquetFile, columns: list[str]) -> bool:
    groups = [source.metadata.row_group(index) for index in range(source.num_row_groups)]
    parts = [group.column(index) for group in groups for index in range(group.num_columns)]
    size = sum(part.total_uncompressed_size for part in parts if part.path_in_schema.split(".")[0] in columns)
    return source.metadata.num_rows <= ROWS_PER_METRICS_FILE and size <= _MAX_BYTES
