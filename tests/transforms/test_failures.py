"""Failures are written once an id, several at once, and whatever storage does."""

import json

import apache_beam as beam
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to

from transforms.failures import RecordFailures
from transforms.output.paths import Output
from transforms.records import Failure, Reason

IDS, ROWS = 40, 120
LATENCY_SECS = 0.05


def failed_rows():
    """Three rows an id, those of the higher numbers first."""
    for row in reversed(range(ROWS)):
        name = f"row-{row % IDS:04d}"
        yield row, {"content": "x.png"}, Failure(name, None, Reason("RowError", f"row {row}"))


def recorded(output):
    with TestPipeline() as pipeline:
        count = pipeline | beam.Create(failed_rows()) | RecordFailures(output)
        assert_that(count, equal_to([IDS]))


def test_an_id_is_written_once_with_the_first_of_its_rows(emulator):
    emulator.requests.clear()
    recorded(Output("gs://bucket/once"))
    assert len([path for method, path in emulator.requests if method == "POST"]) == IDS
    written = emulator.objects("once/failures/")
    assert len(written) == IDS
    record = json.loads(emulator.read("once/failures/row-0007.json"))
    assert record["error_message"] == "row 7"


def test_several_requests_are_under_way_at_once(emulator, monkeypatch):
    monkeypatch.setattr(emulator, "latency_secs", LATENCY_SECS)
    monkeypatch.setattr(emulator, "most_at_once", 0)
    recorded(Output("gs://bucket/several"))
    assert emulator.most_at_once >= 8


def test_faults_lose_no_record(emulator, quick_retries):
    with emulator.failing(503, "reset", "lost", share=0.3, seed=2) as faults:
        recorded(Output("gs://bucket/faults"))
    assert faults.count.total() > 0
    assert len(emulator.objects("faults/failures/")) == IDS
