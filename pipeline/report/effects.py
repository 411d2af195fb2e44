"""What the runs of a grid have in common as arrays, which are best, and which parameter moves which loss how much."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from stylecore.config.style_config import defining_fields
from transforms.gallery.summary import Summary
from transforms.output.record import LOSSES

# Loss terms compare only where these agree, and the total loss where those agree.
DEFINITION = defining_fields("terms")
OBJECTIVE = defining_fields("total")
TERMS = tuple(loss for loss in LOSSES if loss.short != "total")
# A parameter with more values is an identifier, as a seed may be; it would make no readable plot.
MAX_VALUES = 24


@dataclasses.dataclass(frozen=True)
class Runs:
    """The finished runs of a grid.

    Attributes:
      run_ids: of each run.
      losses: loss column -> float64 [runs]; NaN where there is none.
      dimensions: what varies, as `Summary.index` describes it.
      codes: dimension -> int64 [runs], the number of each run's value among the dimension's.
      pairs: int64 [runs], the number of each run's pair (content, style).
    """

    run_ids: Sequence[str]
    losses: dict[str, np.ndarray]
    dimensions: Sequence[dict[str, Any]]
    codes: dict[str, np.ndarray]
    pairs: np.ndarray

    @classmethod
    def from_summary(cls, summary: Summary) -> "Runs":
        """Takes the runs out of a summary of the metrics."""
        chunks = list(summary.run_chunks())
        dimensions = summary.index()["dimensions"]
        run_ids = [run_id for chunk in chunks for run_id in chunk["run_id"]]
        losses = {loss.key: [value for chunk in chunks for value in chunk[loss.key]] for loss in LOSSES}
        codes = {
            dimension["key"]: np.array([code for chunk in chunks for code in chunk["codes"][dimension["key"]]], int)
            for dimension in dimensions
        }
        one = np.zeros(len(run_ids), int)
        return cls(
            run_ids,
            {key: np.array(values, float) for key, values in losses.items()},
            dimensions,
            codes,
            _numbered([codes.get("content", one), codes.get("style", one)]),
        )

    def comparable(self) -> np.ndarray:
        """Returns [runs], the number of each run's pair and definition of the losses: only within it losses compare."""
        return _numbered([self.pairs, *(codes for name, codes in self.codes.items() if name in DEFINITION)])


@dataclasses.dataclass(frozen=True)
class Effect:
    """How a loss term moves with a parameter, over the pairs (content, style) that have all its values.

    A pair's factor for a value is the geometric mean of the term over its runs with that value, divided by the
    geometric mean of these means over all values. Each field is [values].
    """

    pairs: int
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray

    @property
    def strength(self) -> float:
        """The largest median factor over the smallest."""
        return float(self.median.max() / self.median.min())


def effect(losses: np.ndarray, codes: np.ndarray, pairs: np.ndarray, values: int) -> Effect | None:
    """Returns the effect of a parameter on a loss, or None if no pair has a positive loss at every value.

    Args:
      losses: [runs]; runs whose loss is not positive and finite are left out.
      codes: [runs], the number of each run's value, below `values`.
      pairs: [runs], the number of each run's pair.
      values: how many values the parameter has.
    """
    usable = np.isfinite(losses) & (losses > 0)
    if not usable.any():
        return None
    cells, size = pairs[usable] * values + codes[usable], (int(pairs.max()) + 1) * values
    counts = np.bincount(cells, minlength=size).reshape(-1, values)
    sums = np.bincount(cells, np.log(losses[usable]), size).reshape(-1, values)
    complete = (counts > 0).all(axis=1)
    if not complete.any():
        return None
    means = sums[complete] / counts[complete]
    low, median, high = np.exp(np.percentile(means - means.mean(axis=1, keepdims=True), [10, 50, 90], axis=0))
    return Effect(int(complete.sum()), low, median, high)


def values_to_compare(codes: np.ndarray, pairs: np.ndarray, values: int) -> np.ndarray:
    """Returns the numbers of those values that most pairs have in common, rising; all of them where a pair has all.

    Parameters that vary together leave no pair with every value; some pairs may still have two or more.

    Args:
      codes: [runs], the number of each run's value, below `values`.
      pairs: [runs], the number of each run's pair.
      values: how many values the parameter has.

    Returns:
      At least two numbers, or none.
    """
    present = np.bincount(pairs * values + codes, minlength=(int(pairs.max(initial=-1)) + 1) * values) > 0
    sets = np.unique(present.reshape(-1, values), axis=0)
    sets = sets[sets.sum(axis=1) >= 2]
    if not len(sets):
        return np.zeros(0, int)
    shared = [(int((present.reshape(-1, values)[:, chosen]).all(axis=1).sum()), int(chosen.sum())) for chosen in sets]
    most = max(range(len(sets)), key=lambda number: (sets[number].all(), *shared[number]))
    return np.flatnonzero(sets[most])


def best_runs(runs: Runs) -> list[int]:
    """Returns the run with the least total loss of each pair and objective: within these alone the total compares."""
    keys = [codes for name, codes in runs.codes.items() if name in OBJECTIVE]
    groups = _numbered([runs.pairs, *keys])
    totals = np.where(np.isfinite(runs.losses["loss_total"]), runs.losses["loss_total"], np.inf)
    order = np.lexsort((totals, groups))
    first = np.ones(len(order), bool)
    first[1:] = groups[order][1:] != groups[order][:-1]
    return [int(run) for run in order[first] if np.isfinite(totals[run])]


def _numbered(keys: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the number of each run's combination of keys, in the keys' order."""
    if not len(keys[0]):
        return np.zeros(0, int)
    return np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
