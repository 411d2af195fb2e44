"""The runs of a grid as arrays: which are best, and which parameter moves which loss or measure how much."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from stylecore.config.style_config import defining_fields
from stylecore.measures.measure import MEASURES, Measure
from transforms.gallery.part import RunColumns
from transforms.gallery.summary import Summary
from transforms.output.record import LOSSES

# Loss terms compare only where these agree, and the total loss where those agree.
DEFINITION = defining_fields("terms")
OBJECTIVE = defining_fields("total")
TERMS = tuple(loss for loss in LOSSES if loss.short != "total")
By = Literal["factors", "differences"]
_PERCENTILES = (10, 50, 90)
# A parameter with more values is an identifier, as a seed may be; it would make no readable plot.
MAX_VALUES = 24


@dataclasses.dataclass(frozen=True)
class Runs:
    """The finished runs of a grid.

    Attributes:
      run_ids: of each run.
      numbers: column of a loss or measure -> float64 [runs]; NaN where there is none. Measures that no run has are left
        out.
      dimensions: what varies, as the page's index describes it.
      codes: dimension -> int64 [runs], the number of each run's value among the dimension's.
      pairs: int64 [runs], the number of each run's pair (content, style).
    """

    run_ids: Sequence[str]
    numbers: dict[str, np.ndarray]
    dimensions: Sequence[Mapping[str, Any]]
    codes: dict[str, np.ndarray]
    pairs: np.ndarray

    @classmethod
    def from_columns(cls, columns: RunColumns) -> "Runs":
        """Takes the runs out of the columns of the metrics."""
        part = columns.summary(0)
        summary = Summary([part])
        codes = summary.codes()
        known = {loss.key for loss in LOSSES} | part.measures
        numbers = {key: values.astype(float) for key, values in columns.numbers().items() if key in known}
        one = np.zeros(len(columns), int)
        return cls(
            summary.run_ids(),
            numbers,
            [dimension.described for dimension in summary.dimensions],
            codes,
            _numbered([codes.get("content", one), codes.get("style", one)]),
        )

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that any run has."""
        return tuple(one for one in MEASURES if one.key in self.numbers)

    def comparable(self) -> np.ndarray:
        """Returns [runs], the number of each run's pair and definition of the losses: only within it losses compare."""
        return _numbered([self.pairs, *(codes for name, codes in self.codes.items() if name in DEFINITION)])


@dataclasses.dataclass(frozen=True)
class Effect:
    """How a number moves with a parameter, over the pairs (content, style) that have all its values.

    Losses move by factors: a pair's factor for a value is the geometric mean over its runs with that value, divided by
    the geometric mean of these means. Measures move by differences: the same with sums in place of products.

    Attributes:
      pairs: how many pairs have all values.
      low, median, high: the 10th, 50th and 90th percentile over the pairs, [values].
      span: the same percentiles of the distance from each pair's least value to its largest, as a factor or difference.
    """

    pairs: int
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray
    span: np.ndarray


def effect(numbers: np.ndarray, codes: np.ndarray, pairs: np.ndarray, values: int, by: By = "factors") -> Effect | None:
    """Returns the effect of a parameter on a loss or measure, or None if no pair has a number at every value.

    Args:
      numbers: [runs]; runs without a finite number are left out, and so are numbers <= 0 that move by factors.
      codes: [runs], the number of each run's value, below `values`.
      pairs: [runs], the number of each run's pair.
      values: how many values the parameter has.
      by: factors or differences.
    """
    usable = np.isfinite(numbers) & ((numbers > 0) | (by == "differences"))
    if not usable.any():
        return None
    cells, size = pairs[usable] * values + codes[usable], (int(pairs.max()) + 1) * values
    counts = np.bincount(cells, minlength=size).reshape(-1, values)
    summed = np.log(numbers[usable]) if by == "factors" else numbers[usable]
    sums = np.bincount(cells, summed, size).reshape(-1, values)
    complete = (counts > 0).all(axis=1)
    if not complete.any():
        return None
    means = sums[complete] / counts[complete]
    moved = np.percentile(means - means.mean(axis=1, keepdims=True), _PERCENTILES, axis=0)
    span = np.percentile(np.ptp(means, axis=1), _PERCENTILES)
    low, median, high = np.exp(moved) if by == "factors" else moved
    return Effect(int(complete.sum()), low, median, high, np.exp(span) if by == "factors" else span)


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
    return _least(runs.numbers["loss_total"], _numbered([runs.pairs, *keys]))


def best_of_pairs(runs: Runs, measure: Measure) -> list[int]:
    """Returns the best run of each pair by a measure, in the order of the pairs."""
    numbers = runs.numbers[measure.key]
    return _least(-numbers if measure.better == "max" else numbers, runs.pairs)


def _least(costs: np.ndarray, groups: np.ndarray) -> list[int]:
    """Returns the run with the least cost of each group, the first of equals; a group without finite costs has none."""
    costs = np.where(np.isfinite(costs), costs, np.inf)
    order = np.lexsort((costs, groups))
    first = np.ones(len(order), bool)
    first[1:] = groups[order][1:] != groups[order][:-1]
    return [int(run) for run in order[first] if np.isfinite(costs[run])]


def _numbered(keys: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the number of each run's combination of keys, in the keys' order."""
    if not len(keys[0]):
        return np.zeros(0, int)
    return np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
