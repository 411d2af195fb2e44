"""A whole job whose optimisation is replaced by nothing: seconds and peak memory of each stage, for several sizes.

    python -m benchmarks.simulated_job [--rows 10000 100000] [--folder /dev/shm]

The pipeline of `stylebeam run` runs in Beam's in-process runner with real manifests, images of 8 px, commits, metrics,
dataset and gallery; only the engine is a double (benchmarks/simulated_engine.py), and no measures are taken. Each size
has a process of its own. A stage is what the runner fuses: its seconds, and those of the processor, which other
processes hardly disturb, are those from its first bundle to the next stage's; its peak is the process' meanwhile. What
a stage has freed is given back to the system before the next one, so that no stage answers for another's memory. A
million rows of an in-process job are in memory several times.

How each stage grows with the rows is computed from the figures of all sizes, see benchmarks/stages.py. Files go to
`--folder`, best one in memory, for a while.
"""

import argparse
import contextlib
import dataclasses
import json
import logging
import math
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from PIL import Image

from benchmarks import scaling_doc
from benchmarks.figures import RESULTS, run_measured
from benchmarks.provenance import Start
from benchmarks.stages import courses
from transforms.stylize.freed_memory import give_back_freed_memory

SIDE_PX = 8
CONFIGS = 4
ROWS_PER_GROUP = 10_000
CONFIG = {
    "weights": "random:1",
    "image_size": SIDE_PX,
    "iterations": 5,
    "content_layers": {"conv1_1": 1.0},
    "style_layers": {"conv1_1": 1.0},
}
_BUNDLES = "apache_beam.runners.portability.fn_api_runner.fn_runner.run_bundle"
_STEP = re.compile(r"ref_AppliedPTransform_(.+?)_\d+(?:\)|$|/)")


@dataclasses.dataclass
class Stage:
    """What a stage took: seconds, the processor's seconds, and the process' peak memory meanwhile in bytes."""

    secs: float = 0.0
    cpu_secs: float = 0.0
    peak_bytes: int = 0


class StageClock(logging.Handler):
    """Times the stages of the in-process runner, which logs the begin of each bundle with the stage's name. Linux.

    Attributes:
      stages: stage name -> what it took, in the order of their beginning.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stages: dict[str, Stage] = defaultdict(Stage)
        self._running: str | None = None
        self._began = self._cpu_began = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Ends a stage and begins the next one."""
        if str(record.msg).startswith("Running bundle for stage") and isinstance(record.args, tuple):
            self.switch(str(record.args[0]))

    def switch(self, stage: str | None) -> None:
        """Ends the running stage, if there is one, and begins `stage`."""
        now, cpu = time.monotonic(), time.process_time()
        if self._running is not None:
            entry = self.stages[self._running]
            entry.secs += now - self._began
            entry.cpu_secs += cpu - self._cpu_began
            entry.peak_bytes = max(entry.peak_bytes, peak_bytes())
        give_back_freed_memory()
        forget_peak()
        self._running, self._began, self._cpu_began = stage, now, cpu


