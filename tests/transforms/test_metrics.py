"""What metrics say of a run whose fate another job has decided."""

import json

import pytest

from stylecore import StyleConfig
from transforms.metrics import RowsOfRuns
from transforms.output.commit import record_failure
from transforms.output.metrics_chunks import unpack
from transforms.output.metrics_files import read_metrics
from transforms.output.paths import Output
from transforms.records import Failure, ManifestRow, Reason, StyleEntry


def row_of(record):
    style = record["style"][0]
    styles = (StyleEntry(style["uri"], style["uri"], style["weight"]),)
    config = StyleConfig.from_dict(record["config"])
    return ManifestRow(3, "m.parquet, row 3", "row-3", record["content"], record["content"], styles, config, None)


def rows_after(output, run_id, row, outcome):
    record_failure(output, Failure(run_id, run_id, outcome))
    ((_, chunk),) = RowsOfRuns(output).process([(run_id, {"rows": [row], "outcomes": [outcome]})], set(), set())
    (found,) = unpack(chunk).to_pylist()
    return found


def test_a_run_that_failed_here_and_was_made_by_another_job_is_done(small_output):
    output = Output(str(small_output))
    run_id = next(read_metrics(output))["run_id"]
    record = json.loads((small_output / "runs" / f"{run_id}.json").read_text())
    found = rows_after(output, run_id, row_of(record), Reason("DeadlineError", "not done"))
    assert (found["status"], found["manifest_row"]) == ("done", 3)
    assert found["loss_total"] == pytest.approx(record["loss_total"], rel=1e-6)
    assert not (small_output / "failures" / f"{run_id}.json").exists()


def test_a_run_that_failed_and_is_not_there_is_failed(small_output):
    output = Output(str(small_output))
    record = json.loads(next((small_output / "runs").iterdir()).read_text())
    found = rows_after(output, "0" * 16, row_of(record), Reason("DeadlineError", "not done"))
    assert (found["status"], found["error_message"]) == ("failed", "not done")
    assert (small_output / "failures" / f"{'0' * 16}.json").exists()
