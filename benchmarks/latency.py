"""Jobs on storage that answers after 50 ms, as a cloud's does: seconds of what waits for it.

    python -m benchmarks.latency rerun [--rows 100000] [--latency_ms 50]
    python -m benchmarks.latency failures [--rows 20000]
    python -m benchmarks.latency probe [--rows 10000]
    python -m benchmarks.latency plan [--rows 10000]

This process is the storage (the emulator of tests/support), another one the worker. The figures are printed, and
written to benchmarks/results/latency.json with their provenance.

- `rerun`: a job over --rows finished runs with nothing to do, and without a gallery or a dataset: their records are in
  the metrics of the last job, their images are known. `rerun_first_secs` is the same before anything is known of them.
- `failures`: --rows rows with different faults, each recorded under an id of its own.
- `probe`: --rows images that are probed for the first time.
- `plan`: `stylebeam plan` over --rows rows, each with an image of its own, in several files.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import finished_grid
from benchmarks.figures import RESULTS, Figure, print_figures, run_measured
from benchmarks.provenance import Start
from tests.support.gcs_emulator import Emulator, running


def rerun(emulator: Emulator, rows: int) -> Iterator[Figure]:
    """A job with nothing to do, twice: the first keeps what it learns of the images."""
    grid = finished_grid.create(emulator, rows)
    for name in ("rerun_first_secs", "rerun_secs"):
        secs, details = _measured(emulator, "job", grid.manifest)
        yield Figure(name, secs, {"rows": rows, "images": grid.images, **details})


def failures(emulator: Emulator, rows: int) -> Iterator[Figure]:
    """Bad rows, each with a failure of its own."""
    secs, details = _measured(emulator, "failures", str(rows))
    yield Figure("failures_secs", secs, {"rows": rows, **details})


def probe(emulator: Emulator, rows: int) -> Iterator[Figure]:
    """Images that nobody has seen before."""
    finished_grid.create_images(emulator, rows)
    secs, details = _measured(emulator, "probe", str(rows))
    yield Figure("probe_secs", secs, {"images": rows, **details})


def plan(emulator: Emulator, rows: int) -> Iterator[Figure]:
    """A plan of rows whose images nobody has seen before."""
    manifest = finished_grid.create_rows(emulator, rows)
    emulator.requests.clear()
    began = time.monotonic()
    command = emulator.command("plan", "--manifest", manifest)
    said, complaint = command.communicate()
    secs = time.monotonic() - began
    if command.returncode or f"{rows} distinct images" not in said:
        raise RuntimeError(f"exit status {command.returncode}\n{said}\n{complaint[-2000:]}")
    requests = Counter(method for method, _ in emulator.requests)
    details = {"images": rows, "latency_ms": round(emulator.latency_secs * 1000), "requests": dict(requests)}
    yield Figure("plan_secs", secs, details)


# name -> (the measurement, the number of rows that it is meant for)
MEASUREMENTS: dict[str, tuple[Callable[[Emulator, int], Iterator[Figure]], int]] = {
    "rerun": (rerun, 100_000),
    "failures": (failures, 20_000),
    "probe": (probe, 10_000),
    "plan": (plan, 10_000),
}


def _measured(emulator: Emulator, *arguments: str) -> tuple[float, dict[str, Any]]:
    """Runs `benchmarks.latency_worker` and returns its seconds, from its start on, with what it took."""
    emulator.requests.clear()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    worker = run_measured(
        [sys.executable, "-m", "benchmarks.latency_worker", *arguments],
        env={**os.environ, "STORAGE_EMULATOR_HOST": emulator.url},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_secs = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    requests = Counter(method for method, _ in emulator.requests)
    printed = json.loads(worker.output.strip().splitlines()[-1])
    details = {
        "latency_ms": round(emulator.latency_secs * 1000),
        "cpu_secs": round(cpu_secs, 1),
        "peak_mb": worker.peak_bytes >> 20,
    }
    return worker.secs, {**details, "requests": dict(requests), **printed}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", choices=MEASUREMENTS)
    parser.add_argument("--rows", type=int, help="default: the number that each is meant for")
    parser.add_argument("--latency_ms", type=int, default=50)
    parser.add_argument("--results", type=Path, default=RESULTS / "latency.json", help="default: %(default)s")
    arguments = parser.parse_args()
    for name in arguments.names:
        measure, rows = MEASUREMENTS[name]
        began = Start()
        with running() as emulator:
            emulator.latency_secs = arguments.latency_ms / 1000
            figures = list(measure(emulator, arguments.rows or rows))
        print_figures(figures)
        _keep(arguments.results, name, figures, began.provenance())


def _keep(path: Path, name: str, figures: Sequence[Figure], provenance: dict[str, Any]) -> None:
    """Writes the figures into the file of results, beside those of other measurements."""
    results = json.loads(path.read_text()) if path.exists() else {"figures": {}, "parts": {}}
    results["figures"].update({figure.name: {"value": figure.value, **figure.details} for figure in figures})
    results["parts"][name] = provenance
    path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
