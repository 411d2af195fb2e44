"""A cluster as `make cluster` starts it, and a job that loses its worker; `make faults` has two of them."""

import os
import shlex
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apache_beam as beam
import pytest

from deploy.cluster import ClusterError, Member, addresses_of, job_command, running, watch
from pipeline.beam_options import parse_options, workers_are_here
from pipeline.cli.main import main
from pipeline.lost import lost_part
from tests.faults.cluster import GOES_ON, children
from tests.faults.jobs import finished, keeps_the_contract, pictures, write_grid
from tests.support.jobs import run


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory):
    """The addresses of a cluster of one worker, and the worker."""
    with running(tmp_path_factory.mktemp("cluster"), 1) as (addresses, (_, worker)):
        yield addresses, worker


def kill_once_a_run_is_done(worker, output):
    """Kills what the worker's pool has started, in the middle of its work."""
    deadline = time.monotonic() + 120
    while not finished(output) and time.monotonic() < deadline:
        time.sleep(0.01)
    for number in children(worker.process.pid):
        os.kill(number, signal.SIGKILL)


@pytest.mark.slow
def test_a_job_that_loses_its_worker_is_completed_by_the_command_that_it_names(one_worker, tmp_path, capsys):
    addresses, worker = one_worker
    manifest, output = write_grid(tmp_path, seeds=1, iterations=60), tmp_path / "out"
    options = ["--batch_size=1", "--deterministic", "--dataset=none"]
    command = shlex.split(job_command(str(manifest), str(output), addresses, 1))
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_once_a_run_is_done, worker, output)
        assert main([*command[1:], *options]) == 1
        killing.result()
    said, kept = capsys.readouterr().err, finished(output)
    goes_on = GOES_ON.fullmatch(said.strip().splitlines()[-1])
    assert goes_on is not None and "Traceback" not in said
    assert 0 < len(kept) < 4
    assert main(shlex.split(goes_on[1])[1:]) == 0
    assert kept.items() <= finished(output).items()
    assert keeps_the_contract(output, killed=True)
    assert run(["--manifest", str(manifest), "--output", str(tmp_path / "direct"), *options]).computed == 4
    assert pictures(output) == pictures(tmp_path / "direct")


def test_a_worker_that_dies_in_a_step_without_output_ends_the_job(one_worker):
    """Beam's own service would wait for ever."""
    words = job_command("m.parquet", "out", one_worker[0], 1).split()
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
