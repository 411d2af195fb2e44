"""`stylebeam status`: beside a job in another process, after one that was killed, and on half a directory."""

import io
import json
import os
import signal
import time

import pytest

from pipeline.cli.command import duration, rate
from pipeline.cli.main import main
from pipeline.status.process import this_process
from pipeline.status.reader import FINISHED, RUNNING, STOPPED, StatusReader
from pipeline.status.report import one_line, report, watch
from tests.support.inputs import TINY, write_manifest
from tests.support.pictures import paint
from tests.support.processes import STYLEBEAM, Process
from transforms.output.storage import NotFoundError, StorageError

NOW = 1_800_000_000.0


class Job:
    """`stylebeam run` in a process of its own; one run a batch, and a row without its image."""

    def __init__(self, folder, runs, iterations):
        self.runs = runs
        for name, seed in (("content", 1), ("style", 2)):
            paint(folder / f"{name}.png", 60, 80, seed)
        row = {"content": "content.png", "style": "style.png"}
        rows = [{**row, "config": {**TINY, "iterations": iterations, "seed": seed}} for seed in range(runs)]
        manifest = write_manifest(folder / "m.parquet", [*rows, {**row, "content": "missing.png"}])
        self.output = folder / "out"
        arguments = ["--manifest", manifest, "--output", str(self.output), "--batch_size=1"]
        self.process = Process(STYLEBEAM, "run", *arguments)

    def wait_for(self, condition, secs=120.0):
        end = time.monotonic() + secs
        while time.monotonic() < end:
            if self.output.exists() and (self.output / "job.json").exists():
                status = StatusReader(str(self.output)).read()
                if condition(status):
                    return status
            assert self.process.poll() is None, self.process.errors()
            time.sleep(0.05)
        raise AssertionError("nothing happened")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """A job that ends and one that would take much longer, at the same time: most of it is their start."""
    started = [Job(tmp_path_factory.mktemp("job"), 6, 30), Job(tmp_path_factory.mktemp("long"), 40, 100)]
    yield started
    for job in started:
        job.process.kill()
        job.process.wait()


def test_a_job_is_watched_from_another_process_until_it_is_finished(jobs):
    job, _ = jobs
    status = job.wait_for(lambda status: status.remaining is not None)
    assert status.state == RUNNING
    out = io.StringIO()
    last = watch(StatusReader(str(job.output)), out, refresh_secs=0.05)
    assert job.process.wait(120) == 3
    assert (last.state, last.done, last.remaining, last.failed) == (FINISHED, job.runs, 0, {"NotFoundError": 1})
    lines = out.getvalue().splitlines()
    counts = [int(line.split(": ")[1].split()[0]) for line in lines]
    assert counts == sorted(counts) and len(set(counts)) > 2
    assert all(line.startswith("running: ") for line in lines[:-1])
    assert lines[-1] == "finished: 6 done, 1 failed, 0 remaining"


def test_a_job_that_is_killed_stops(jobs):
    _, job = jobs
    status = job.wait_for(lambda status: status.done)
    job.process.send_signal(signal.SIGKILL)
    job.process.wait()
    assert status.state == RUNNING
    reader = StatusReader(str(job.output))
    after = reader.read()
    assert (after.state, after.is_known) == (STOPPED, True)
    assert "stopped: its process has ended" in "\n".join(report(after))
    assert 0 < after.done < job.runs
    assert after.remaining is not None
    # Runs are counted some time during the job; before, there are at most as many as rows.
    assert after.done + after.remaining in (job.runs, job.runs + 1)
    later = reader.read(time.time() + 3600)
    assert (later.state, later.done, later.remaining) == (STOPPED, after.done, after.remaining)
    assert main(["status", str(job.output)]) == 0


def test_a_finished_job_with_failed_rows_exits_with_3(jobs, capsys):
    job, _ = jobs
    job.process.wait(120)
    for arguments in (["status", str(job.output)], ["status", str(job.output), "--watch"]):
        assert main(arguments) == 3
    assert "failed     1\n           1 NotFoundError\nremaining  0" in capsys.readouterr().out


def test_a_job_whose_output_is_no_terminal_prints_no_bar(jobs):
    job, _ = jobs
    said = job.process.errors()
    assert "runs/s" not in said and "\r" not in said


def test_a_finished_job_without_failures_exits_with_0(small_output):
    for path in (small_output / "failures").iterdir():
        path.unlink()
    assert main(["status", str(small_output)]) == 0


