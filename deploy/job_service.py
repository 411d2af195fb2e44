"""Beam's portable job service for several workers: the work of a job is spread over worker pools behind one address.

Beam's own `local_job_service_main` asks for one worker a job. This service asks for as many as there are pools, and
`Dispatcher` is the one address of a job's environment: it starts each worker on the next pool that answers. A balancer
of TCP connections would not do, since gRPC sends everything that a process has for one address over one connection.

    python deploy/job_service.py --pool localhost:50001 --pool localhost:50002 --folder DIR
"""

import argparse
import contextlib
import itertools
import json
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc, beam_job_api_pb2, beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.portability.fn_api_runner.worker_handlers import ExternalWorkerHandler, WorkerHandler
from apache_beam.runners.portability.local_job_service import BeamJob, LocalJobServicer
from apache_beam.utils import thread_pool_executor

_ANSWER_SECS = 10.0
_CONNECT_SECS = 120.0


class Dispatcher(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Passes each request for a worker to the next of several pools that answers, and its end to the same pool.

    Args:
      pools: addresses of Beam's worker pools, `host:port`.
    """

    def __init__(self, pools: Sequence[str]) -> None:
        self._pools = tuple(pools)
        self._next = itertools.cycle(range(len(pools)))
        self._pool_of: dict[str, str] = {}  # By worker.
        self._lock = threading.Lock()

    def StartWorker(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """Starts a worker on the next pool that answers."""
        with self._lock:
            first = next(self._next)
        for pool in (*self._pools[first:], *self._pools[:first]):
            try:
                with grpc.insecure_channel(pool) as channel:
                    stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
                    response = stub.StartWorker(request, timeout=_ANSWER_SECS)
            except grpc.RpcError:
                continue  # A pool that has died.
            self._pool_of[request.worker_id] = pool
            return response
        return beam_fn_api_pb2.StartWorkerResponse(error=f"no worker pool answers at {', '.join(self._pools)}")

    def StopWorker(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Stops a worker on the pool that it was started on; nothing if that has died."""
        if pool := self._pool_of.pop(request.worker_id, None):
            with grpc.insecure_channel(pool) as channel:
                stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
                try:
                    return stub.StopWorker(request, timeout=_ANSWER_SECS + 10)  # It gives the process ten seconds.
                except grpc.RpcError:
                    pass
        return beam_fn_api_pb2.StopWorkerResponse()


@WorkerHandler.register_environment(common_urns.environments.EXTERNAL.urn, beam_runner_api_pb2.ExternalPayload)
class WatchedWorker(ExternalWorkerHandler):
    """A worker whose death is noticed, and that is stopped with its job.

    Beam's own notices a death only while it waits for data: a step that yields none would wait for ever, as it would
    for a worker that never connects. And it leaves a worker to itself, which computes on for a job that has failed.
    """

    def __init__(self, payload: Any, *others: Any) -> None:
        super().__init__(payload, *others)
        self._address = payload.endpoint.url
        self._is_over = threading.Event()

    def start_worker(self) -> None:
        super().start_worker()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        reading = self.control_conn._read_thread  # Begins when the worker connects, and ends when it is gone.
        deadline = time.monotonic() + _CONNECT_SECS
        while reading.is_alive() or (reading.ident is None and time.monotonic() < deadline):
            if self._is_over.wait(0.5):
                return
        died = RuntimeError("Channel closed prematurely.")
        silent = RuntimeError(f"Error starting worker: it has not connected within {_CONNECT_SECS:.0f} s")
        while not self._is_over.wait(0.5):  # What is asked of it later fails as well.
            with contextlib.suppress(RuntimeError):  # The requests changed meanwhile: next time.
                self.control_conn.abort(silent if reading.ident is None else died)

    def close(self) -> None:
        self._is_over.set()
        try:
            super().close()
        finally:
            self._stop()

    def _stop(self) -> None:
        with grpc.insecure_channel(self._address) as channel:
            stub = beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel)
            stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id=self.worker_id))


def job_type(workers: int) -> type:
    """Returns Beam's job as `LocalJobServicer` makes it, but computed by several workers."""

    class SpreadJob(BeamJob):
        def _invoke_runner(self) -> Any:
            self.set_state(beam_job_api_pb2.JobState.RUNNING)
            runner = FnApiRunner(provision_info=self._provision_info)
            # `--direct_num_workers` is heeded only for pipelines that the runner is given in its own process.
            runner._num_workers = workers
            return runner.run_via_runner_api(self._pipeline_proto, self.pipeline_options())

    return SpreadJob


@contextlib.contextmanager
def serving(pools: Sequence[str], staging: Path) -> Iterator[dict[str, str]]:
    """Serves jobs and dispatches workers on free ports of this machine.

    Args:
      pools: addresses of Beam's worker pools, `host:port`.
      staging: a folder for what jobs stage.

    Yields:
      The addresses of the job service ("jobs") and of the dispatcher ("workers").
    """
    service = LocalJobServicer(str(staging), beam_job_type=job_type(len(pools)))
    server = grpc.server(thread_pool_executor.shared_unbounded_instance())
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(Dispatcher(pools), server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield {"jobs": f"localhost:{service.start_grpc_server()}", "workers": f"localhost:{port}"}
    finally:
        service.stop()
        server.stop(None)


def main() -> None:
    """Serves until the process is ended."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pool", action="append", required=True, help="address of a worker pool; may be repeated")
    parser.add_argument("--folder", required=True, type=Path, help="addresses.json comes here once both answer")
    options = parser.parse_args()
    staging = options.folder / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    part = options.folder / "addresses.part"
    with serving(options.pool, staging) as addresses:
        part.write_text(json.dumps(addresses))
        part.rename(options.folder / "addresses.json")
        signal.pause()


if __name__ == "__main__":
    main()
