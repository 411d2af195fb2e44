"""The stages of a simulated job at several sizes: which are the same ones, and how each grows with the rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# Of the processor, at the largest size: of shorter ones the figures are noise.
MIN_SECS = 1.0
_TAKEN = ("secs", "cpu_secs", "peak_mb")


def courses(sizes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the whole job and each of its longer stages: what it took at each size, and how that grows.

    A stage is known by the steps that it fuses, whose order a runner changes from process to process; stages of the
    same steps are taken together. `exponents` are those of secs = a * rows^exponent, by least squares of the
    logarithms.

    Args:
      sizes: of one size of job each, rising, with `rows`, `secs`, `cpu_secs`, `peak_mb` and `stages`.

    Returns:
      {label, secs, cpu_secs, peak_mb, exponent, cpu_exponent}, the longest first; a figure is a list, one of each size.
    """
    by_steps = [_by_steps(size["stages"]) for size in sizes]
    longer = {steps: stage for steps, stage in by_steps[-1].items() if stage["cpu_secs"] >= MIN_SECS}
    named = {"all": list(sizes)} | {
        stage["label"]: [stages[steps] for stages in by_steps]
        for steps, stage in sorted(longer.items(), key=lambda item: -item[1]["cpu_secs"])
        if all(steps in stages for stages in by_steps)
    }
    rows = [size["rows"] for size in sizes]
    return [_course(label, rows, taken) for label, taken in named.items()]


def _by_steps(stages: Sequence[Mapping[str, Any]]) -> dict[frozenset[str], dict[str, Any]]:
    found: dict[frozenset[str], dict[str, Any]] = {}
    for stage in stages:
        together = found.setdefault(frozenset(stage["label"].split(", ")), {**stage, **dict.fromkeys(_TAKEN, 0)})
        together["secs"] += stage["secs"]
        together["cpu_secs"] += stage["cpu_secs"]
        together["peak_mb"] = max(together["peak_mb"], stage["peak_mb"])
    return found


def _course(label: str, rows: Sequence[int], taken: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    course = {name: [entry[name] for entry in taken] for name in _TAKEN}
    exponent, cpu_exponent = (
        float(np.polyfit(np.log(rows), np.log(course[name]), 1)[0]) for name in ("secs", "cpu_secs")
    )
    return {"label": label, **course, "exponent": exponent, "cpu_exponent": cpu_exponent}
