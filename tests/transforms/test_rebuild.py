"""`stylebeam gallery`: the same page and dataset from what a directory holds, and nothing written in vain."""

import json
import re

import pyarrow.parquet as pq
import pytest

from pipeline.cli.main import main
from transforms.output.metrics_files import metrics_are_current
from transforms.output.paths import Output
from transforms.output.rows import marker_rows
from transforms.rebuild import rebuild


def drop(output, *folders):
    for folder in folders:
        for path in sorted((output / folder).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (output / folder).rmdir()


def die(output):
    """What a job leaves that is killed before its metrics: job.json as it was at the start, markers, failures."""
    drop(output, "metrics", "gallery", "dataset")
    job = json.loads((output / "job.json").read_text())
    del job["metrics_rows"]
    (output / "job.json").write_text(json.dumps({**job, "runs": None}))


def counts(output):
    """Runs and failures of the page, rows of the dataset."""
    page = (output / "gallery" / "index.html").read_text()
    ((runs, failures),) = re.findall(r'"runs":(\d+),"failures":(\d+)', page)
    return int(runs), int(failures), len(dataset_rows(output))


def dataset_rows(output):
    return [row for path in sorted((output / "dataset").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def stamps(output):
    """Every file of gallery and dataset with its inode: a file that is replaced has another."""
    files = [path for folder in ("gallery", "dataset") for path in (output / folder).rglob("*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}


def contents(output):
    return {path: path.read_bytes() for path in stamps(output)}


def some_marker(output):
    return sorted((output / "runs").glob("*.json"))[0]


def test_what_is_current_is_not_touched(small_output):
    before = stamps(small_output)
    rebuild(Output(str(small_output)))
    assert stamps(small_output) == before


def test_what_is_missing_comes_back(small_output):
    before = contents(small_output)
    drop(small_output, "gallery", "dataset")
    rebuild(Output(str(small_output)))
    assert contents(small_output) == before


def test_complete_metrics_show_the_manifest_alone(small_output):
    older = json.loads(some_marker(small_output).read_text())
    path = small_output / "runs" / "0123456789abcdef.json"
    path.write_text(json.dumps({**older, "run_id": "0123456789abcdef"}))
    rebuild(Output(str(small_output)))
    assert counts(small_output) == (4, 1, 5)


def test_a_job_that_died_shows_what_it_had_finished(small_output):
    pictures = {row["run_id"]: row["image"]["bytes"] for row in dataset_rows(small_output)}
    die(small_output)
    some_marker(small_output).unlink()
    rebuild(Output(str(small_output)))
    assert counts(small_output) == (3, 1, 3)
    assert all(row["image"]["bytes"] == pictures[row["run_id"]] for row in dataset_rows(small_output))


def test_markers_and_failures_are_enough(small_output):
    die(small_output)
    drop(small_output, "weights", "thumbs", "sources")
    (small_output / "job.json").unlink()
    rebuild(Output(str(small_output)))
    assert counts(small_output) == (4, 1, 4)
    assert "missing.png" in "".join(path.read_text() for path in (small_output / "gallery/data").glob("failures-*"))


def test_metrics_of_an_earlier_job_do_not_count(small_output):
    job = json.loads((small_output / "job.json").read_text())
    assert metrics_are_current(Output(str(small_output)))
    del job["metrics_rows"]
    (small_output / "job.json").write_text(json.dumps(job))
    assert not metrics_are_current(Output(str(small_output)))
    rebuild(Output(str(small_output)))
    assert counts(small_output) == (4, 1, 4)


def test_only_what_changed_is_written(small_output):
    die(small_output)
    marker = some_marker(small_output)
    record = marker.read_text()
    marker.unlink()
    rebuild(Output(str(small_output)))
    before = stamps(small_output)
    marker.write_text(record)
    rebuild(Output(str(small_output)))
    after = stamps(small_output)
    assert counts(small_output) == (4, 1, 4)
    split = json.loads(json.loads(record)["extra"])["split"]
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert {"index.html", "README.md", f"{split}-00000-of-00001.parquet"} <= changed
    assert not {"plotly.min.js", *(path.name for path in after if path.name.startswith("failures-"))} & changed
    assert len([path for path in changed if path.endswith(".parquet")]) == 1
    assert len(list((small_output / "gallery/data").glob("details-*"))) == 1  # The older chunk is gone.


def test_damaged_records_are_left_out(small_output, caplog):
    die(small_output)
    some_marker(small_output).write_text('{"run_id": "half')
    (small_output / "runs" / "ffffffffffffffff.json").write_text("[]")
    (small_output / "images" / "ffffffffffffffff.png").write_bytes(b"")
    (small_output / "failures" / "row-0.json").write_text("")
    rebuild(Output(str(small_output)))
    assert counts(small_output) == (3, 1, 3)
    assert caplog.text.count("is damaged and left out") == 3


def test_a_failure_of_a_run_that_is_done_is_none(small_output):
    run_id = some_marker(small_output).stem
    record = {"id": run_id, "run_id": run_id, "error_type": "StorageError", "error_message": "once"}
    (small_output / "failures" / f"{run_id}.json").write_text(json.dumps(record))
    die(small_output)
    rebuild(Output(str(small_output)))
    assert counts(small_output) == (4, 1, 4)


def test_metrics_of_an_older_version_are_shown(small_output):
    (path,) = (small_output / "metrics").iterdir()
    later = [name for name in pq.read_schema(path).names if name.startswith("measure_")]
    pq.write_table(pq.read_table(path).drop([*later, "frames", "uris"]), path)
    drop(small_output, "gallery", "dataset")
    rebuild(Output(str(small_output)))
    assert counts(small_output) == (4, 1, 5)
    assert {row["measure_ssim"] for row in dataset_rows(small_output)} == {None}


def test_rows_come_in_the_order_of_the_manifest_and_can_be_read_in_parts(small_output):
    with marker_rows(Output(str(small_output))) as source:
        rows = list(source.rows())
        assert [row["manifest_row"] for _, row in rows] == [0, 1, 2, 3, None]
        assert list(source.rows(within=range(1, 3))) == rows[1:3]
        assert list(source.rows(["status"], range(4, 5))) == [(4, {"status": "failed"})]


def test_the_command_says_where_the_page_is(small_output, capsys):
    assert main(["gallery", str(small_output)]) == 0
    assert capsys.readouterr().out == f"gallery: {small_output}/gallery/index.html\n"


def test_the_command_takes_the_dataset_option(small_output):
    assert main(["gallery", str(small_output), "--dataset", "metadata"]) == 0
    assert dataset_rows(small_output)[0]["image_path"].startswith("images/")


@pytest.mark.parametrize("there", [True, False])
def test_a_directory_without_a_job_is_an_error_and_stays_as_it_is(there, tmp_path, capsys):
    folder = tmp_path / "other"
    if there:
        folder.mkdir()
    assert main(["gallery", str(folder)]) == 2
    assert "no output directory" in capsys.readouterr().err
    assert not there or not list(folder.iterdir())
