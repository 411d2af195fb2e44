"""Figures, which a measurement prints as one line of JSON, and processes with their peak memory."""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PREDICTIONS = Path(__file__).parent / "predictions.json"


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
      name: as in predictions.json.
      value: a ratio within one measurement, unless the name states a unit.
      details: the numbers it was computed from.
    """

    name: str
    value: float
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Finished:
    """A process that ended with status 0: its wall time, peak memory and output."""

    secs: float
    peak_bytes: int
    output: str


def run_measured(command: Sequence[str], **options: Any) -> Finished:
    """Runs a command and waits for it.

    The peak memory of a process includes what its parent held when it forked: call this from a process that holds
    little.

    Raises:
      RuntimeError: the command did not end with status 0; the message has the end of its output.
    """
    started = time.perf_counter()
    # One file for both streams: nothing reads a pipe during wait4.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit status {process.returncode}\n{output[-2000:]}")
    return Finished(time.perf_counter() - started, usage.ru_maxrss * 1024, output)


def run_figures(module: str, arguments: Sequence[str] = ()) -> list[Figure]:
    """Runs one measurement in a process of its own."""
    finished = run_measured([sys.executable, "-m", module, *arguments])
    # Libraries may log after the figures, while the process ends.
    found = [line for line in finished.output.splitlines() if line.startswith("[{")]
    return [Figure(**figure) for figure in json.loads(found[-1])]


def print_figures(figures: Iterable[Figure]) -> None:
    """Prints figures in the form that `run_figures` reads."""
    print(json.dumps([dataclasses.asdict(figure) for figure in figures]))


def main_of(doc: str, measure: Callable[..., Iterable[Figure]], **defaults: int) -> None:
    """Is the main function of a measurement: parses whole-number options with these defaults, measures and prints."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    print_figures(measure(**vars(parser.parse_args())))


def reached(figure: Figure, known: Mapping[str, Any]) -> bool:
    """Returns whether a figure meets its target; a figure without a target does."""
    return known.get("at_least", -float("inf")) <= figure.value <= known.get("at_most", float("inf"))


def target_text(known: Mapping[str, Any]) -> str:
    """Returns a target as text for a table."""
    if "at_most" in known:
        return f"<= {known['at_most']:g}"
    return f">= {known['at_least']:g}" if "at_least" in known else ""


def number(value: float | None) -> str:
    """Returns a number as text, to three digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
