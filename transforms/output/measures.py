"""measures/<run_id>.json: measures that were computed after their run was finished.

They fill what the run's record leaves null; pictures and markers stay as they are. Whatever makes metrics of records
merges them, so that a later job or rebuild keeps them.
"""

import dataclasses
import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from stylecore.measures.measure import MEASURES
from transforms.output import storage
from transforms.output.paths import JSON, Output
from transforms.output.record import RunRecord

MEASURE_KEYS = tuple(one.key for one in MEASURES)
_MAX_BYTES = 2**16


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


def _is_measure(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))
