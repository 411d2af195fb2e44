"""Beam's words for a lost process, as they arrive, in ours."""

import socket
import threading

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc

from pipeline.beam_options import parse_options
from pipeline.cli.main import main
from pipeline.lost import lost_part
from tests.support.inputs import write_manifest

OPTIONS = parse_options(
    [
        "--runner=PortableRunner",
        "--job_endpoint=jobs:1",
        "--environment_type=EXTERNAL",
        "--environment_config=workers:2",
    ]
)
TRACEBACK = 'Pipeline job-1 failed in state FAILED: Traceback (most recent call last):\n  File "x.py", line 594\n'


def unanswered():
    """What gRPC raises where nobody listens."""
    with socket.create_server(("localhost", 0)) as server:
        address = f"localhost:{server.getsockname()[1]}"
    with grpc.insecure_channel(address) as channel:
        stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.StartWorker(beam_fn_api_pb2.StartWorkerRequest(), timeout=10)
    return caught.value


def remote(error):
    """An error as the job service passes it on: a traceback in a RuntimeError."""
    return RuntimeError(f"{TRACEBACK}{type(error).__module__}.{type(error).__name__}: {error}\n")


def test_a_worker_that_died():
    for error in (
        RuntimeError("Channel closed prematurely."),
        RuntimeError(f"{TRACEBACK}RuntimeError: Channel closed prematurely.\n"),
        RuntimeError("Worker subprocess exited with return code -9"),
    ):
        assert lost_part(error, OPTIONS) == "a worker's process has died"


def test_a_worker_that_does_not_start():
    error = RuntimeError(f"{TRACEBACK}RuntimeError: Error starting worker: no worker pool answers\nat a:1\n")
    assert lost_part(error, OPTIONS) == "no worker starts at workers:2: no worker pool answers at a:1"


def test_nobody_answers():
    assert lost_part(remote(unanswered()), OPTIONS) == "no worker answers at workers:2"
    assert lost_part(unanswered(), OPTIONS) == "the job service at jobs:1 has ended"
    assert lost_part(grpc.FutureTimeoutError(), OPTIONS) == "no job service answers at jobs:1"


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Channel closed prematurely."),
        RuntimeError("no picture"),
        RuntimeError(""),
        RuntimeError(f"{TRACEBACK}ValueError: he said: Channel closed prematurely. So it was\n"),
        RuntimeError(f"{TRACEBACK}transforms.output.storage.StorageError: gs://b/o: cannot read it: 503\n"),
    ],
)
def test_other_errors_are_none_of_these(error):
    assert lost_part(error, OPTIONS) is None


def test_a_job_whose_service_does_not_answer_ends_with_one_line(inputs, capfd):
    manifest = write_manifest(inputs / "m.parquet", [{"content": "content.png", "style": "style_a.png"}])
    with socket.create_server(("localhost", 0)) as deaf:
        jobs = f"localhost:{deaf.getsockname()[1]}"
        threading.Thread(target=deaf.accept, daemon=True).start()
        arguments = ["--manifest", manifest, "--output", str(inputs / "out it"), "--runner=PortableRunner"]
        arguments += ["--job_server_timeout=1", f"--job_endpoint={jobs}", "--environment_type=EXTERNAL"]
        assert main(["run", *arguments, "--environment_config=localhost:1"]) == 1
    line = capfd.readouterr().err.splitlines()[-1]
    assert line.startswith(f"stylebeam: no job service answers at {jobs}; what is finished is kept, this goes on from")
    assert f"there: stylebeam run --manifest {manifest} --output '{inputs / 'out it'}' --runner=PortableRunner" in line
