"""The same promises on Cloud Storage, against an emulator on loopback that fails in every way it can."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from transforms.output import gcs as cloud_storage
from transforms.output import storage
from transforms.output.paths import PNG

EVERY_KIND = (408, 429, 500, 502, 503, 504, "reset", "lost", "cut")
MEBIBYTE = 2**20


@pytest.fixture
def folder(emulator, request):
    # Brackets would be a pattern.
    return storage.join(emulator.bucket, re.sub(r"\W", "_", request.node.name))


@pytest.fixture
def uri(folder):
    return storage.join(folder, "object")


def name_of(uri):
    return uri.removeprefix("gs://bucket/")


def test_write_once_keeps_the_first(uri, folder):
    assert storage.write_once(uri, b"first", "text/plain")
    assert not storage.write_once(uri, b"second", "text/plain")
    assert storage.read_bytes(uri) == b"first"
    assert storage.exists(uri)
    assert list(storage.list_names(folder)) == ["object"]
    storage.write(uri, b"third", "text/plain")
    assert storage.read_bytes(uri) == b"third"
    storage.delete(uri)
    storage.delete(uri)
    assert not storage.exists(uri)


def test_objects_have_their_content_type(emulator, uri):
    storage.write(uri, b"picture", PNG)
    (found,) = emulator.objects(name_of(uri)).values()
    assert (found["contentType"], found["size"]) == (PNG, "7")


def test_what_arrives_damaged_is_refused(emulator, uri):
    with emulator.failing("damaged"), pytest.raises(storage.StorageError, match="400: Provided CRC32C"):
        storage.write_once(uri, b"good picture", PNG)
    assert not storage.exists(uri)


@pytest.mark.parametrize("data", [b"", b"x" * 10], ids=["empty", "ten bytes"])
def test_reading_is_limited(uri, data):
    storage.write(uri, data, "text/plain")
    assert storage.read_bytes(uri) == storage.read_bytes(uri, limit_bytes=10) == data
    if data:
        with pytest.raises(storage.StorageError, match="object: more than 9 bytes"):
            storage.read_bytes(uri, limit_bytes=9)


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_transient_errors_are_waited_out_in_every_operation(emulator, uri, folder, kind, quick_retries):
    operations = [
        lambda: storage.write(uri, b"data", "text/plain"),
        lambda: storage.read_bytes(uri),
        lambda: storage.read_bytes(uri, limit_bytes=100),
        lambda: storage.exists(uri),
        lambda: list(storage.list_names(folder)),
        lambda: storage.match(storage.join(folder, "*")),
        lambda: storage.delete(uri),
    ]
    expected = [None, b"data", b"data", True, ["object"], [uri], None]
    returned = []
    for operation in operations:
        with emulator.failing(kind, limit=3) as faults:
            returned.append(operation())
        assert faults.count[kind] == 3
    assert returned == expected


def test_patience_ends(emulator, uri, quick_retries, monkeypatch):
    for policy in (cloud_storage.DEFAULT_RETRY, cloud_storage.RETRY):  # type: ignore[attr-defined]
        monkeypatch.setattr(policy, "_timeout", 0.2)
    with (
        emulator.failing(503),
        pytest.raises(storage.StorageError, match=r"/object: cannot write it: gave up .*503: .*Service Unavailable$"),
    ):
        storage.write(uri, b"", "text/plain")


@pytest.mark.parametrize("size_bytes", [5, 20 * MEBIBYTE], ids=["one request", "resumable"])
def test_an_upload_whose_reply_was_lost_stands(emulator, uri, size_bytes, quick_retries):
    data = bytes(size_bytes)
    last = (lambda _, path: "upload_id" in path) if size_bytes > 8 * MEBIBYTE else (lambda *_: True)
    with emulator.failing("lost", limit=1, only=last) as faults:
        # The second attempt finds what the first one made: there is one, by whomever.
        assert not storage.write_once(uri, data, "text/plain")
    assert faults.count["lost"] == 1
    assert storage.read_bytes(uri) == data


def test_large_objects_are_uploaded_in_parts_that_are_sent_again(emulator, uri, quick_retries):
    data = bytes(range(256)) * 4096 * 20
    with emulator.failing(503, "reset", share=0.3, seed=1, only=lambda _, path: "uploadType" in path) as faults:
        assert storage.write_once(uri, data, "application/x-hdf5")
    assert faults.count.total() > 0
    assert storage.read_bytes(uri) == data
    assert emulator.objects(name_of(uri))[name_of(uri)]["contentType"] == "application/x-hdf5"
    assert not storage.write_once(uri, data[::-1], "application/x-hdf5")
    assert storage.read_bytes(uri) == data


def test_a_large_upload_that_is_overtaken_loses(emulator, uri):
    def overtake(_, path):
        if "upload_id" in path:
            emulator.create(name_of(uri), b"small")
        return False

    with emulator.failing(503, only=overtake):
        assert not storage.write_once(uri, bytes(9 * MEBIBYTE), "text/plain")
    assert storage.read_bytes(uri) == b"small"


def test_of_many_writers_one_wins_and_readers_see_it_whole(emulator, uri):
    payloads = [bytes([index]) * 100_000 for index in range(16)]
    won, seen, ready = [], [], threading.Barrier(2 * len(payloads))

    def compete(payload):
        ready.wait()
        if storage.write_once(uri, payload, "text/plain"):
            won.append(payload)

    def look():
        ready.wait()
        for _ in range(3):
            try:
                seen.append(storage.read_bytes(uri))
            except storage.NotFoundError:
                continue

    threads = [threading.Thread(target=compete, args=(payload,)) for payload in payloads]
    threads += [threading.Thread(target=look) for _ in payloads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [storage.read_bytes(uri)]
    assert set(seen) <= set(won)


def test_many_threads_keep_their_connections(folder, caplog):
    uris = [storage.join(folder, str(index)) for index in range(100)]
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda uri: storage.write(uri, b"x", "text/plain"), uris))
    assert "pool is full" not in caplog.text


def test_a_missing_object_is_named(folder):
    with pytest.raises(storage.NotFoundError, match=r"/nothing\.png: not found$"):
        storage.read_bytes(storage.join(folder, "nothing.png"))
    assert list(storage.list_names(folder)) == []


def test_a_missing_bucket_is_told_from_a_missing_object():
    with pytest.raises(storage.StorageError, match=r"^gs://nowhere/object: cannot write it: 404: The specified bucket"):
        storage.write("gs://nowhere/object", b"", "text/plain")
    with pytest.raises(
        storage.StorageError, match=r"^gs://nowhere/folder: cannot list it: 404: The specified bucket does"
    ):
        list(storage.list_names("gs://nowhere/folder"))


@pytest.mark.parametrize(
    ("verb", "operation"),
    [
        ("read", storage.read_bytes),
        ("look for", storage.exists),
        ("list", storage.match),
        ("list", lambda uri: list(storage.list_names(uri))),
        ("write", lambda uri: storage.write(uri, b"", "text/plain")),
        ("write", lambda uri: storage.write_once(uri, b"", "text/plain")),
        ("delete", storage.delete),
    ],
)
def test_what_is_forbidden_is_said_at_once_in_one_line(emulator, verb, operation):
    before = len(emulator.requests)
    with pytest.raises(
        storage.ForbiddenError, match=rf"^gs://forbidden/a: cannot {verb} it: 403: injected: Forbidden$"
    ):
        operation("gs://forbidden/a")
    assert len(emulator.requests) == before + 1


def test_a_directory_may_be_called_like_a_pattern(emulator):
    for name in ("a[1]/x", "a1/y", "a*/z", "a[1]/below/w"):
        storage.write(storage.join(emulator.bucket, name), b"12", "text/plain")
    assert list(storage.list_names("gs://bucket/a[1]")) == ["x"]
    (found,) = storage.list_objects("gs://bucket/a*/")
    assert (found.name, found.size_bytes) == ("z", 2)


def test_five_thousand_objects_are_listed_over_several_pages(emulator, folder, quick_retries):
    for index in range(5000):
        emulator.create(name_of(f"{folder}/{index:016x}.json"))
    emulator.create(name_of(f"{folder}/other.txt"))
    with emulator.failing(503, "cut", share=0.5, seed=3) as faults:
        names = list(storage.list_names(folder, ".json"))
    assert faults.count.total() > 0
    assert sorted(names) == [f"{index:016x}.json" for index in range(5000)]


@pytest.mark.parametrize("operation", [storage.read_bytes, storage.exists, storage.delete])
def test_an_operation_is_one_request(emulator, uri, operation):
    storage.write(uri, b"data", "text/plain")
    before = len(emulator.requests)
    operation(uri)
    assert len(emulator.requests) == before + 1
