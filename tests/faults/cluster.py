"""A job on Beam's portable job service with workers in environments of their own loses a worker, and goes on.

The cluster is that of `make cluster`, with storage on the emulator, and the job is the command that it prints. The
first kill (SIGKILL) takes a worker's process in the middle of its work, the second one all of a worker's machine: its
pool too. After each, the command that the job's last line names must compute the rest. The pictures are compared with
those of a job in one process.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.jobs import keeps_the_contract, main_of, pictures, run_job, write_grid
from tests.support.outputs import metrics_of
from tests.support.paths import ROOT
from transforms.output import gcs, storage

OUTPUT = "gs://bucket/out"
OPTIONS = ("--batch_size=1", "--deterministic", "--dataset=none")
_MEMBER = re.compile(r"^(\S+) (?:is|ended with .* it is) process (\d+)", re.MULTILINE)
GOES_ON = re.compile(r"stylebeam: a worker's process has died; what is finished is kept, this goes on from there: (.+)")


class Cluster:
    """`python -m deploy.cluster` in a process of its own, once it has printed its command."""

    def __init__(self, inputs, log):
        self._log = log
        arguments = ["--emulator", inputs, "--manifest=gs://bucket/m.parquet", f"--output={OUTPUT}"]
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.cluster", *map(str, arguments)], cwd=ROOT, stdout=out
            )
        while not (found := re.search(r"^STORAGE_EMULATOR_HOST=(\S+) (.+)\n", log.read_text(), re.MULTILINE)):
            if self.process.poll() is not None:
                raise RuntimeError(f"the cluster ended with {self.process.returncode}\n{log.read_text()}")
            time.sleep(0.1)
        self.url, self.command = found.groups()

    def member(self, name):
        """The process number of a member; that of the latest one."""
        return int(dict(_MEMBER.findall(self._log.read_text()))[name])

    def computing(self, name):
        """The process numbers of what a worker's pool has started."""
        return children(self.member(name))

    def run(self, command):
        """Starts a job as a shell would."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "STORAGE_EMULATOR_HOST": self.url}
        return subprocess.Popen(command, shell=True, env=environment, stderr=subprocess.PIPE, text=True)

    def stop(self):
        """Interrupts the cluster; returns whether it ended well and left no process behind."""
        members = {int(number) for _, number in _MEMBER.findall(self._log.read_text())}
        self.process.send_signal(signal.SIGINT)
        ended_well = self.process.wait() == 0
        return ended_well and not any(map(group_lives, members))


def children(number):
    """The process numbers of what a process has started."""
    found = (path.read_text().split() for path in Path(f"/proc/{number}/task").glob("*/children"))
    return [int(child) for numbers in found for child in numbers]


def group_lives(number):
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


@contextlib.contextmanager
def talking_to(url):
    """Lets `storage` of this process talk to an emulator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", url)
        gcs.client.cache_clear()
        try:
            yield
        finally:
            gcs.client.cache_clear()


def measure(folder, seeds, iterations, kills):
    (folder / "in").mkdir()
    manifest = write_grid(folder / "in", seeds, iterations=iterations)
    direct = run_job(manifest, folder / "direct", *OPTIONS)
    cluster = Cluster(folder / "in", folder / "cluster.log")
    try:
        with talking_to(cluster.url):
            figures = kill_and_go_on(cluster, kills)
            copy(folder / "killed")
    finally:
        stopped_well = cluster.stop()
    rows = metrics_of(folder / "killed")
    return {
        **figures,
        "runs": 4 * seeds,
        "computed_directly": len(direct.started),
        "same_pictures_same_bytes": pictures(folder / "killed") == pictures(folder / "direct"),
        "one_row_each": sorted(row["manifest_row"] for row in rows) == list(range(4 * seeds)),
        "every_row_done": all(row["status"] == "done" for row in rows),
        "contract": keeps_the_contract(folder / "killed", killed=True),
        "cluster_stopped_well": stopped_well,
    }


def kill_and_go_on(cluster, kills):
    """Runs the printed command, kills a worker in each of the first jobs, and lets the last one end."""
    figures = {"kills": kills, "finished_at_kills": [], "status_is_1": True, "one_line_and_the_command": True}
    figures |= {"no_worker_computes_on": True, "finished_untouched": True}
    command = " ".join((cluster.command, *OPTIONS))
    for kill in range(kills):
        before = finished()
        job = cluster.run(command)
        while len(finished()) < len(before) + 2 and job.poll() is None:
            time.sleep(0.05)
        strike(cluster, kill)
        said = job.communicate()[1]
        print(said, flush=True)
        figures["finished_at_kills"].append(len(finished()))
        figures["status_is_1"] &= job.returncode == 1
        goes_on = GOES_ON.fullmatch(said.strip().splitlines()[-1])
        figures["one_line_and_the_command"] &= goes_on is not None and "Traceback" not in said
        figures["no_worker_computes_on"] &= not (cluster.computing("worker-1") or cluster.computing("worker-2"))
        figures["finished_untouched"] &= before.items() <= finished().items()
        command = goes_on[1] if goes_on else command
    before = finished()
    job = cluster.run(command)
    print(job.communicate()[1], flush=True)
    figures["last_status_is_0"] = job.returncode == 0
    figures["left_for_the_last"] = len(finished()) - len(before)
    figures["finished_untouched"] &= before.items() <= finished().items()
    return figures


def strike(cluster, kill):
    """Kills the process that computes on the first worker; next time the whole second worker."""
    if kill == 0:
        for number in cluster.computing("worker-1"):
            os.kill(number, signal.SIGKILL)
    else:
        os.killpg(cluster.member("worker-2"), signal.SIGKILL)


def finished():
    """Returns when the picture of each finished run was written, by file name."""
    done = {name.removesuffix(".json") for name in storage.list_names(f"{OUTPUT}/runs")}
    images = storage.list_objects(f"{OUTPUT}/images")
    return {found.name: found.updated_secs for found in images if found.name.removesuffix(".png") in done}


def copy(folder):
    """Copies the output directory to a local folder."""
    for uri in storage.match(f"{OUTPUT}/**/*"):
        path = folder / uri.removeprefix(f"{OUTPUT}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(storage.read_bytes(uri))


if __name__ == "__main__":
    main_of(__doc__, measure, seeds=4, iterations=150, kills=2)
