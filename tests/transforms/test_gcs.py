"""The same promises on Cloud Storage, against an emulator on loopback."""

import pytest
from conftest import TINY, metrics_of, write_manifest

from pipeline.run import run
from transforms import storage


@pytest.fixture
def bucket(emulator):
    return emulator.bucket


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
