"""Whole jobs with manifest, images, weights and output on Cloud Storage, and all that can go wrong there."""

import json
import re
import time

import pytest

from pipeline.cli.main import main
from pipeline.status.reader import FINISHED, STOPPED, StatusReader
from stylecore.networks.weights.sources import load_weights
from tests.support.gcs_emulator import put
from tests.support.inputs import TINY, write_manifest
from tests.support.jobs import run
from tests.support.outputs import metrics_of
from tests.support.pictures import paint
from tests.support.processes import STYLEBEAM, Process
from transforms.output import storage
from transforms.output.published_weights import network_bytes

RUNS = 4
CONTENT_TYPES = {
    "images": "image/png",
    "thumbs": "image/webp",
    "sources": "image/webp",
    "runs": "application/json",
    "measures": "application/json",
    "failures": "application/json",
    "metrics": "application/vnd.apache.parquet",
    "weights": "application/x-hdf5",
    "job.json": "application/json",
}


@pytest.fixture(scope="module")
def manifest(emulator, tmp_path_factory):
    """gs://bucket/in/m.parquet: four good runs, a missing image and one that may not be read; weights beside it."""
    folder = tmp_path_factory.mktemp("in")
    paint(folder / "content.png", 60, 80, 1)
    paint(folder / "style.png", 64, 64, 3)
    (folder / "net.weights.h5").write_bytes(network_bytes(load_weights("vgg19", "random:1").network))
    config = {**TINY, "weights": "net.weights.h5"}
    row = {"content": "content.png", "style": "style.png"}
    rows = [{**row, "config": {**config, "seed": seed}} for seed in range(RUNS)]
    rows += [{**rows[0], "content": "missing.png"}, {**rows[0], "style": "gs://forbidden/style.png"}]
    write_manifest(folder / "m.parquet", rows)
    put(emulator, "in", folder, "m.parquet", "content.png", "style.png", "net.weights.h5")
    return "gs://bucket/in/m.parquet"


@pytest.fixture(scope="module")
def requests_of_first_job():
    """Method and path of each, filled by `done`."""
    return []


@pytest.fixture(scope="module")
def done(manifest, emulator, requests_of_first_job):
    """The summary of the first job, with its output in gs://bucket/out."""
    emulator.requests.clear()
    summary = run(["--manifest", manifest, "--output", "gs://bucket/out"])
    requests_of_first_job.extend(emulator.requests)
    return summary


def names(emulator, output, folder):
    return {name.rpartition("/")[2].partition(".")[0] for name in emulator.objects(f"{output}/{folder}/")}


def test_everything_on_cloud_storage(done, manifest, emulator, tmp_path):
    assert (done.done, done.computed, done.failed) == (RUNS, RUNS, {"ForbiddenError": 1, "NotFoundError": 1})
    emulator.copy("out", tmp_path)
    failed = metrics_of(tmp_path)[RUNS:]
    assert [row["error_message"] for row in failed] == [
        f"{manifest}, row 4: content: gs://bucket/in/missing.png: not found",
        f"{manifest}, row 5: style: gs://forbidden/style.png: cannot read it: 403: injected: Forbidden",
    ]
    assert (tmp_path / "gallery" / "index.html").exists()
    for name, resource in emulator.objects("out/").items():
        expected = CONTENT_TYPES.get(name.split("/")[1])
        assert expected in (None, resource["contentType"]), name
    (weights,) = (tmp_path / "weights").iterdir()
    record = json.loads(next((tmp_path / "runs").iterdir()).read_text())
    assert weights.name == f"{record['weights_sha256']}.weights.h5"
    status = StatusReader("gs://bucket/out").read()
    assert (status.state, status.done, status.remaining) == (FINISHED, RUNS, 0)


