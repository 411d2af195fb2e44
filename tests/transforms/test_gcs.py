"""The same promises on Cloud Storage, against an emulator on loopback."""

import socket
import threading
from http import HTTPStatus

import pytest
from conftest import TINY, metrics_of, write_manifest

from pipeline.run import run
from transforms import storage

NotFound = pytest.importorskip("gcp_storage_emulator.exceptions").NotFound
emulator = pytest.importorskip("gcp_storage_emulator.server", reason="NOT RUN: gcp-storage-emulator is not installed")


@pytest.fixture(scope="module")
def bucket():
    """gs://bucket on an emulator that, unlike the package's own, honours if_generation_match=0."""
    from apache_beam.internal.gcp import auth
    from gcp_storage_emulator.handlers import objects

    patch = pytest.MonkeyPatch()
    original, checked = objects.insert, _with_precondition(objects.insert)
    for _, methods in emulator.HANDLERS:
        for verb in [verb for verb, handler in methods.items() if handler is original]:
            patch.setitem(methods, verb, checked)
    patch.setattr(objects, "insert", checked)
    # Otherwise Beam looks for credentials for half a minute.
    patch.setattr(auth._Credentials, "_credentials_init", True)
    patch.setattr(auth._Credentials, "_credentials", None)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    storage._gcs_client.cache_clear()
    server.start()
    yield "gs://bucket"
    server.stop()
    storage._gcs_client.cache_clear()
    patch.undo()


def _with_precondition(insert):
    lock = threading.Lock()

    def checked(request, response, objects, *args, **kwargs):
        meta = request.data.get("meta", {}) if isinstance(request.data, dict) else {}
        name = request.query.get("name", [meta.get("name")])[0]
        with lock:
            if request.query.get("ifGenerationMatch") == ["0"] and _has(objects, request.params["bucket_name"], name):
                response.status = HTTPStatus.PRECONDITION_FAILED
            else:
                insert(request, response, objects, *args, **kwargs)

    return checked


def _has(objects, bucket, name):
    try:
        return bool(objects.get_file_obj(bucket, name))
    except NotFound:
        return False


def test_write_once_keeps_the_first(bucket):
    uri = storage.join(bucket, "once", "object")
    assert storage.write_once(uri, b"first", "text/plain")
    assert not storage.write_once(uri, b"second", "text/plain")
    assert storage.read_bytes(uri) == b"first"
    assert storage.exists(uri)
    assert list(storage.list_names(storage.join(bucket, "once"))) == ["object"]
    storage.write(uri, b"third", "text/plain")
    assert storage.read_bytes(uri) == b"third"
    storage.delete(uri)
    assert not storage.exists(uri)


def test_a_missing_object_is_named(bucket):
    with pytest.raises(storage.NotFoundError, match=r"gs://bucket/nothing\.png: not found"):
        storage.read_bytes(storage.join(bucket, "nothing.png"))


def test_a_whole_job_and_its_rerun(bucket, inputs, tmp_path):
    rows = [{"content": "content.png", "style": "style_a.png", "config": {**TINY, "seed": seed}} for seed in (1, 2)]
    write_manifest(inputs / "m.parquet", [*rows, {**rows[0], "content": "missing.png"}])
    for name in ("m.parquet", "content.png", "style_a.png"):
        storage.write(storage.join(bucket, "in", name), (inputs / name).read_bytes(), "application/octet-stream")
    arguments = ["--manifest", storage.join(bucket, "in", "m.parquet"), "--output", storage.join(bucket, "out")]
    first, second = run(arguments), run(arguments)
    assert (first.done, first.computed, first.failed) == (2, 2, {"NotFoundError": 1})
    assert (second.done, second.computed) == (2, 0)
    (tmp_path / "copy" / "metrics").mkdir(parents=True)
    for name in storage.list_names(storage.join(bucket, "out", "metrics")):
        data = storage.read_bytes(storage.join(bucket, "out", "metrics", name))
        (tmp_path / "copy" / "metrics" / name).write_bytes(data)
    assert [row["status"] for row in metrics_of(tmp_path / "copy")] == ["done", "done", "failed"]
