"""Runs jobs in processes of their own on a grid of small pictures, and reads their logs and output directories."""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipeline.clean import TEMPORARY, clean
from tests.support.contract import violations
from tests.support.paths import ROOT
from tests.support.pictures import paint

SHALLOW = {
    "weights": "random:1", "content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv2_1"],
}  # fmt: skip
_STARTED = re.compile(r"([0-9a-f]{16}) from iteration (\d+)")
_REPORT = re.compile(r"^iteration (\d+)$", re.MULTILINE)
_EVENT = re.compile(r"^(?:optimizing .* from iteration (\d+)|iteration (\d+))$", re.MULTILINE)


def write_grid(folder, seeds, sizes=(48,), **config):
    """Writes two photographs, two paintings and m.parquet: 4 rows for each seed and size; returns its path."""
    for number, (height, width) in enumerate([(60, 80), (80, 50), (64, 64), (50, 70)]):
        paint(folder / f"{number}.png", height, width, number)
    rows = [
        {"content": content, "style": style, "config": json.dumps({**SHALLOW, "image_size": size, "seed": s, **config})}
        for s in range(seeds)
        for size in sizes
        for content in ("0.png", "1.png")
        for style in ("2.png", "3.png")
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "m.parquet")
    return folder / "m.parquet"


class Job:
    """A `stylebeam run` in a process of its own; `said` is its standard error so far."""

    def __init__(self, manifest, output, *options):
        self._log = tempfile.NamedTemporaryFile(prefix="job-", suffix=".log")  # noqa: SIM115
        command = [sys.executable, "-m", "tests.faults.worker", "run", "--manifest", str(manifest)]
        self.process = subprocess.Popen(
            [*command, "--output", str(output), *options], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=self._log
        )

    @property
    def said(self):
        return Path(self._log.name).read_text()

    @property
    def started(self):
        """[(run_id, first iteration)] of every optimisation that the job began."""
        return [(run_id, int(number)) for run_id, number in _STARTED.findall(self.said)]

    @property
    def reached(self):
        """The iteration that the latest batch has reported; 0 before its first report."""
        latest = _REPORT.findall(self.said.rpartition(" from iteration ")[2])
        return int(latest[-1]) if latest else 0

    @property
    def made(self):
        """The number of iterations that the job has reported; those of a batch count once, not once a run."""
        made = position = 0
        for started, report in _EVENT.findall(self.said):
            made += int(report) - position if report else 0
            position = int(report or started)
        return made

    def wait_for(self, text):
        """Waits until the job's log contains `text` or the job ends; returns whether it contains it."""
        while text not in self.said and self.process.poll() is None:
            time.sleep(0.02)
        return text in self.said

    def wait(self):
        """Waits until the job ends; returns its exit status."""
        return self.process.wait()


def run_job(manifest, output, *options):
    """Runs a job to its end; it must succeed."""
    job = Job(manifest, output, *options)
    if job.wait():
        raise RuntimeError(f"exit status {job.process.returncode}\n{job.said[-3000:]}")
    return job


def pictures(output):
    """Returns the sha256 of every picture by file name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (output / "images").glob("*.png")}


def finished(output):
    """Returns (inode, modification time in ns) of every picture whose marker exists, by run_id."""
    paths = [output / "images" / f"{marker.stem}.png" for marker in (output / "runs").glob("*.json")]
    return {path.stem: (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def picture_record(output, run_id):
    """Returns the record that a picture carries."""
    with Image.open(output / "images" / f"{run_id}.png") as image:
        return json.loads(image.text["stylebeam"])  # type: ignore[attr-defined]


def keeps_the_contract(output, killed=False):
    """Returns whether an output directory keeps the contract; prints its faults on standard error.

    A job that was killed in the middle of a write has left a temporary file, which `stylebeam clean` removes.
    """
    for leftover in clean(str(output), force=True, dry_run=True) if killed else ():
        if leftover.kind == TEMPORARY:
            Path(leftover.uri).unlink()
    wrong = violations(output)
    print("\n".join(wrong), file=sys.stderr)
    return not wrong


def main_of(doc, measure, **defaults):
    """Parses whole-number options, measures in a new folder and prints the figures as JSON; exits 1 if one is False."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), **vars(parser.parse_args()))
    print(json.dumps(figures))
    sys.exit(any(value is False for value in figures.values()))
