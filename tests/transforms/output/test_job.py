"""job.json: what is written is read back, what is of another type is left out, and the job says its arithmetic."""

import json

from transforms.output.job import JobRecord, read_job, write_job
from transforms.output.paths import Output


def test_a_job_is_read_back_as_it_was_written(tmp_path):
    job = JobRecord(manifest="m.parquet", rows=3, deterministic=True, arithmetic="CPU, oneDNN", process={"pid": 1})
    write_job(Output(str(tmp_path)), job)
    assert read_job(Output(str(tmp_path))) == job


def test_what_is_of_another_type_is_left_out(tmp_path):
    (tmp_path / "job.json").write_text(json.dumps({"rows": "3", "deterministic": "yes", "arithmetic": 1, "runs": 2}))
    assert read_job(Output(str(tmp_path))) == JobRecord(runs=2)


def test_a_job_that_computes_here_says_its_arithmetic(finished_job):
    job = read_job(Output(str(finished_job / "output")))
    assert job is not None and job.deterministic is False
    assert job.arithmetic is not None and "TensorFlow 2." in job.arithmetic
