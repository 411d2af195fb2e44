"""One address for several worker pools: each worker on the next pool that answers, and its end on the same."""

import contextlib
import socket
from types import SimpleNamespace

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2, beam_fn_api_pb2_grpc
from apache_beam.utils import thread_pool_executor

from deploy.job_service import Dispatcher


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
    """Notes what it is asked for."""

    def __init__(self):
        self.started, self.stopped = [], []

    def StartWorker(self, request, context):  # noqa: N802 - gRPC's name
        self.started.append(request.worker_id)
        return beam_fn_api_pb2.StartWorkerResponse()

    def StopWorker(self, request, context):  # noqa: N802
        self.stopped.append(request.worker_id)
        return beam_fn_api_pb2.StopWorkerResponse()


@contextlib.contextmanager
def served(servicer):
    server = grpc.server(thread_pool_executor.shared_unbounded_instance())
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(servicer, server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None)


def nobody():
    with socket.create_server(("localhost", 0)) as server:
        return f"localhost:{server.getsockname()[1]}"


@pytest.fixture
def cluster():
    """Two pools, an address between them where nobody answers, and a stub of what dispatches to them."""
    with contextlib.ExitStack() as stack:
        pools = [Pool(), Pool()]
        first, second = (stack.enter_context(served(pool)) for pool in pools)
        address = stack.enter_context(served(Dispatcher([first, nobody(), second])))
        channel = stack.enter_context(grpc.insecure_channel(address))
        yield SimpleNamespace(pools=pools, stub=beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel))


def start(cluster, *names):
    for name in names:
        assert cluster.stub.StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id=name)).error == ""


def test_workers_go_round_and_past_the_dead(cluster):
    start(cluster, "a", "b", "c", "d")
    assert [pool.started for pool in cluster.pools] == [["a", "d"], ["b", "c"]]


def test_a_worker_is_stopped_where_it_was_started(cluster):
    start(cluster, "a", "b")
    for name in ("b", "a", "unknown", "a"):
        cluster.stub.StopWorker(beam_fn_api_pb2.StopWorkerRequest(worker_id=name))
    assert [pool.stopped for pool in cluster.pools] == [["a"], ["b"]]


def test_nobody_answers():
    pools = [nobody(), nobody()]
    response = Dispatcher(pools).StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id="a"), None)
    assert response.error == f"no worker pool answers at {pools[0]}, {pools[1]}"
