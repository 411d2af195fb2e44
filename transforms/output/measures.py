"""measures/<run_id>.json: measures that were computed after their run was finished.

They fill what the run's record leaves null; pictures and markers stay as they are. Whatever makes metrics of records
merges them, so that a later job or rebuild keeps them.
"""

import dataclasses
import json
import math
import tempfile
from collections.abc import Collection, Mapping
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from stylecore.measures.measure import MEASURES
from transforms.output import storage
from transforms.output.job import JobRecord, check_owned, read_job
from transforms.output.metrics_files import MetricsFile, list_metrics, open_metrics
from transforms.output.paths import JSON, PARQUET, Output
from transforms.output.record import RunRecord
from transforms.output.storage import read_ahead

MEASURE_KEYS = tuple(one.key for one in MEASURES)
_MAX_BYTES = 2**16
_AHEAD = 32


def measured_ids(output: Output) -> set[str]:
    """Returns the run_ids that have a file of later measures."""
    return output.ids("measures")


def save_measures(output: Output, run_id: str, values: Mapping[str, float | None]) -> None:
    """Writes a run's later measures; null says that a measure was computed and has no value for this picture."""
    storage.write(output.measures(run_id), json.dumps(dict(values), sort_keys=True).encode(), JSON)


def later_measures(output: Output, run_id: str) -> dict[str, float | None]:
    """Returns the later measures of a run, by column; what is damaged or of another kind is left out."""
    values = storage.read_json_object(output.measures(run_id), _MAX_BYTES) or {}
    return {key: values[key] for key in MEASURE_KEYS if key in values and _is_measure(values[key])}


def filled(record: Mapping[str, Any], later: Mapping[str, float | None]) -> dict[str, float]:
    """Returns the later measures that a record lacks: what the worker measured has precedence."""
    return {key: value for key, value in later.items() if value is not None and record.get(key) is None}


def with_later_measures(output: Output, record: RunRecord, measured: Collection[str]) -> RunRecord:
    """Returns a finished run's record with its later measures.

    Args:
      output: the output directory.
      record: the record, as its marker has it.
      measured: the run_ids that have later measures, from `measured_ids`.
    """
    if record.run_id is None or record.run_id not in measured:
        return record
    found: dict[str, Any] = filled(record.to_dict(), later_measures(output, record.run_id))
    return dataclasses.replace(record, **found)


def fill_measures(output: Output, table: pa.Table, measured: Collection[str]) -> pa.Table:
    """Returns metrics rows with the later measures that they lack.

    Args:
      output: the output directory.
      table: metrics rows, with the columns run_id, status and the measures among others.
      measured: the run_ids that have later measures, from `measured_ids`.
    """
    values = {key: table[key].to_pylist() for key in MEASURE_KEYS if key in table.column_names}
    done = enumerate(zip(table["run_id"].to_pylist(), table["status"].to_pylist(), strict=True))
    lacking = [
        (row, run_id)
        for row, (run_id, status) in done
        if status == "done" and run_id in measured and any(column[row] is None for column in values.values())
    ]
    found = read_ahead(lambda one: later_measures(output, one[1]), lacking, _AHEAD)
    for (row, _), later in zip(lacking, found, strict=True):
        for key, value in filled({key: column[row] for key, column in values.items()}, later).items():
            values[key][row] = value
    for key, column in values.items():
        place = table.schema.get_field_index(key)
        table = table.set_column(place, table.schema.field(place), pa.array(column, table.schema.field(place).type))
    return table


def merge_measures(output: Output) -> None:
    """Fills measures that were computed later into the files of metrics/; a file that lacks none is not written.

    Raises:
      TakenOverError: a job with another manifest has begun in the directory.
      StorageError: a file cannot be read or written.
    """
    measured = measured_ids(output)
    owner = (read_job(output) or JobRecord()).id
    for file in list_metrics(output) if measured else ():
        with tempfile.TemporaryFile() as merged:
            if _merge_file(output, file, measured, merged):
                check_owned(output, owner)
                storage.write_file(output.metrics(file.name), merged, PARQUET)


def _merge_file(output: Output, file: MetricsFile, measured: Collection[str], merged: IO[bytes]) -> bool:
    """Writes a file with later measures, group by group; returns whether any was filled in."""
    is_filled = False
    with open_metrics(output, file) as source, pq.ParquetWriter(merged, source.schema_arrow, compression="zstd") as out:
        for group in range(source.num_row_groups):
            before = source.read_row_group(group)
            after = fill_measures(output, before, measured)
            out.write_table(after)
            is_filled = is_filled or not after.equals(before)
    return is_filled


def _is_measure(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))
