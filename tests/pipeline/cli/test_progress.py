"""Progress: a bar of runs, iterations and losses on a terminal; elsewhere a line a minute."""

import contextlib
import datetime
import io
import json
import os
import pty
import re
import termios
import threading
import time
import types
from collections import deque

import pytest

from pipeline.cli.progress import IterationBar, RunBar, job_progress
from transforms.output.paths import Output
from transforms.stylize import progress


class Terminal:
    """A pseudo terminal that stands for standard error."""

    def __init__(self):
        self._leader, follower = pty.openpty()
        termios.tcsetwinsize(follower, (24, 120))
        self.stderr = os.fdopen(follower, "w")
        self._read = b""
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self):
        with contextlib.suppress(OSError):  # Linux: EIO once the other end is closed.
            while data := os.read(self._leader, 65536):
                self._read += data

    def text(self):
        self.stderr.close()
        self._thread.join(5)
        return self._read.decode()


def replace_stderr(monkeypatch, file):
    # In the module alone: pytest sets sys.stderr anew between a fixture and its test.
    monkeypatch.setattr("pipeline.cli.progress.sys", types.SimpleNamespace(stderr=file))


@pytest.fixture
def terminal(monkeypatch):
    fake = Terminal()
    replace_stderr(monkeypatch, fake.stderr)
    return fake


@pytest.fixture
def no_terminal(monkeypatch):
    file = io.StringIO()
    replace_stderr(monkeypatch, file)
    return file


LOSSES = (5.0, 1.0, 2.0, 3.0)


def drive():
    progress.planned(2)
    progress.planned(2)
    progress.optimizing(40, (123456.789, 1.0, 22.0, 333.0))
    progress.finished(3)
    progress.optimizing(80, (98765.4321, 1.0, 22.0, 333.0))
    progress.finished(1)


def last_line(text):
    return re.split(r"[\r\n]+", text.strip())[-1]


def test_a_terminal_sees_runs_iterations_and_losses(terminal, tmp_path):
    with job_progress(Output(str(tmp_path)), in_this_process=True):
        drive()
    text = terminal.text()
    assert "iteration 40, loss 1.235e+05 (content 1, style 22, tv 333)" in text
    assert "4/4" in last_line(text)
    assert "iteration 80, loss 9.877e+04" in last_line(text)


@pytest.mark.parametrize("in_this_process", [True, False])
def test_without_a_terminal_a_job_of_less_than_a_minute_says_nothing(no_terminal, tmp_path, in_this_process):
    with job_progress(Output(str(tmp_path)), in_this_process):
        drive()
    bar = IterationBar(10)
    bar.show(10, LOSSES)
    bar.close()
    assert no_terminal.getvalue() == ""


@pytest.mark.parametrize("in_this_process", [True, False])
def test_without_a_terminal_a_line_a_minute_says_how_far_the_job_is(no_terminal, tmp_path, in_this_process):
    started = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=1000)
    (tmp_path / "job.json").write_text(json.dumps({"runs": 7, "started": started.isoformat()}))
    for folder, names in (("runs", "ab"), ("failures", "c")):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / f"{name * 16}.json").write_text("{}")
    with job_progress(Output(str(tmp_path)), in_this_process, line_secs=0.01):
        wait_until(lambda: no_terminal.getvalue().count("\n") >= 2)
    lines = no_terminal.getvalue().splitlines()
    assert lines[0] == "2 runs done, 1 failed, 12.0 runs an hour, about 20 min left"


def test_lines_go_on_after_a_directory_that_cannot_be_listed(no_terminal, tmp_path):
    output = tmp_path / "out"
    with job_progress(Output(str(output)), True, line_secs=0.01):
        time.sleep(0.1)
        assert no_terminal.getvalue() == ""
        output.mkdir()
        (output / "job.json").write_text(json.dumps({"rows": 7}))
        wait_until(no_terminal.getvalue)
    assert no_terminal.getvalue().startswith("0 runs done, 0 failed\n")


def wait_until(happened):
    deadline = time.monotonic() + 10
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert happened()


def test_other_processes_are_followed_by_their_markers(terminal, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.cli.progress.POLL_SECS", 0.01)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "before.json").touch()
    with job_progress(Output(str(tmp_path)), in_this_process=False):
        time.sleep(0.2)
        (tmp_path / "job.json").write_text(json.dumps({"runs": 4}))
        for name in "abc":
            (tmp_path / "runs" / f"{name}.json").touch()
    assert "3/3" in last_line(terminal.text())


def test_a_directory_that_cannot_be_listed_is_the_jobs_business(terminal, tmp_path, monkeypatch):
    (tmp_path / "runs").touch()
    (tmp_path / "job.json").write_text("[]")
    with job_progress(Output(str(tmp_path)), in_this_process=False):
        pass
    assert "Error" not in terminal.text()


def test_nothing_is_heard_once_the_bar_is_closed(terminal, tmp_path):
    with contextlib.suppress(KeyError), job_progress(Output(str(tmp_path)), in_this_process=True):
        raise KeyError
    progress.planned(7)
    assert "7" not in last_line(terminal.text()).split("[")[0]


def test_calls_from_many_threads_are_all_counted(no_terminal):
    bar = RunBar()
    threads = [threading.Thread(target=lambda: deque(map(bar.planned, [1] * 500), maxlen=0)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bar._bar.total == 4000


def test_one_picture_shows_its_iterations(terminal):
    bar = IterationBar(30)
    bar.show(10, LOSSES)
    bar.show(30, LOSSES)
    bar.close()
    assert "30/30" in last_line(terminal.text())


def test_an_early_stop_leaves_the_bar_where_it_was(terminal):
    bar = IterationBar(30)
    bar.show(12, LOSSES)
    bar.close()
    assert "12/30" in last_line(terminal.text())
