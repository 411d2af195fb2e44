"""Whole objects or none, and exactly one winner."""

import os
import threading

import pytest
from apache_beam.io.filesystems import FileSystems

from tests.support.file_systems import Counting
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


@pytest.mark.parametrize(
    "operation",
    [
        storage.read_bytes,
        storage.read_json_object,
        storage.open_binary,
        storage.exists,
        storage.match,
        storage.delete,
        lambda uri: list(storage.list_names(uri)),
        lambda uri: list(storage.list_objects(uri)),
        lambda uri: storage.write(uri, b"", "text/plain"),
        lambda uri: storage.write_once(uri, b"", "text/plain"),
    ],
)
def test_no_other_file_system_is_ever_asked(operation):
    assert type(FileSystems.get_filesystem("counting://host/object")) is Counting, "Beam would use it"
    Counting.calls = 0
    with pytest.raises(storage.StorageError, match="no file system for counting://, use a path or gs://"):
        operation("counting://host/object")
    assert Counting.calls == 0


def test_other_schemes_are_refused():
    for uri in ("ftp://host/object", "counting://host/object", "http://host/"):
        with pytest.raises(ValueError, match=f"no file system for {uri.partition(':')[0]}://"):
            storage.check_scheme(uri)
    storage.check_scheme("gs://bucket/object")
    storage.check_scheme("a:b/c.png")


def test_a_glob_stays_within_its_directory_unless_two_stars_say_so(tmp_path):
    for name in ("a.parquet", ".b.parquet", "c.json", "deep/d.parquet", "deep/er/e.parquet", "[x].parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    root = str(tmp_path)

    def found(pattern):
        return [path.removeprefix(f"{root}/") for path in storage.match(f"{root}/{pattern}")]

    assert found("*.parquet") == [".b.parquet", "[x].parquet", "a.parquet"]
    assert found("*/*.parquet") == ["deep/d.parquet"]
    assert found("**/e.parquet") == ["deep/er/e.parquet"]
    assert found("?.json") == ["c.json"]
    assert found("[x].parquet") == ["[x].parquet"], "a path that exists is itself"
    assert found("deep") == [] and found("nothing*") == []


def test_a_json_object_or_nothing(tmp_path):
    uri = str(tmp_path / "object.json")
    assert storage.read_json_object(uri) is None
    for text, value in (('{"a": 1}', {"a": 1}), ("[1]", None), ("{", None), ("\xff", None), ("[" * 100_000, None)):
        (tmp_path / "object.json").write_text(text, encoding="latin-1")
        assert storage.read_json_object(uri) == value
    with pytest.raises(storage.StorageError, match="more than 10 bytes"):
        storage.read_json_object(uri, 10)