def put(folder, name, secs_ago, record=None):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record or {}))
    os.utime(path, (NOW - secs_ago, NOW - secs_ago))


def put_job(folder, secs_ago, **fields):
    started = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(NOW - secs_ago))
    put(folder, "job.json", secs_ago, {"manifest": "m.parquet", "rows": 10, "runs": 10, "started": started, **fields})


def read(folder):
    return StatusReader(str(folder)).read(NOW)


def text(folder):
    return "\n".join(report(read(folder)))


def test_rate_and_time_left_are_of_the_last_ten_minutes(tmp_path):
    put_job(tmp_path, 3600, runs=100)
    for index, ago in enumerate([3500] * 30 + [500, 400, 300, 200, 100]):
        put(tmp_path, f"runs/{index:016x}.json", ago)
    status = read(tmp_path)
    assert (status.done, status.remaining) == (35, 65)
    assert status.runs_per_min == pytest.approx(0.5)
    assert status.secs_left == pytest.approx(130 * 60)
    assert "rate       30.0 runs an hour" in text(tmp_path) and "time left  about 2 h 10 min" in text(tmp_path)


def test_markers_of_earlier_jobs_count_as_done_but_not_as_speed(tmp_path):
    put_job(tmp_path, 60)
    for index, ago in enumerate((900, 800, 700, 30, 20)):
        put(tmp_path, f"runs/{index:016x}.json", ago)
    status = read(tmp_path)
    assert (status.done, status.remaining) == (5, 5)
    assert status.runs_per_min == pytest.approx(2)


def test_failures_of_earlier_jobs_are_still_to_be_tried(tmp_path):
    put_job(tmp_path, 60)
    put(tmp_path, "failures/aaaa.json", 500, {"error_type": "OldError"})
    put(tmp_path, "failures/bbbb.json", 20, {"error_type": "NewError"})
    put(tmp_path, "failures/row-cccc.json", 20, {"error_type": "RowError"})
    status = read(tmp_path)
    # A row that never got a run_id is none of the ten runs.
    assert (status.failed, status.retried, status.remaining) == ({"NewError": 1, "RowError": 1}, 1, 9)
    assert "and 1 of earlier jobs, to be tried again" in text(tmp_path)


def test_a_finished_job_started_again_is_running(tmp_path):
    put(tmp_path, "metrics/metrics-00000-of-00001.parquet", 500)
    put_job(tmp_path, 600)
    assert read(tmp_path).state == FINISHED
    put_job(tmp_path, 10)
    assert read(tmp_path).state == RUNNING


def test_metrics_that_are_not_all_there_are_not_the_end(tmp_path):
    put_job(tmp_path, 600)
    put(tmp_path, "metrics/metrics-00000-of-00002.parquet", 5)
    assert read(tmp_path).state == RUNNING
    put(tmp_path, "metrics/metrics-00001-of-00002.parquet", 4)
    assert read(tmp_path).state == FINISHED


def test_a_job_that_says_so_is_finished(tmp_path):
    put_job(tmp_path, 600, metrics_rows=10)
    put(tmp_path, "failures/a.json", 20, {"error_type": "AnError"})
    assert (read(tmp_path).state, read(tmp_path).done, read(tmp_path).remaining) == (FINISHED, 9, 0)


def test_patience_grows_with_the_pauses_that_a_job_made(tmp_path):
    put_job(tmp_path, 2000)
    put(tmp_path, "runs/a.json", 1700)
    put(tmp_path, "runs/b.json", 600)
    assert read(tmp_path).state == RUNNING
    assert "running, no activity for 10 min" in text(tmp_path)
    put(tmp_path, "runs/b.json", 1690)
    put(tmp_path, "runs/c.json", 1600)
    assert StatusReader(str(tmp_path)).read(NOW - 500).state == STOPPED
    put(tmp_path, "checkpoints/d.npz", 510)
    assert StatusReader(str(tmp_path)).read(NOW - 500).state == RUNNING


@pytest.mark.parametrize(
    "process",
    [None, 7, {}, {"host": "elsewhere", "pid": 1, "token": "a/1"}, {**this_process(), "pid": "1"}, this_process()],
)
def test_a_job_elsewhere_is_judged_by_what_it_wrote(tmp_path, process):
    put_job(tmp_path, 3700, process=process)
    put(tmp_path, "runs/a.json", 3600)
    assert (read(tmp_path).state, read(tmp_path).is_known) == (STOPPED, False)
    assert "stopped, as it seems: no activity for 1 h" in text(tmp_path)
    put(tmp_path, "runs/b.json", 10)
    assert (read(tmp_path).state, read(tmp_path).is_known) == (RUNNING, False)


