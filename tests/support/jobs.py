"""Runs jobs in this process for tests."""

from collections.abc import Sequence

from pipeline import run as pipeline_run
from pipeline.run import Summary


def run(arguments: Sequence[str]) -> Summary:
    """Runs a job, which must not only be submitted, to its end."""
    summary = pipeline_run.run(arguments)
    assert summary is not None
    return summary
