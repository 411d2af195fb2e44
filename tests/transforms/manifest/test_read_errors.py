"""Damage of a manifest fails the rows that it hits; a storage that does not answer fails none, and stops the job."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline

from stylecore.networks.precision import Arithmetic
from tests.support.inputs import GOOD_ROW, write_rows
from transforms.manifest.files import ManifestError, open_manifest, read_slice
from transforms.manifest.networks import distinct_backbones
from transforms.manifest.read import ParseRows, ReadManifest
from transforms.output import gcs, storage
from transforms.records import ImageFacts, Reason
from transforms.resolve import resolve_run

ROWS, ROWS_PER_GROUP = 20, 10


def manifest_bytes(folder, config=None, **options):
    rows = [{**GOOD_ROW, "content": f"photograph-{index:04d}.png", "config": config} for index in range(ROWS)]
    path = write_rows(folder / "sound.parquet", rows, row_group_size=ROWS_PER_GROUP, **options)
    return Path(path).read_bytes()


def with_damaged_pages(data, first=b"photograph-0010", before=40, size=60):
    """Returns the manifest with bytes around a value, which must be written plain, overwritten."""
    start = data.index(first) - before
    return data[:start] + b"\xff" * size + data[start + size :]


@pytest.fixture(params=["local", "gs"])
def place(request, tmp_path):
    """Returns a function that stores bytes as m.parquet and returns the URI, once locally, once on the emulator."""
    if request.param == "local":
        uri = str(tmp_path / "m.parquet")
        return lambda data: Path(uri).write_bytes(data) and uri
    server = request.getfixturevalue("emulator")
    name = re.sub(r"\W", "_", request.node.name)
    return lambda data: server.create(f"{name}/m.parquet", data) or f"gs://bucket/{name}/m.parquet"


def parsed(uri):
    """Returns the rows, and (row number, row values, Failure) of the others."""
    elements = [element for part in open_manifest(uri).slices for element in ParseRows().process(part)]
    failed = [element.value for element in elements if isinstance(element, beam.pvalue.TaggedOutput)]
    return [element for element in elements if not isinstance(element, beam.pvalue.TaggedOutput)], failed


PLAIN = {"compression": "none", "use_dictionary": False}
DAMAGE: dict[str, tuple[dict[str, Any], Callable[[bytes], bytes], range]] = {
    # pyarrow reports this one as an OSError.
    "compressed page": ({"compression": "gzip"}, lambda data: data[:4] + b"\xff" * 200 + data[204:], range(10)),
    "page header": (PLAIN, with_damaged_pages, range(10, 20)),
    "text that is not UTF-8": (
        PLAIN,
        lambda data: with_damaged_pages(data, b"photograph-0015", before=0, size=3),
        range(10, 20),
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_fails_the_rows_of_its_row_group_each_under_its_own_id(tmp_path, place, name):
    options, damage, expected = DAMAGE[name]
    uri = place(damage(manifest_bytes(tmp_path, **options)))
    rows, failed = parsed(uri)
    assert [number for number, _, _ in failed] == list(expected)
    assert sorted([row.number for row in rows] + list(expected)) == list(range(ROWS))
    assert {failure.reason.error_type for _, _, failure in failed} == {"ManifestError"}
    ids = [failure.id for _, _, failure in failed]
    assert len(set(ids)) == ROWS_PER_GROUP
    # A rerun renews the same records.
    assert [failure.id for _, _, failure in parsed(uri)[1]] == ids


def test_a_file_that_vanishes_fails_no_row(tmp_path, place):
    opened = open_manifest(place(manifest_bytes(tmp_path)))
    (uri,) = opened.files
    storage.delete(uri)
    with pytest.raises(storage.StorageError, match=f"^{re.escape(uri)}: ") as error:
        list(ParseRows().process(opened.slices[1]))
    assert "\n" not in str(error.value)
    with pytest.raises(storage.StorageError):
        distinct_backbones(opened)


def media_only(method, path):
    return method == "GET" and "alt=media" in path


@pytest.mark.parametrize("kind", [429, 503, "reset", "cut"])
def test_a_transient_error_is_waited_out(tmp_path, emulator, quick_retries, kind):
    emulator.create("transient/m.parquet", manifest_bytes(tmp_path))
    opened = open_manifest("gs://bucket/transient/m.parquet")
    with emulator.failing(kind, limit=2, only=media_only) as faults:
        values = list(read_slice(opened.slices[1]))
    assert faults.count[kind] == 2
    assert [value["content"] for value in values] == [f"photograph-{index:04d}.png" for index in range(10, 20)]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (403, "cannot read it: 403: .*injected: Forbidden"),
        (503, "cannot read it: gave up .*503: .*Service Unavailable"),
        ("reset", "cannot read it: gave up .*Connection"),
        ("cut", "cannot read it: gave up .*Connection"),
    ],
)
def test_an_error_that_stays_fails_no_row(tmp_path, emulator, quick_retries, monkeypatch, kind, message):
    monkeypatch.setattr(gcs.RETRY, "_timeout", 0.2)
    emulator.create("stays/m.parquet", manifest_bytes(tmp_path))
    opened = open_manifest("gs://bucket/stays/m.parquet")
    with emulator.failing(kind, only=media_only):
        for read in (lambda: list(ParseRows().process(opened.slices[0])), lambda: distinct_backbones(opened)):
            with pytest.raises(storage.StorageError, match=rf"^gs://bucket/stays/m\.parquet: {message}") as error:
                read()
            assert "\n" not in str(error.value)
        with pytest.raises(storage.StorageError, match="cannot read it"):
            open_manifest("gs://bucket/stays/m.parquet")


def test_the_job_stops_with_the_error_of_the_storage(tmp_path, emulator):
    emulator.create("job/m.parquet", manifest_bytes(tmp_path))
    opened = open_manifest("gs://bucket/job/m.parquet")
    with (
        emulator.failing(403, only=media_only),
        pytest.raises(storage.StorageError, match=r"^gs://bucket/job/m\.parquet: cannot read it: 403"),
        TestPipeline() as pipeline,
    ):
        _ = pipeline | ReadManifest(opened)


def test_a_row_that_was_damaged_when_the_weights_were_looked_for_fails_with_its_reason(tmp_path):
    path = tmp_path / "m.parquet"
    sound = manifest_bytes(tmp_path, json.dumps({"backbone": "vgg16", "weights": "random:3"}), **PLAIN)
    damaged = with_damaged_pages(sound, b'{"backbone"')
    path.write_bytes(damaged)
    opened = open_manifest(str(path))
    with pytest.raises(ManifestError):
        list(read_slice(opened.slices[0]))
    opened = type(opened)(opened.uri, opened.files, opened.slices[:1])
    assert distinct_backbones(opened) == set()
    path.write_bytes(sound)
    row, *_ = ParseRows().process(opened.slices[0])
    facts = {uri: ImageFacts("0" * 64, 60, 80) for uri in row.image_uris()}
    reason = resolve_run(row, facts, {}, Arithmetic("any"))
    assert isinstance(reason, Reason)
    assert reason.error_type == "UnknownWeights"
    assert reason.error_message == (
        f"{path}, row 0: config: vgg16 with weights 'random:3': "
        "not in the manifest when the job began; run the same command again"
    )
