"""A result file says which commit, processor, threads and load it comes from; mixed commits are refused."""

import datetime
import os
import subprocess
import sys

import pytest

from benchmarks.provenance import CPU_TIMES, MixedCommitsError, Start, commit, cpu_flags, one_commit

BUSY = "import time\nwhile time.process_time() < 1: pass\nprint(flush=True)\ninput()"


@pytest.fixture
def checkout(tmp_path):
    """A repository of one commit that holds source.py and docs/page.md."""
    (tmp_path / "docs").mkdir()
    for name in ("source.py", "docs/page.md"):
        (tmp_path / name).write_text("before")
    who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "first")):
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True)
    return tmp_path


def test_changed_source_is_said_and_a_changed_document_is_not(checkout):
    clean = commit(checkout)
    assert clean is not None
    assert len(clean) == 40
    (checkout / "docs" / "page.md").write_text("after")
    assert commit(checkout) == clean
    (checkout / "source.py").write_text("after")
    assert commit(checkout) == f"{clean}+changes"


def test_outside_a_checkout_the_commit_is_unknown(tmp_path):
    assert commit(tmp_path) is None


def test_flags_are_those_that_choose_kernels(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nflags\t\t: fpu avx2 avx512_bf16 sse\nprocessor\t: 1\nflags\t\t: fpu avx2 fma\n")
    assert cpu_flags(path) == ["avx2", "avx512_bf16", "fma"]
    assert cpu_flags(tmp_path / "absent") == []


def test_the_record_holds_times_threads_and_settings(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = Start().provenance({"ours": 2, "theirs": 1})
    start, end = (datetime.datetime.fromisoformat(found[name]) for name in ("start", "end"))
    assert start <= end
    assert start.tzinfo is not None
    assert found["threads"] == {"ours": 2, "theirs": 1}
    assert found["environment"]["OMP_NUM_THREADS"] == "3"
    assert found["cpu_cores"] == len(os.sched_getaffinity(0))


@pytest.mark.skipif(not CPU_TIMES.exists(), reason="this system does not tell what others computed")
def test_work_of_a_process_that_still_runs_counts_as_that_of_others_and_that_of_a_finished_child_does_not():
    began = Start()
    with subprocess.Popen([sys.executable, "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        running = began.provenance()["cores_of_others"]
        process.communicate(b"\n")
    finished = began.provenance()["cores_of_others"]
    assert finished < running


@pytest.mark.parametrize(
    "parts",
    [
        {"speed": {"commit": "a" * 40}, "memory": {"commit": "b" * 40}},
        {"speed": {"commit": "a" * 40}},
        {"speed": {"commit": None}, "memory": {"commit": None}},
    ],
)
def test_parts_of_different_or_unknown_commits_are_refused(parts):
    with pytest.raises(MixedCommitsError, match=r"bench\.json: parts of different commits.*speed of .*memory of"):
        one_commit("bench.json", parts, ["speed", "memory"])


def test_parts_of_one_commit_pass_and_so_does_a_file_from_before_commits_were_recorded():
    one_commit("bench.json", {name: {"commit": "a" * 40} for name in ("speed", "memory")}, ["speed", "memory"])
    one_commit("bench.json", {}, ["speed", "memory"])
