"""One of many runs kills its process (SIGKILL) whenever it begins; the same command is given until it ends.

Three jobs die: one in the middle of a batch, two while the run computes alone. The fourth ends: that run has failed,
all others are done.
"""

import subprocess
import sys

from tests.faults.jobs import SHALLOW, keeps_the_contract, main_of
from tests.support.inputs import write_manifest
from tests.support.outputs import metrics_of
from tests.support.paths import ROOT
from tests.support.pictures import paint

CULPRIT = 7
_JOBS = f"""
import os, signal, sys

from pipeline.cli.quiet import import_tensorflow
import_tensorflow()
from pipeline.cli.main import main
from stylecore.run.engine import Engine

constants = Engine.constants

def killing(engine, problems):
    if any(problem.config.seed == {CULPRIT} for problem in problems):
        os.kill(os.getpid(), signal.SIGKILL)
    return constants(engine, problems)

Engine.constants = killing
# TensorFlow is imported once; it starts its threads in each child.
for _ in range(4):
    child = os.fork()
    if not child:
        os._exit(main(["run", *sys.argv[1:]]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def measure(folder, runs):
    paint(folder / "content.png", 60, 80, 1)
    paint(folder / "style.png", 64, 64, 3)
    config = {**SHALLOW, "image_size": 48, "iterations": 2}
    row = {"content": "content.png", "style": "style.png"}
    manifest = write_manifest(
        folder / "m.parquet", [{**row, "config": {**config, "seed": seed}} for seed in range(runs)]
    )
    arguments = ["--manifest", manifest, "--output", str(folder / "out"), "--batch_size=4", "--dataset=none"]
    jobs = subprocess.run(
        [sys.executable, "-c", _JOBS, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    statuses = [int(line) for line in jobs.stdout.splitlines() if line.lstrip("-").isdigit()]
    rows = metrics_of(folder / "out")
    failed = {row["manifest_row"]: row["error_type"] for row in rows if row["status"] == "failed"}
    attempts = [path.stem for path in (folder / "out" / "attempts").iterdir()]
    return {
        "runs": runs,
        "statuses": statuses,
        "three_jobs_die_and_the_fourth_ends": statuses == [-9, -9, -9, 3],
        "the_culprit_fails_alone": failed == {CULPRIT: "ProcessDiedError"} and len(rows) == runs,
        "its_attempts_alone_are_kept": attempts == [row["run_id"] for row in rows if row["manifest_row"] == CULPRIT],
        "contract": keeps_the_contract(folder / "out", killed=True),
    }


if __name__ == "__main__":
    main_of(__doc__, measure, runs=12)
