"""What a measurement hands on: figures as a line of JSON, and processes with their peak memory."""

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
      value: a ratio within one run, unless its name says a unit.
      details: what it was made from.
    """

    name: str
    value: float
    details: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Finished:
    """A process that ended well: its wall time, its peak memory and what it printed."""

    secs: float
    peak_bytes: int
    output: str


def run_measured(command: Sequence[str], **options: Any) -> Finished:
    """Runs a command and waits for it.

    A process counts what its parent held when it was born: measure from a process that is light.

    Raises:
      RuntimeError: it did not end with status 0; its output's end is in the message.
    """
    started = time.perf_counter()
    # Both streams in one file, because nobody reads a pipe while wait4 waits.
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
    # What libraries log when they are let go of may come after it.
    found = [line for line in finished.output.splitlines() if line.startswith("[{")]
    return [Figure(**figure) for figure in json.loads(found[-1])]


def print_figures(figures: Iterable[Figure]) -> None:
    """Prints figures as `run_figures` reads them."""
    print(json.dumps([dataclasses.asdict(figure) for figure in figures]))


def main_of(doc: str, measure: Callable[..., Iterable[Figure]], **defaults: int) -> None:
    """Parses whole-number options with these defaults, measures and prints: the main function of a measurement."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    print_figures(measure(**vars(parser.parse_args())))


def reached(figure: Figure, known: Mapping[str, Any]) -> bool:
    """Returns whether a figure is within its target; one without a target is."""
    return known.get("at_least", -float("inf")) <= figure.value <= known.get("at_most", float("inf"))


def target_text(known: Mapping[str, Any]) -> str:
    """Returns a target for people."""
    if "at_most" in known:
        return f"<= {known['at_most']:g}"
    return f">= {known['at_least']:g}" if "at_least" in known else ""


def number(value: float | None) -> str:
    """Returns a number for people, to three digits."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
