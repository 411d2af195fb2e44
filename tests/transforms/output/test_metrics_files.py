"""Readers of metrics take the files that their job wrote, by number and by the id in them, and nothing else."""

from pathlib import Path

import pytest

from transforms.output.job import JobRecord, write_job
from transforms.output.metrics_chunks import chunks_of, write_sorted
from transforms.output.metrics_files import (
    file_count,
    list_metrics,
    metrics_are_current,
    metrics_name,
    read_metrics,
    rows_within,
)
from transforms.output.paths import ROWS_PER_METRICS_FILE, Output
from transforms.output.record import RunRecord

ROWS = 2 * ROWS_PER_METRICS_FILE + 3


def write_file(output: Output, number: int, job_id: str | None, name: str | None = None, status: str = "done") -> None:
    """Writes the two outermost rows of a metrics file, which stand for all."""
    first = number * ROWS_PER_METRICS_FILE
    last = min(ROWS, first + ROWS_PER_METRICS_FILE) - 1
    path = Path(output.metrics(name or metrics_name(number, file_count(ROWS))))
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [RunRecord(manifest_row=row, status=status) for row in (last, first)]
    with path.open("wb") as out:
        write_sorted([chunk for _, chunk in chunks_of(rows)], out, job_id)


@pytest.fixture
def output(tmp_path: Path) -> Output:
    """A directory whose job wrote three files."""
    output = Output(str(tmp_path))
    write_job(output, JobRecord(id="mine", rows=ROWS, metrics_rows=ROWS))
    for number in range(3):
        write_file(output, number, "mine")
    return output


OUTERMOST = [0, 4_999, 5_000, 9_999, 10_000, 10_002]


def numbers(output: Output, within: range | None = None, job_id: str | None = None) -> list[int]:
    return [row["manifest_row"] for row in read_metrics(output, ["manifest_row"], within, job_id)]


def test_rows_come_in_the_order_of_the_manifest(output: Output) -> None:
    assert numbers(output) == OUTERMOST
    assert metrics_are_current(output)


@pytest.mark.parametrize(
    "name",
    ["a.parquet", "metrics-00000-of-00002.parquet", "metrics-00001-of-00009.parquet", "metrics-1-of-3.parquet"],
)
def test_a_foreign_file_between_them_moves_none(output: Output, name: str) -> None:
    write_file(output, 0, "another", name, status="foreign")
    assert numbers(output) == OUTERMOST
    assert numbers(output, range(5_000, 5_001)) == [5_000, 9_999]
    assert numbers(output, range(10_000, 11_000)) == [10_000, 10_002]
    assert metrics_are_current(output)


def test_a_file_of_another_job_in_the_place_of_one_is_left_out(output: Output) -> None:
    write_file(output, 1, "another", status="foreign")
    assert numbers(output) == [0, 4_999, 10_000, 10_002]
    assert not metrics_are_current(output)
    assert numbers(output, job_id="another") == [5_000, 9_999]


def test_a_file_that_is_missing_or_damaged_makes_metrics_incomplete(output: Output) -> None:
    path = Path(output.metrics(metrics_name(2, 3)))
    path.write_bytes(path.read_bytes()[:-4])
    assert not metrics_are_current(output)
    path.unlink()
    assert not metrics_are_current(output)


def test_files_of_versions_that_named_no_job_are_read_if_their_number_is_right(output: Output) -> None:
    for number in range(3):
        write_file(output, number, None)
    write_file(output, 0, None, "metrics-00000-of-00001.parquet")
    assert numbers(output) == OUTERMOST
    assert metrics_are_current(output)


def test_a_job_that_has_not_written_all_its_metrics_is_not_current(output: Output) -> None:
    write_job(output, JobRecord(id="mine", rows=ROWS))
    assert not metrics_are_current(output)
    assert numbers(output) == OUTERMOST


def test_listing_knows_number_and_total(output: Output) -> None:
    assert [(file.number, file.total, file.rows.start) for file in list_metrics(output)] == [
        (0, 3, 0),
        (1, 3, 5_000),
        (2, 3, 10_000),
    ]


def test_rows_in_memory_are_bounded_by_the_bytes_of_the_footer() -> None:
    class Group:
        num_rows, total_byte_size = 1_000, 256_000_000

    assert rows_within(Group, 500, 16 * 2**20) == 65
    assert rows_within(Group, 10, 16 * 2**20) == 10
    assert rows_within(Group, 500, 1_000) == 1
    Group.total_byte_size = 0
    assert rows_within(Group, 500, 1_000) == 500
