"""ReadManifest: Parquet files -> valid rows with their numbers, and failures for the invalid ones."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from stylecore.errors import one_line
from transforms.manifest.files import Manifest, ManifestError, ManifestSlice, read_slice
from transforms.manifest.parse import RowError, describe_failed_row, parse_row, row_location
from transforms.records import Failure, Reason, identify_failed_row

ROWS, FAILURES = "rows", "failures"


class ReadManifest(beam.PTransform):
    """A manifest -> {"rows": ManifestRow, "failures": (row number, row values, Failure)}."""

    def __init__(self, manifest: Manifest) -> None:
        super().__init__()
        self._manifest = manifest

    def expand(self, root: beam.pvalue.PBegin) -> Any:
        parsed = (
            root
            | "Slices" >> beam.Create(self._manifest.slices)
            | "SpreadSlices" >> beam.Reshuffle()
            | "ParseRows" >> beam.ParDo(ParseRows()).with_outputs(FAILURES, main=ROWS)
        )
        # A small manifest is one row group and so one bundle: without this step one worker would keep all its rows.
        return {ROWS: parsed[ROWS] | "SpreadRows" >> beam.Reshuffle(), FAILURES: parsed[FAILURES]}


class ParseRows(beam.DoFn):
    """ManifestSlice -> ManifestRow, or (row number, row values, Failure) with the tag "failures".

    Damage of the file fails the rows that cannot be read; where storage does not answer, its error stops the job.
    """

    def process(self, part: ManifestSlice) -> Iterator[Any]:
        numbers = iter(range(part.rows))
        try:
            for values in read_slice(part):
                yield _parsed(values, next(numbers), part)
        except ManifestError as error:
            for offset in numbers:
                # The place stands for the values, which nobody can read: each row has a failure of its own.
                place = {"file": part.file, "row": part.first_in_file + offset}
                yield _failed({"content": "", "style": "", **place}, offset, part, error)


def _parsed(values: dict[str, Any], offset: int, part: ManifestSlice) -> Any:
    try:
        return parse_row(values, part.first_row + offset, part.first_in_file + offset, part.file)
    except RowError as error:
        return _failed(values, offset, part, error)


def _failed(values: dict[str, Any], offset: int, part: ManifestSlice, error: Exception) -> Any:
    reason = one_line(f"{row_location(part.file, part.first_in_file + offset)}: {error}")
    located = Reason(type(error).__name__, reason)
    failure = Failure(identify_failed_row(values), None, located)
    return beam.pvalue.TaggedOutput(FAILURES, (part.first_row + offset, describe_failed_row(values), failure))
