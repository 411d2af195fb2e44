"""`stylebeam clean`: leftovers go, everything else stays, and nothing goes while a job runs."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from pipeline.clean import ATTEMPT, CHECKPOINT, PARTIAL, TEMPORARY, WEIGHTS, CleanError, clean
from pipeline.cli.main import main
from transforms.output import storage
from transforms.output.storage import NotFoundError

RUN_ID = "0123456789abcdef"
LEFTOVERS = {
    f"checkpoints/{RUN_ID}.npz": CHECKPOINT,
    f"checkpoints/{RUN_ID}.json": CHECKPOINT,
    f"partial/{RUN_ID}.png": PARTIAL,
    f"attempts/{RUN_ID}.json": ATTEMPT,
    f"attempts/batch-{RUN_ID}.json": ATTEMPT,
    f"weights/{'ab' * 32}.weights.h5": WEIGHTS,
}
TEMPORARIES = (
    *(".part-k3_x9a2b", "images/.part-a1b2c3d4", "gallery/data/.part-abcdefgh"),
    *(f"frames/{RUN_ID}/.part-a1b2c3d4", "measures/.part-a1b2c3d4"),
)
FOREIGN = ("checkpoints/epoch-3.npz", "partial/notes.txt", "weights/mine.h5", "images/part-1.png", "other/.part-a")


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")


def names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def describe(folder, **fields):
    job = json.loads((folder / "job.json").read_text())
    (folder / "job.json").write_text(json.dumps({**job, **fields}))


def unfinish(folder, **fields):
    """As if the job had been cut off just now, before its metrics."""
    shutil.rmtree(folder / "metrics")
    job = json.loads((folder / "job.json").read_text())
    del job["metrics_rows"]
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    (folder / "job.json").write_text(json.dumps({**job, "started": now, **fields}))


def test_the_network_that_measured_stays(small_output):
    describe(small_output, measures_sha256="cd" * 32)
    put(small_output, *(f"weights/{name * 32}.weights.h5" for name in ("ab", "cd")))
    removed = clean(str(small_output))
    assert [leftover.uri.rpartition("/")[2] for leftover in removed] == [f"{'ab' * 32}.weights.h5"]


def test_leftovers_go_and_everything_else_stays(small_output):
    put(small_output, *FOREIGN)
    before = names(small_output)
    put(small_output, *LEFTOVERS, *TEMPORARIES)
    assert len(before & {f"weights/{path.name}" for path in (small_output / "weights").iterdir()}) == 2
    removed = clean(str(small_output))
    assert {(os.path.relpath(item.uri, small_output), item.kind) for item in removed} == {
        *LEFTOVERS.items(),
        *((name, TEMPORARY) for name in TEMPORARIES),
    }
    assert {item.size_bytes for item in removed} == {5}
    assert names(small_output) == before
    assert clean(str(small_output)) == []


def test_dry_run_lists_and_removes_nothing(small_output, capsys):
    put(small_output, *LEFTOVERS)
    before = names(small_output)
    assert main(["clean", str(small_output), "--dry_run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line for line in lines if line.startswith("/")} == {f"{small_output}/{name}" for name in LEFTOVERS}
    assert lines[-5:] == [
        "2 checkpoints, 10 bytes",
        "2 attempts, 10 bytes",
        "1 partial picture, 5 bytes",
        "1 unused weights file, 5 bytes",
        "30 bytes would be freed; nothing is removed",
    ]
    assert names(small_output) == before
    assert main(["clean", str(small_output)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "30 bytes freed"
    assert main(["clean", str(small_output)]) == 0
    assert capsys.readouterr().out == "nothing to remove\n"


def test_a_job_that_seems_to_run_is_left_alone(small_output, capsys):
    put(small_output, *LEFTOVERS)
    unfinish(small_output, process=None)
    before = names(small_output)
    assert main(["clean", str(small_output)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "its job seems to be running" in error and "--force" in error
    assert names(small_output) == before
    # The weights are for the runs that are still missing.
    assert {item.kind for item in clean(str(small_output), force=True)} == {CHECKPOINT, PARTIAL, ATTEMPT}


def test_the_process_of_a_job_decides_on_its_machine(small_output):
    put(small_output, *LEFTOVERS)
    code = (
        "import json, sys; from pipeline.status.process import this_process; "
        "print(json.dumps(this_process()), flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        unfinish(small_output, process=json.loads(process.stdout.readline()))
        with pytest.raises(CleanError, match=f"its job is running, process {process.pid}: stop it first"):
            clean(str(small_output))
        describe(small_output, metrics_rows=6)
        with pytest.raises(CleanError, match="its job is running"):
            clean(str(small_output))
    finally:
        process.kill()
        process.communicate()
    # A moment later, and without waiting for the silence that elsewhere stands for the end.
    assert len(clean(str(small_output))) == len(LEFTOVERS)


def test_the_time_of_a_picture_that_waits_for_its_marker_stays(small_output):
    marker = next((small_output / "runs").iterdir())
    timing = f"checkpoints/{marker.stem}.json"
    put(small_output, timing)
    assert len(clean(str(small_output), dry_run=True)) == 1
    marker.unlink()
    assert clean(str(small_output)) == []
    assert timing in names(small_output)


def test_weights_stay_where_a_marker_cannot_be_read(small_output):
    put(small_output, *LEFTOVERS)
    for path in (small_output / "runs").iterdir():
        path.write_text("not JSON")
    assert {item.kind for item in clean(str(small_output))} == {CHECKPOINT, PARTIAL, ATTEMPT}


def test_what_is_no_output_directory_is_left_alone(tmp_path, capsys):
    with pytest.raises(NotFoundError, match="no such output directory"):
        clean(str(tmp_path / "missing"))
    put(tmp_path, *LEFTOVERS)
    for text in (None, "{}", "[1]", "{"):
        if text is not None:
            (tmp_path / "job.json").write_text(text)
        assert main(["clean", str(tmp_path), "--force"]) == 2
        assert "expected the record of a job" in capsys.readouterr().err
    assert set(LEFTOVERS) <= names(tmp_path)


def test_on_cloud_storage_too(emulator, small_output):
    for name in names(small_output):
        emulator.create(f"out/{name}", (small_output / name).read_bytes())
    before = set(emulator.objects("out/"))
    for name in LEFTOVERS:
        emulator.create(f"out/{name}")
    assert len(clean(storage.join(emulator.bucket, "out"))) == len(LEFTOVERS)
    assert set(emulator.objects("out/")) == before
