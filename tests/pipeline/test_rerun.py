"""A job over finished runs takes their records from the last metrics and decodes nothing, and is never wrong for it."""

import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.support.contract import violations
from tests.support.gcs_emulator import Emulator, put
from tests.support.inputs import TINY, write_manifest
from tests.support.jobs import run
from tests.support.outputs import metrics_of
from tests.support.paths import copied
from tests.support.pictures import paint
from transforms import probe
from transforms.output import commit
from transforms.output.facts import load_facts, save_facts, shard_of
from transforms.output.paths import Output

LONG_AGO = (1e9, 1e9)
RUNS = 4


@pytest.fixture(scope="module")
def known_job(finished_job: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Where a copy of `finished_job` stood when its images, painted long ago, became known, and a copy of that."""
    folder = copied(finished_job, tmp_path_factory.mktemp("known") / "job")
    for image in folder.glob("*.png"):
        os.utime(image, LONG_AGO)
    rerun(folder)
    return folder, copied(folder, folder.with_name("copy"))


@pytest.fixture
def job(known_job: tuple[Path, Path]) -> Path:
    """`known_job` as it was, in its place: images are known by their absolute paths."""
    folder, copy = known_job
    shutil.rmtree(folder)
    return copied(copy, folder)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts markers that are read and images that are decoded."""
    counts = Counter[str]()

    def counted(module: object, name: str) -> None:
        function = getattr(module, name)

        def call(*arguments: object) -> object:
            counts[name] += 1
            return function(*arguments)

        monkeypatch.setattr(module, name, call)

    counted(commit, "read_marker")
    counted(probe, "decode_image")
    return counts


def rerun(folder: Path, manifest: str = "manifest.parquet") -> int:
    """Runs a job again and returns how many runs it computed."""
    output = folder / "output"
    computed = run(["--manifest", str(folder / manifest), "--output", str(output)]).computed
    assert violations(output) == []
    return computed


def rows_by_markers(folder: Path, manifest: str = "manifest.parquet") -> list[dict]:
    """Returns the metrics rows of a job that finds no metrics."""
    shutil.rmtree(folder / "output" / "metrics")
    assert rerun(folder, manifest) == 0
    return metrics_of(folder / "output")


def test_a_job_with_nothing_to_do_reads_no_marker_and_decodes_no_image(job: Path, work: Counter[str]) -> None:
    before = metrics_of(job / "output")
    assert rerun(job) == 0
    assert work == {}
    assert metrics_of(job / "output") == before == rows_by_markers(job)
    assert work == {"read_marker": RUNS}


def test_rows_of_another_manifest_are_found_by_their_run(job: Path, work: Counter[str]) -> None:
    rows = pq.read_table(job / "manifest.parquet").to_pylist()
    changed = [{**row, "label": 100 + number, "new": "x"} for number, row in enumerate(reversed(rows))]
    pq.write_table(pa.Table.from_pylist(changed[:-1]), job / "other.parquet")
    assert rerun(job, "other.parquet") == 0
    assert work["read_marker"] == 0
    found = metrics_of(job / "output")
    assert [json.loads(row["extra"])["label"] for row in found] == [100, 101, 102, 103, 104]
    assert found == rows_by_markers(job, "other.parquet")
    # And back: one run was not in those metrics.
    work.clear()
    assert rerun(job) == 0
    assert work["read_marker"] <= 1
    assert metrics_of(job / "output") == rows_by_markers(job)


def test_a_picture_that_somebody_deleted_is_made_again(job: Path) -> None:
    row = metrics_of(job / "output")[2]
    (job / "output" / row["image"]).unlink()
    thumbnail = job / "output" / "thumbs" / f"{row['run_id']}.webp"
    thumbnail.write_bytes(b"of the old picture")
    assert rerun(job) == 1
    assert (job / "output" / row["image"]).exists()
    with Image.open(thumbnail) as made:
        assert made.format == "WEBP"
    assert len(metrics_of(job / "output")) == len(list((job / "output" / "runs").iterdir())) + 2


def test_metrics_that_are_older_than_a_marker_are_not_believed(job: Path) -> None:
    """As after a run that was deleted, computed again by a job that died before it wrote its metrics."""
    row = metrics_of(job / "output")[1]
    marker = job / "output" / "runs" / f"{row['run_id']}.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "seconds": 1234.5}))
    assert run(["--manifest", str(job / "manifest.parquet"), "--output", str(job / "output")]).computed == 0
    assert metrics_of(job / "output")[1]["seconds"] == 1234.5


@pytest.mark.parametrize("change", ["a column less", "damaged", "foreign rows"])
def test_metrics_of_no_use_are_replaced_by_markers(job: Path, work: Counter[str], change: str) -> None:
    before = metrics_of(job / "output")
    (path,) = (job / "output" / "metrics").iterdir()
    time.sleep(0.01)  # Newer than the markers by more than the tick of a disk's clock.
    table = pq.read_table(path)
    if change == "a column less":
        pq.write_table(table.drop_columns(["seconds"]), path)
    elif change == "damaged":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        column = pa.array([f"{number:016x}" for number in range(table.num_rows)])
        pq.write_table(table.set_column(1, table.schema.field(1), column), path)
    assert rerun(job) == 0
    assert work["read_marker"] == RUNS
    assert metrics_of(job / "output") == before


def test_an_image_that_changed_is_decoded_and_the_others_are_not(job: Path, work: Counter[str]) -> None:
    paint(job / "style_b.png", 60, 80, 9)
    os.utime(job / "style_b.png", (1e9 + 1, 1e9 + 1))
    assert rerun(job) == 2
    assert work["decode_image"] == 1
    assert rerun(job) == 0
    assert work["decode_image"] == 1


def test_a_false_fact_fails_its_rows_once(job: Path) -> None:
    output, uri = Output(str(job / "output")), str(job / "style_b.png")
    known = load_facts(output)[uri]
    false = "12" * 32
    save_facts(output, shard_of(uri), [known._replace(sha256=false)])
    Path(output.source(false)).write_bytes(b"")
    failed = run(["--manifest", str(job / "manifest.parquet"), "--output", output.root]).failed
    assert failed == {"ChangedError": 2, "NotFoundError": 1}
    assert rerun(job) == 0
    assert load_facts(output)[uri] == known


def test_a_rerun_on_cloud_storage_asks_for_no_run_and_for_no_image(emulator: Emulator, tmp_path: Path) -> None:
    paint(tmp_path / "content.png", 60, 80, 1)
    paint(tmp_path / "style.png", 64, 64, 3)
    rows = [{"content": "content.png", "style": "style.png", "config": {**TINY, "seed": seed}} for seed in range(2)]
    write_manifest(tmp_path / "m.parquet", rows)
    put(emulator, "in", tmp_path, "m.parquet", "content.png", "style.png")
    arguments = ["--manifest", "gs://bucket/in/m.parquet", "--output", "gs://bucket/out"]
    assert run(arguments).computed == 2
    of_runs = {*emulator.objects("out/runs/"), *emulator.objects("out/images/")}
    emulator.requests.clear()
    again = run(arguments)
    assert (again.done, again.computed) == (2, 0)
    assert len(of_runs) == 4
    assert [path for _, path in emulator.requests if any(name in path for name in of_runs)] == []
    assert [path for _, path in emulator.requests if ".png" in path and "alt=media" in path] == []
    # A new generation is another image, whatever its bytes.
    put(emulator, "in", tmp_path, "style.png")
    emulator.requests.clear()
    assert run(arguments).computed == 0
    assert len([path for _, path in emulator.requests if ".png" in path and "alt=media" in path]) == 1
