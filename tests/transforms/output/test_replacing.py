"""An object is replaced only while it is what was seen, and every change gives it another version."""

import io
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from transforms.output import storage
from transforms.output.job import JobRecord, TakenOverError, read_job, update_job, write_job
from transforms.output.paths import JSON, Output


@pytest.fixture(params=["local", "gs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A directory, once locally and once on the emulator."""
    if request.param == "local":
        return str(tmp_path)
    emulator = request.getfixturevalue("emulator")
    return f"{emulator.bucket}/{re.sub(r'[^a-z0-9]+', '-', request.node.name.lower())}"


def test_only_what_was_seen_is_replaced(folder: str) -> None:
    uri = storage.join(folder, "a.json")
    nothing = storage.look_at(uri, 100)
    assert nothing.data is None
    assert storage.replace_seen(uri, b"first", JSON, nothing)
    assert not storage.replace_seen(uri, b"second", JSON, nothing)
    first = storage.look_at(uri, 100)
    assert first.data == b"first"
    storage.write(uri, b"third", JSON)
    assert not storage.replace_seen(uri, b"fourth", JSON, first)
    assert storage.read_bytes(uri) == b"third"
    assert storage.replace_seen(uri, b"fourth", JSON, storage.look_at(uri, 100))
    assert storage.read_bytes(uri) == b"fourth"


def test_what_is_looked_at_has_a_bound(folder: str) -> None:
    uri = storage.join(folder, "a.json")
    storage.write(uri, b"x" * 101, JSON)
    with pytest.raises(storage.StorageError, match="more than 100 bytes"):
        storage.look_at(uri, 100)


def test_no_increment_is_lost_among_threads(folder: str) -> None:
    uri = storage.join(folder, "count")

    def count() -> None:
        for _ in range(10):
            while True:
                seen = storage.look_at(uri, 100)
                if storage.replace_seen(uri, str(int(seen.data or 0) + 1).encode(), JSON, seen):
                    break

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert storage.read_bytes(uri) == b"40"


def test_a_file_is_written_as_a_whole(folder: str) -> None:
    uri = storage.join(folder, "a.bin")
    for size in (0, 10, 9 * 2**20):  # The last is uploaded in pieces.
        source = io.BytesIO(os.urandom(size))
        source.seek(size // 2)
        storage.write_file(uri, source, JSON)
        assert storage.read_bytes(uri) == source.getvalue()
    assert storage.version_of(uri).size_bytes == 9 * 2**20


def test_a_version_changes_with_what_is_written(folder: str) -> None:
    uri = storage.join(folder, "a.png")
    with pytest.raises(storage.NotFoundError):
        storage.version_of(uri)
    names = set()
    for number, data in enumerate([b"first", b"second", b"third!"]):
        storage.write(uri, data, JSON)
        if storage.is_local(uri):
            assert storage.version_of(uri).name is None, "it could still change within a tick of the clock"
            os.utime(uri, (1e9, 1e9 + number))
        version = storage.version_of(uri)
        assert version == storage.version_of(uri)
        assert version.size_bytes == len(data)
        names.add(version.name)
    assert len(names) == 3 and None not in names


def racing(monkeypatch: pytest.MonkeyPatch, other: Callable[[], object]) -> None:
    """Lets `other` happen between the look at job.json and its replacement, once."""
    replace, others = storage.replace_seen, [other]

    def late(*arguments: object) -> bool:
        if others:
            others.pop()()
        return replace(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(storage, "replace_seen", late)


def test_a_job_never_replaces_the_job_json_of_a_later_one(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output(folder)
    job = write_job(output, JobRecord(id="earlier", manifest="1.parquet"))
    later = JobRecord(id="later", manifest="2.parquet")
    racing(monkeypatch, lambda: storage.write(output.job, later.to_json(), JSON))
    with pytest.raises(TakenOverError, match=r"a later job, of 2\.parquet, has taken over"):
        update_job(output, job, runs=3)
    assert read_job(output) == later


def test_what_another_job_of_the_same_manifest_writes_is_no_obstacle(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(folder)
    job = write_job(output, JobRecord(id="mine"))
    racing(monkeypatch, lambda: storage.write(output.job, JobRecord(id="mine", runs=2).to_json(), JSON))
    assert update_job(output, job, runs=3) == read_job(output) == JobRecord(id="mine", runs=3)


def test_of_two_jobs_that_begin_at_once_the_second_sees_the_first(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output(folder)
    first, second = JobRecord(id="first"), JobRecord(id="second")
    racing(monkeypatch, lambda: storage.write(output.job, first.to_json(), JSON))
    seen: list[JobRecord | None] = []
    write_job(output, second, seen.append)
    assert seen == [None, first]
    assert read_job(output) == second


def test_a_reply_that_was_lost_is_no_other_job(emulator, quick_retries) -> None:
    output = Output(f"{emulator.bucket}/lost")
    job = write_job(output, JobRecord(id="mine"))
    with emulator.failing("lost", limit=1, only=lambda method, path: method == "POST") as faults:
        assert update_job(output, job, runs=3).runs == 3
    assert faults.count["lost"] == 1
    found = read_job(output)
    assert found is not None and found.runs == 3
