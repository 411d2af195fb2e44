"""Whole objects or none, and exactly one winner."""

import os
import random
import threading

import pytest
from apache_beam.io.filesystem import BeamIOError, FileMetadata, MatchResult
from apache_beam.io.localfilesystem import LocalFileSystem

from transforms.output import storage


def test_write_once_keeps_the_first(tmp_path):
    uri = str(tmp_path / "new" / "object")
    assert storage.write_once(uri, b"first", "text/plain")
    assert not storage.write_once(uri, b"second", "text/plain")
    assert storage.read_bytes(uri) == b"first"


def test_of_many_writers_one_wins_and_readers_see_it_whole(tmp_path):
    uri = str(tmp_path / "object")
    payloads = [bytes([index]) * 100_000 for index in range(16)]
    won = []
    barrier = threading.Barrier(len(payloads))

    def compete(payload):
        barrier.wait()
        if storage.write_once(uri, payload, "text/plain"):
            won.append(payload)

    threads = [threading.Thread(target=compete, args=(payload,)) for payload in payloads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [storage.read_bytes(uri)]
    assert [path.name for path in tmp_path.iterdir()] == ["object"]


def test_write_replaces_and_leaves_no_part_behind(tmp_path):
    uri = str(tmp_path / "object")
    storage.write(uri, b"old", "text/plain")
    storage.write(uri, b"new", "text/plain")
    assert storage.read_bytes(uri) == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["object"]


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    uri = str(tmp_path / "object")
    storage.write(uri, b"old", "text/plain")

    def disk_full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(storage.StorageError, match="object: cannot write it: No space left on device"):
        storage.write(uri, b"new", "text/plain")
    assert storage.read_bytes(uri) == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["object"]


def test_errors_are_one_line_that_names_the_object(tmp_path):
    with pytest.raises(storage.NotFoundError, match="nothing: not found"):
        storage.read_bytes(str(tmp_path / "nothing"))
    with pytest.raises(storage.StorageError, match="not a regular file"):
        storage.read_bytes(str(tmp_path))
    (tmp_path / "large").write_bytes(b"x" * 11)
    with pytest.raises(storage.StorageError, match="more than 10 bytes"):
        storage.read_bytes(str(tmp_path / "large"), limit_bytes=10)


def test_a_pipe_does_not_block_the_reader(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(storage.StorageError, match="not a regular file"):
        storage.read_bytes(str(tmp_path / "pipe"))


def test_listing_and_deleting(tmp_path):
    assert list(storage.list_names(str(tmp_path / "nothing"))) == []
    for name in ("a.json", "b.json", "c.png"):
        storage.write(str(tmp_path / name), b"", "text/plain")
    assert sorted(storage.list_names(str(tmp_path), ".json")) == ["a.json", "b.json"]
    storage.delete(str(tmp_path / "a.json"))
    storage.delete(str(tmp_path / "a.json"))
    assert not storage.exists(str(tmp_path / "a.json"))


@pytest.mark.parametrize(
    ("directory", "uri", "expected"),
    [
        ("/data", "photo.png", "/data/photo.png"),
        ("/data/m", "../photo.png", "/data/photo.png"),
        ("/data", "/else/photo.png", "/else/photo.png"),
        ("/data", "gs://bucket/photo.png", "gs://bucket/photo.png"),
        ("gs://bucket/m", "photo.png", "gs://bucket/m/photo.png"),
        ("gs://bucket/m", "../in/./photo.png", "gs://bucket/in/photo.png"),
        ("gs://bucket/m", "../../../photo.png", "gs://bucket/photo.png"),
        ("gs://bucket", "photo.png", "gs://bucket/photo.png"),
        (".", "photo.png", "photo.png"),
    ],
)
def test_relative_uris(directory, uri, expected):
    assert storage.resolve(directory, uri) == expected


class Flaky(LocalFileSystem):
    """Another of Beam's file systems: flaky:///path is /path, and any operation fails once in four times."""

    random = random.Random(1)
    faults = 0

    @classmethod
    def scheme(cls):
        return "flaky"

    def _do(self, operation, path, *arguments, **options):
        if self.random.random() < 0.25:
            Flaky.faults += 1
            raise BeamIOError("Operation failed", {path: ConnectionResetError(104, "Connection reset by peer")})
        here = path.removeprefix("flaky://")
        return getattr(LocalFileSystem(None), operation)(
            [here] if operation in ("delete", "match") else here, *arguments, **options
        )

    def open(self, path, *arguments, **options):
        return self._do("open", path, *arguments, **options)

    def create(self, path, *arguments, **options):
        return self._do("create", path, *arguments, **options)

    def exists(self, path):
        return self._do("exists", path)

    def delete(self, paths):
        for path in paths:
            self._do("delete", path)

    def match(self, patterns, limits=None):
        (result,) = self._do("match", patterns[0])
        found = [FileMetadata(f"flaky://{m.path}", m.size_in_bytes) for m in result.metadata_list]
        return [MatchResult(patterns[0], found)]


def test_other_file_systems_that_beam_knows_are_retried_too(tmp_path, quick_retries):
    directory = f"flaky://{tmp_path}"
    uri = storage.join(directory, "object")
    storage.check_scheme(uri)
    assert storage.write_once(uri, b"first", "text/plain")
    assert not storage.write_once(uri, b"second", "text/plain")
    storage.write(storage.join(directory, "other"), b"x", "text/plain")
    assert sorted(storage.list_names(directory)) == ["object", "other"]
    assert storage.match(storage.join(directory, "x*")) == []
    assert storage.match(storage.join(directory, "ob*")) == [uri]
    assert storage.read_bytes(uri) == b"first"
    with pytest.raises(storage.StorageError, match="object: more than 4 bytes"):
        storage.read_bytes(uri, limit_bytes=4)
    storage.delete(uri)
    storage.delete(uri)
    assert not storage.exists(uri)
    with pytest.raises(storage.NotFoundError, match="object: not found"):
        storage.read_bytes(uri)
    assert Flaky.faults > 3


class ForeignError(Exception):
    """As libraries of other clouds have them: no OSError, with a status."""

    def __init__(self, code):
        super().__init__("the cloud says no")
        self.code = code


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (404, storage.NotFoundError, "object: not found"),
        (403, storage.ForbiddenError, "object: cannot read it: 403: the cloud says no"),
        (400, storage.StorageError, "object: cannot read it: 400: the cloud says no"),
    ],
)
def test_errors_of_other_file_systems_are_told_apart_too(monkeypatch, code, kind, message):
    def refuse(*_, **__):
        raise ForeignError(code)

    monkeypatch.setattr(Flaky, "open", refuse)
    with pytest.raises(storage.StorageError, match=f"^flaky:///{message}$") as caught:
        storage.read_bytes("flaky:///object")
    assert type(caught.value) is kind


def test_unknown_schemes_are_refused():
    with pytest.raises(ValueError, match="no file system for ftp://"):
        storage.check_scheme("ftp://host/object")
    storage.check_scheme("gs://bucket/object")
    storage.check_scheme("a:b/c.png")
