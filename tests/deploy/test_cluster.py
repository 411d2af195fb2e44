"""A cluster as `make cluster` starts it, and a job on it that loses a worker: small; `make faults` runs it larger."""

import signal
import sys
from pathlib import Path

import apache_beam as beam
import pytest

from deploy.cluster import ClusterError, Member, addresses_of, job_command, running, watch
from pipeline.beam_options import parse_options, workers_are_here
from pipeline.lost import lost_part
from tests.faults import cluster


@pytest.mark.slow
def test_a_job_that_loses_a_worker_is_completed_by_the_command_that_it_names(tmp_path):
    figures = cluster.measure(tmp_path, seeds=2, iterations=150, kills=1)
    assert [name for name, value in figures.items() if value is False] == []
    assert 0 < figures["finished_at_kills"][0] < figures["runs"] == figures["computed_directly"]


def test_a_worker_that_dies_in_a_step_without_output_ends_the_job(tmp_path):
    """Beam's own service would wait for ever."""
    with running(tmp_path, 1) as (addresses, _):
        words = job_command("m.parquet", "out", addresses, 1).split()
        pipeline = beam.Pipeline(options=parse_options(words[2:]))
        _ = pipeline | beam.Create([signal.SIGKILL]) | beam.Map(signal.raise_signal)
        with pytest.raises(RuntimeError) as caught:
            pipeline.run().wait_until_finish(duration=120_000)
    assert lost_part(caught.value, pipeline.options) == "a worker's process has died"


def test_the_printed_command_is_one_that_run_understands():
    addresses = {"jobs": "localhost:1", "workers": "localhost:2"}
    words = job_command("a folder/m.parquet", "gs://bucket/out", addresses, 3.25).split()
    assert words[1:3] == ["run", "'--manifest=a"]
    assert workers_are_here(parse_options(words[4:]))


def member(name, program, folder):
    return Member(name, Path(sys.executable), ["-c", program], folder)


def test_a_member_that_does_not_start_is_named_with_its_log(tmp_path):
    worker = member("worker-1", "raise SystemExit('no module named apache_beam')", tmp_path)
    with pytest.raises(ClusterError, match=r"worker-1 does not start, see its log:\nno module named apache_beam"):
        addresses_of(tmp_path / "never.json", [worker], [])


def test_a_worker_that_has_died_is_started_again_until_the_service_ends(tmp_path, capsys):
    service = member("service", "import time; time.sleep(3); raise SystemExit(3)", tmp_path)
    worker = member("worker-1", "import time; time.sleep(1.5); raise SystemExit(1)", tmp_path)
    first = worker.process.pid
    with pytest.raises(ClusterError, match=f"the service ended with 3, see {tmp_path}/service.log"):
        watch([service, worker])
    said = capsys.readouterr().out.splitlines()
    assert worker.process.pid != first
    assert said[-1] == f"worker-1 ended with 1; it is process {worker.process.pid} now"
    worker.process.wait()


def test_a_worker_that_ends_at_once_ends_the_cluster(tmp_path):
    service = member("service", "import time; time.sleep(60)", tmp_path)
    worker = member("worker-1", "raise SystemExit(1)", tmp_path)
    with pytest.raises(ClusterError, match=f"worker-1 ends as soon as it starts, with 1, see {tmp_path}/worker-1.log"):
        watch([service, worker])
    service.process.kill()
    service.process.wait()


def test_a_member_finds_its_environment_first_and_no_checkout(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/a/checkout")
    script = "import os, shutil; print(os.environ.get('PYTHONPATH'), shutil.which('python'), flush=True)"
    worker = member("worker-1", script, tmp_path)
    assert worker.process.wait() == 0
    assert worker.log.read_text() == f"None {Path(sys.executable).parent / 'python'}\n"