def test_another_process_of_the_same_number_is_not_the_job(tmp_path):
    mine = this_process()
    parent = {**mine, "pid": os.getppid(), "token": mine["token"].rpartition("/")[0] + "/1"}
    put_job(tmp_path, 20, process=parent)
    assert (read(tmp_path).state, read(tmp_path).is_known) == (STOPPED, True)


def test_pictures_of_other_manifests_are_not_taken_for_this_jobs(tmp_path):
    put_job(tmp_path, 60)
    for index in range(25):
        put(tmp_path, f"runs/{index:016x}.json", 900 if index else 20)
    status = read(tmp_path)
    assert (status.done, status.remaining, status.foreign) == (1, None, 15)
    assert "remaining  not known" in text(tmp_path) and "of other manifests too" in text(tmp_path)


def test_half_a_directory_is_described_as_far_as_it_goes(tmp_path):
    put(tmp_path, "runs/a.json", 10)
    assert (read(tmp_path).done, read(tmp_path).remaining) == (1, None)
    assert "there is no readable job.json" in text(tmp_path)
    for broken in ("", "[1]", "{", json.dumps({"started": 5, "rows": None})):
        (tmp_path / "job.json").write_text(broken)
        assert read(tmp_path).done == 1
    put_job(tmp_path, 60, runs=None)
    assert (read(tmp_path).done, read(tmp_path).remaining) == (1, 9)
    assert "runs not counted yet" in text(tmp_path) and "remaining  at most 9" in text(tmp_path)
    (tmp_path / "failures").mkdir()
    (tmp_path / "failures" / "x.json").write_text("not JSON")
    os.utime(tmp_path / "failures" / "x.json", (NOW, NOW))
    assert read(tmp_path).failed == {"unreadable record": 1}


def test_a_missing_directory_is_one_line(tmp_path, capsys):
    for name in ("missing", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert main(["status", str(tmp_path / name)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and f"{tmp_path / name}: no such output directory" in error
    with pytest.raises(NotFoundError):
        read(tmp_path / "missing")


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    put_job(tmp_path, 60)

    def deny(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", deny)
    with pytest.raises(StorageError, match=r"runs: cannot list it: .*Permission denied"):
        read(tmp_path)


def test_failure_records_are_read_once(tmp_path):
    put_job(tmp_path, 60)
    put(tmp_path, "failures/a.json", 20, {"error_type": "AnError"})
    reader = StatusReader(str(tmp_path))
    assert reader.read(NOW).failed == {"AnError": 1}
    (tmp_path / "failures" / "a.json").write_text("{}")
    os.utime(tmp_path / "failures" / "a.json", (NOW - 20, NOW - 20))
    assert reader.read(NOW).failed == {"AnError": 1}
    put(tmp_path, "failures/a.json", 10, {"error_type": "AnotherError"})
    assert reader.read(NOW).failed == {"AnotherError": 1}


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_the_report_is_redrawn_in_place(tmp_path, monkeypatch):
    put_job(tmp_path, 60, manifest="m" * 500)
    monkeypatch.setenv("COLUMNS", "80")
    looks = []

    def sleep(_):
        looks.append(1)
        put(tmp_path, f"runs/{len(looks)}.json", 5)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.status.report.time.sleep", sleep)
    monkeypatch.setattr("pipeline.status.reader.time.time", lambda: NOW)
    screen = Screen()
    assert watch(StatusReader(str(tmp_path)), screen).done == 2
    first, second, third = screen.getvalue().split("\x1b[J")
    up = f"\x1b[{first.count(chr(10))}F"
    assert first.endswith(up) and max(map(len, first.splitlines())) == 79
    assert "done       1 run of 10" in second
    assert "done       2 runs of 10" in third


@pytest.mark.parametrize(
    ("secs", "text"),
    [(0, "0 s"), (59.6, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (12_000, "3 h 20 min"), (90_061, "1 d 1 h")],
)
def test_durations_have_two_units(secs, text):
    assert duration(secs) == text


def test_rates_are_numbers_that_people_can_picture():
    assert rate(12.34, "runs") == "12.3 runs a minute"
    assert rate(0.05, "runs") == "3.0 runs an hour"


def test_one_line_says_what_is_left(tmp_path):
    put_job(tmp_path, 60)
    put(tmp_path, "runs/a.json", 30)
    assert one_line(read(tmp_path)) == "running: 1 done, 0 failed, 9 remaining, about 9 min left"
