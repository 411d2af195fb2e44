"""Two jobs with different manifests in one output directory: refused, or the later one owns what only one may write."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import apache_beam as beam
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.beam_options import StyleBeamOptions, parse_options
from pipeline.build import Job, define_pipeline
from pipeline.dataflow.options import gpu_workers
from pipeline.options import OptionError
from pipeline.run import prepare_job
from tests.faults import two_manifests
from tests.support.contract import violations
from tests.support.inputs import TINY, write_manifest
from tests.support.outputs import metrics_of
from transforms.manifest.files import open_manifest
from transforms.output.job import JobRecord, TakenOverError, check_owned, read_job, write_job
from transforms.output.metrics_files import read_metrics
from transforms.output.paths import Output


@pytest.fixture
def manifests(finished_job: Path, tmp_path: Path) -> list[str]:
    """Two manifests of one row each, of different pictures to make."""
    row = {"content": str(finished_job / "content.png"), "style": str(finished_job / "style_a.png")}
    return [
        write_manifest(tmp_path / f"{seed}.parquet", [{**row, "config": {**TINY, "seed": seed}}]) for seed in (1, 2)
    ]


def prepared(manifest: str, output: Path) -> Job:
    options = parse_options(["--manifest", manifest, "--output", str(output)])
    return prepare_job(options.view_as(StyleBeamOptions), gpu_workers(options))


def run_prepared(job: Job) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        define_pipeline(pipeline, job)


def test_the_earlier_job_leaves_what_the_later_one_writes(manifests: list[str], tmp_path: Path) -> None:
    output = tmp_path / "out"
    earlier, later = (prepared(manifest, output) for manifest in manifests)
    run_prepared(later)
    with pytest.raises(TakenOverError, match=r"a later job, of .*2\.parquet, has taken over"):
        run_prepared(earlier)
    (row,) = metrics_of(output)
    assert row["config"]["seed"] == "2" or row["config"]["seed"] == 2
    assert violations(output) == []
    assert len(list((output / "images").glob("*.png"))) == 2
    job = read_job(Output(str(output)))
    assert job is not None and (job.id, job.metrics_rows) == (later.record.id, 1)


def test_a_manifest_is_refused_while_a_process_computes_another(manifests: list[str], tmp_path: Path) -> None:
    output = Output(str(tmp_path / "out"))
    script = "import json, pipeline.status.process as p; print(json.dumps(p.this_process()), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        described = json.loads(other.stdout.readline())
        first = JobRecord(id=open_manifest(manifests[0]).job_id, manifest=manifests[0], process=described)
        write_job(output, first)
        with pytest.raises(OptionError, match=rf"process {other.pid} is computing .*1\.parquet there"):
            prepared(manifests[1], Path(output.root))
        assert read_job(output) == first
        other.communicate(b"\n")
    assert prepared(manifests[1], Path(output.root)).record.id != first.id


def test_the_same_manifest_is_never_refused_nor_taken_over(manifests: list[str], tmp_path: Path) -> None:
    output = Output(str(tmp_path / "out"))
    job = write_job(output, JobRecord(id=open_manifest(manifests[0]).job_id))
    check_owned(output, job.id)
    check_owned(output, None)
    with pytest.raises(TakenOverError):
        check_owned(output, open_manifest(manifests[1]).job_id)


def test_the_id_follows_the_rows_and_not_how_the_path_is_written(
    manifests: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_manifest(manifests[0])
    monkeypatch.chdir(tmp_path)
    assert open_manifest("./1.parquet").job_id == before.job_id
    Path(manifests[0]).write_bytes(Path(manifests[1]).read_bytes())
    changed = open_manifest(manifests[0])
    assert changed.rows == before.rows and changed.job_id != before.job_id


def test_metrics_files_of_another_job_are_left_out(small_output: Path) -> None:
    output = Output(str(small_output))
    rows = len(list(read_metrics(output)))
    (file,) = (small_output / "metrics").glob("*.parquet")
    table = pq.read_table(file)
    pq.write_table(
        table.replace_schema_metadata({"stylebeam_job": "another"}),
        small_output / "metrics" / "metrics-00000-of-00002.parquet",
    )
    assert rows == len(list(read_metrics(output))) == 6
    job = read_job(output)
    assert job is not None
    write_job(output, dataclasses.replace(job, id="another"))
    assert len(list(read_metrics(output))) == 6


def test_two_processes_the_second_is_refused_and_takes_over_once_the_first_was_killed(tmp_path: Path) -> None:
    first, second = two_manifests.write_manifests(tmp_path, seeds=1, iterations=60)
    figures, _ = two_manifests.refused_then_taken_over(first, second, tmp_path / "out")
    assert [name for name, value in figures.items() if value is False] == [], figures
    assert violations(tmp_path / "out") == []