def test_a_run_takes_few_requests(done, requests_of_first_job, emulator):
    """Reads and deletes name their object in the address; uploads under a condition are picture, thumbnail, marker."""
    for run_id in names(emulator, "out", "runs"):
        assert len([path for _, path in requests_of_first_job if run_id in path]) <= 12
    creations = [path for _, path in requests_of_first_job if "ifGenerationMatch=0" in path]
    # Beside them job.json, the weights (two requests) and the thumbnails of two inputs.
    assert len(creations) == 3 * RUNS + 5


def test_a_rerun_computes_nothing_and_writes_no_picture(done, manifest, emulator):
    before = emulator.objects("out/images/") | emulator.objects("out/runs/")
    again = run(["--manifest", manifest, "--output", "gs://bucket/out"])
    assert (again.done, again.computed, again.failed) == (RUNS, 0, done.failed)
    assert emulator.objects("out/images/") | emulator.objects("out/runs/") == before


def test_a_finished_job_is_measured_later(manifest, emulator, tmp_path):
    run(["--manifest", manifest, "--output", "gs://bucket/later", "--measures=none"])
    before = emulator.objects("later/images/") | emulator.objects("later/runs/")
    assert main(["gallery", "--measures=all", "gs://bucket/later"]) == 0
    added = emulator.objects("later/measures/")
    assert {found["contentType"] for found in added.values()} == {CONTENT_TYPES["measures"]}
    assert names(emulator, "later", "measures") == names(emulator, "later", "runs")
    emulator.copy("later", tmp_path)
    assert all(row["measure_ssim"] and row["measure_palette"] for row in metrics_of(tmp_path)[:RUNS])
    assert emulator.objects("later/images/") | emulator.objects("later/runs/") == before


def test_a_job_that_lost_pieces_makes_those_and_no_others(done, manifest, emulator):
    """A picture without its marker is completed, one that is gone is computed."""
    before = emulator.objects("out/images/")
    completed, computed, *_ = sorted(names(emulator, "out", "images"))
    for name in (
        f"runs/{completed}.json",
        f"thumbs/{completed}.webp",
        f"runs/{computed}.json",
        f"images/{computed}.png",
    ):
        storage.delete(f"gs://bucket/out/{name}")
    again = run(["--manifest", manifest, "--output", "gs://bucket/out"])
    assert (again.done, again.computed) == (RUNS, 1)
    after = emulator.objects("out/images/")
    assert {name for name in after if after[name] != before[name]} == {f"out/images/{computed}.png"}
    assert len(names(emulator, "out", "runs") & names(emulator, "out", "thumbs")) == RUNS


def test_a_killed_job_is_resumed(done, manifest, emulator):
    arguments = ["--manifest", manifest, "--output", "gs://bucket/killed", "--batch_size", "1"]
    process = Process(STYLEBEAM, "run", *arguments, STORAGE_EMULATOR_HOST=emulator.url)
    while not emulator.objects("killed/runs/") and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -9, process.errors()
    killed = StatusReader("gs://bucket/killed").read()
    assert (killed.state, killed.is_known) == (STOPPED, True)
    left = emulator.objects("killed/images/")
    resumed = run(arguments)
    assert (resumed.done, resumed.computed) == (RUNS, RUNS - len(left))
    assert len(left) > 0 and left.items() <= emulator.objects("killed/images/").items()


# What may differ between two jobs of one manifest whose batches differ: the losses by their last digits, and the time.
NUMBERS = ("loss_total", "loss_content", "loss_style", "loss_tv", "measure_ssim", "measure_palette")


def results(emulator, output, folder):
    """Returns the metrics rows with NUMBERS apart, and the failure records by name."""
    emulator.copy(output, folder)
    rows = metrics_of(folder)
    numbers = [[row.pop(name) or 0.0 for name in NUMBERS] for row in rows]
    for row in rows:
        row["history"] = [point["iteration"] for point in row["history"] or []]
        del row["seconds"]
    return rows, numbers, {path.name: path.read_bytes() for path in (folder / "failures").iterdir()}


