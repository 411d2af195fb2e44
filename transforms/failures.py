"""RecordFailures: one failure record for each id, however many rows share it."""

import functools
from collections.abc import Iterable
from typing import Any

import apache_beam as beam

from transforms.ahead import MapAhead
from transforms.output.commit import record_failure
from transforms.output.paths import Output
from transforms.records import Failure

Numbered = tuple[int, Failure]


class RecordFailures(beam.PTransform):
    """(row number, row values, Failure) -> the number of failures recorded, one element, once all are written.

    Rows of equal values share an id: the failure of the first of them is recorded, so that a rerun writes the same.
    """

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def expand(self, failed: Any) -> Any:
        # Grouping by id also spreads what a single row group may have yielded in one element.
        return (
            failed
            | "KeyByFailure" >> beam.MapTuple(lambda number, _, failure: (failure.id, (number, failure)))
            | "FirstOfId" >> beam.CombinePerKey(_first)
            | "Record" >> MapAhead(functools.partial(_record, self._output))
            | "Count" >> beam.combiners.Count.Globally()
        )


def _first(failures: Iterable[Numbered]) -> Numbered | None:
    return min(filter(None, failures), key=lambda numbered: numbered[0], default=None)


def _record(output: Output, found: tuple[str, Numbered]) -> str:
    failure_id, (_, failure) = found
    record_failure(output, failure)
    return failure_id