def peak_bytes() -> int:
    """Returns the most memory that this process has held since `forget_peak`."""
    (peak_kb,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(peak_kb) * 1024


def forget_peak() -> None:
    """Makes what this process holds its peak."""
    Path("/proc/self/clear_refs").write_text("5")


def write_grid(folder: Path, rows: int) -> Path:
    """Writes images and a manifest of contents x styles x CONFIGS, as many of each, about `rows` in all."""
    side = max(1, math.isqrt(rows // CONFIGS))
    generator = np.random.default_rng(0)
    for name in (f"{kind}_{index}.png" for kind in ("content", "style") for index in range(side)):
        Image.fromarray(generator.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)).save(folder / name)
    contents, styles, configs = (part.ravel() for part in np.indices((side, side, CONFIGS)))
    texts = [json.dumps({**CONFIG, "content_weight": 1e5 / (index + 1)}) for index in range(CONFIGS)]
    columns = {
        "content": pa.DictionaryArray.from_arrays(contents, [f"content_{index}.png" for index in range(side)]),
        "style": pa.DictionaryArray.from_arrays(styles, [f"style_{index}.png" for index in range(side)]),
        "config": pa.DictionaryArray.from_arrays(configs, texts),
    }
    table = pa.table({name: column.cast(pa.string()) for name, column in columns.items()})
    pq.write_table(table, folder / "manifest.parquet", row_group_size=ROWS_PER_GROUP)
    return folder / "manifest.parquet"


def simulate(manifest: Path, output: Path, *options: str) -> dict[str, Stage]:
    """Runs the job with the simulated engine; returns what each stage took."""
    # Imported here: the process that only starts others stays small, since their peaks include its own.
    from benchmarks.simulated_engine import simulated_engine
    from pipeline.beam_options import StyleBeamOptions, parse_options
    from pipeline.build import define_pipeline
    from pipeline.dataflow.options import gpu_workers
    from pipeline.run import prepare_job

    parsed = parse_options([f"--manifest={manifest}", f"--output={output}", "--measures=none", *options])
    job = prepare_job(parsed.view_as(StyleBeamOptions), gpu_workers(parsed))
    job = dataclasses.replace(job, stylize=dataclasses.replace(job.stylize, engines=simulated_engine))
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=parsed)
    define_pipeline(pipeline, job)
    with stage_clock() as clock:
        pipeline.run().wait_until_finish()
    if not clock.stages:
        raise RuntimeError(f"{_BUNDLES} logged no bundle: another version of Beam?")
    return clock.stages


@contextlib.contextmanager
def stage_clock() -> Iterator[StageClock]:
    """Times the stages that the in-process runner runs meanwhile."""
    clock, logger = StageClock(), logging.getLogger(_BUNDLES)
    level, propagate = logger.level, logger.propagate
    logger.addHandler(clock)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield clock
        clock.switch(None)
    finally:
        logger.removeHandler(clock)
        logger.setLevel(level)
        logger.propagate = propagate


def label(stage: str) -> str:
    """Returns the steps that a stage fuses, in short: the two topmost parts of their names, each once."""
    steps = ["/".join(step.split("-")[:2]) for step in _STEP.findall(stage)]
    return ", ".join(dict.fromkeys(steps)) or stage


def measure(rows: int, folder: Path) -> dict[str, Any]:
    """Runs a job in this process; returns its rows, seconds, and stages."""
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        manifest = write_grid(Path(directory), rows)
        began = time.monotonic()
        stages = simulate(manifest, Path(directory, "output"))
        secs = time.monotonic() - began
        metrics = pq.ParquetDataset(Path(directory, "output", "metrics"))
        statuses = metrics.read(columns=["status"])["status"].value_counts().to_pylist()
    done = {count["values"]: count["counts"] for count in statuses}
    if set(done) != {"done"}:
        raise RuntimeError(f"not all rows are done: {done}")
    return {
        "rows": done["done"],
        "secs": secs,
        "cpu_secs": sum(stage.cpu_secs for stage in stages.values()),
        "peak_mb": max(stage.peak_bytes for stage in stages.values()) >> 20,
        "stages": [
            {
                "stage": name,
                "label": label(name),
                "secs": stage.secs,
                "cpu_secs": stage.cpu_secs,
                "peak_mb": stage.peak_bytes >> 20,
            }
            for name, stage in stages.items()
        ],
    }


def print_size(size: dict[str, Any]) -> None:
    """Prints what the stages of one size took, the longest first."""
    secs, cpu_secs = size["secs"], size["cpu_secs"]
    print(f"{size['rows']:,} rows: {secs:.0f} s, of the processor {cpu_secs:.0f} s, peak {size['peak_mb']:,} MB")
    for stage in sorted(size["stages"], key=lambda stage: -stage["secs"])[:12]:
        taken = f"{stage['secs']:8.1f} s {stage['cpu_secs']:8.1f} s {stage['peak_mb']:8,} MB"
        print(f"{taken}  {stage['label'][:110]}", flush=True)


def main() -> None:
    """Measures each size in a process of its own, prints, and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000], help="the sizes, rising")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where files go for a while")
    parser.add_argument("--here", action="store_true", help="measure the first size in this process and print JSON")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(arguments.rows[0], arguments.folder)))
        return
    sizes: list[dict[str, Any]] = []
    for rows in arguments.rows:
        start = Start()
        command = [sys.executable, "-m", "benchmarks.simulated_job", "--here", f"--rows={rows}"]
        output = run_measured([*command, f"--folder={arguments.folder}"]).output
        (line,) = [line for line in output.splitlines() if line.startswith('{"rows"')]
        sizes.append({**json.loads(line), "provenance": start.provenance()})
        print_size(sizes[-1])
        (RESULTS / "simulated_job.json").write_text(json.dumps({"sizes": sizes}, indent=1) + "\n")
    scaling_doc.write()
    for stage in courses(sizes) if len(sizes) > 1 else ():
        growth = f"rows^{stage['exponent']:.2f}, of the processor rows^{stage['cpu_exponent']:.2f}"
        print(f"{growth}  {stage['label'][:110]}")


if __name__ == "__main__":
    main()