def test_a_job_under_any_faults_ends_with_the_results_of_one_without(done, manifest, emulator, quick_retries, tmp_path):
    """From the look at the manifest to the last page of the gallery, and in a rerun, which is told nothing else."""
    arguments = ["--manifest", manifest, "--output", "gs://bucket/faults"]
    kinds = ("reset", "lost", "cut", 408, 429, 500, 502, 503, 504)
    for computed in (RUNS, 0):
        with emulator.failing(*kinds, share=0.2, seed=1) as faults:
            summary = run(arguments)
        assert faults.count.total() >= 5
        assert (summary.done, summary.computed, summary.failed) == (RUNS, computed, done.failed)
        rows, numbers, failures = results(emulator, "faults", tmp_path / f"{computed}")
        expected_rows, expected_numbers, expected_failures = results(emulator, "out", tmp_path / f"out{computed}")
        assert (rows, failures) == (expected_rows, expected_failures)
        for found, expected in zip(numbers, expected_numbers, strict=True):
            assert found == pytest.approx(expected, rel=1e-3)
    assert (tmp_path / "0" / "gallery" / "index.html").exists()
    assert summary.gallery is not None


def test_a_storm_of_broken_connections_loses_and_repeats_nothing(done, manifest, emulator, quick_retries):
    with emulator.failing("reset", "lost", "cut", 429, 500, share=0.15, seed=4) as faults:
        summary = run(["--manifest", manifest, "--output", "gs://bucket/broken", "--batch_size", "2"])
    assert faults.count.total() > 0 and len(faults.count) == 5
    assert (summary.done, summary.computed, summary.failed) == (RUNS, RUNS, done.failed)


@pytest.mark.parametrize(
    ("manifest_uri", "output", "message"),
    [
        ("gs://forbidden/m.parquet", "gs://bucket/x", "gs://forbidden/m.parquet: cannot list it: 403: injected"),
        ("gs://bucket/in/none.parquet", "gs://bucket/x", "gs://bucket/in/none.parquet: .*(not found|no such)"),
        ("gs://nowhere/m.parquet", "gs://bucket/x", "gs://nowhere/m.parquet.*: cannot list it: 404"),
        (None, "gs://forbidden/x", "gs://forbidden/x/job.json: cannot write it: 403: injected"),
        (None, "gs://nowhere/x", "gs://nowhere/x/job.json: cannot write it: 404"),
    ],
)
def test_without_manifest_or_output_there_is_no_work(manifest, emulator, capsys, manifest_uri, output, message):
    assert main(["run", "--manifest", manifest_uri or manifest, "--output", output]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert storage.scheme(error.split()[1]) == "gs"
    assert re.search(message, error)
    assert not emulator.objects("x/")


@pytest.mark.parametrize(
    ("method", "fragment", "message"),
    [
        ("GET", "unread%2Fjob.json", "job.json: cannot read it: 403"),
        ("GET", "prefix=unread/weights/", "weights: cannot list it: 403"),
    ],
)
def test_an_output_that_may_only_be_written_is_refused_before_any_work(
    manifest, emulator, capsys, method, fragment, message
):
    def forbidden(verb, path):
        return verb == method and (fragment in path or fragment.replace("%2F", "/") in path)

    with emulator.failing(403, only=forbidden) as faults:
        assert main(["run", "--manifest", manifest, "--output", "gs://bucket/unread"]) == 2
    assert faults.count[403] > 0
    assert message in capsys.readouterr().err
    assert set(emulator.objects("unread/")) == {"unread/job.json"}


def test_five_thousand_markers_are_listed_and_counted(emulator, quick_retries):
    for index in range(5000):
        emulator.create(f"many/runs/{index:016x}.json")
    emulator.create("many/job.json", json.dumps({"rows": 6000, "runs": 6000, "started": "2026-01-01"}).encode())
    with emulator.failing(503, share=0.2, seed=6):
        status = StatusReader("gs://bucket/many").read()
    assert (status.done, status.remaining) == (5000, 1000)
