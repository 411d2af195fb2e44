"""The report's section "What moves what": an overview of the measures, and plots and tables of each parameter."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.report.effects import DEFINITION, MAX_VALUES, TERMS, By, Effect, Runs, effect, values_to_compare
from pipeline.report.markup import MAX_LABELS, count_html, label_html, name_html, table_html, text_html
from stylecore.measures.measure import Measure

_ABOUT = (
    "Each point says what a value of the parameter does, against the mean over the parameter's values: the median over "
    "the pairs of content and style, with a bar from the 10th to the 90th percentile of pairs. Means are taken over "
    "all other parameters; where not every combination was run, effects of parameters that vary together mix. Loss "
    "terms move by factors, with geometric means. They are unweighted, and where layers, backbone or what else defines "
    "the losses varies, a pair counts once for each definition."
)
_ABOUT_MEASURES = " Measures move by differences; within a pair they compare whatever the weights and layers."


@dataclasses.dataclass(frozen=True)
class Moved:
    """The effects of a parameter's compared values on the numbers of one kind, by their labels.

    Attributes:
      name: the parameter's, as HTML.
      labels: of the compared values.
      effects: label -> effect.
      by: what the numbers move by.
    """

    name: str
    labels: Sequence[str]
    effects: Mapping[str, Effect]
    by: By


def effects_html(runs: Runs) -> Iterator[str]:
    """Yields the section; nothing if no parameter varies."""
    parameters = [dimension for dimension in runs.dimensions if dimension["kind"] == "parameter"]
    if not parameters:
        return
    yield "<h2>What moves what</h2>"
    yield f"<p>{_ABOUT}{_ABOUT_MEASURES if runs.measures else ''}</p>"
    readable = [dimension for dimension in parameters if len(dimension["values"]) <= MAX_VALUES]
    left_out = [
        f"{name_html(dimension['key'])} ({count_html(len(dimension['values']), 'value')})"
        for dimension in parameters
        if len(dimension["values"]) > MAX_VALUES
    ]
    measured = {dimension["key"]: _by_measures(runs, dimension) for dimension in readable}
    yield from _overview(runs.measures, measured)
    for dimension in readable:
        kinds = [measured[dimension["key"]], _by_losses(runs, dimension, left_out)]
        if any(kind.effects for kind in kinds):
            yield f'<section class="parameter"><h3>{name_html(dimension["key"])}</h3>'
            for kind in kinds:
                yield from _parameter(kind)
            yield "</section>"
    if left_out:
        yield f"<p>Not compared: {'; '.join(left_out)}.</p>"


def _by_measures(runs: Runs, dimension: Mapping[str, Any]) -> Moved:
    numbers = {one.label: runs.numbers[one.key] for one in runs.measures}
    return _moved(runs, dimension, runs.pairs, numbers, "differences")[0]


def _by_losses(runs: Runs, dimension: Mapping[str, Any], left_out: list[str]) -> Moved:
    """Returns the effects on the loss terms, and adds to `left_out` what does not compare."""
    name = name_html(dimension["key"])
    if dimension["key"] in DEFINITION:
        left_out.append(f"loss terms by {name} (they are defined by it)")
        return Moved(name, [], {}, "factors")
    numbers = {f"{term.label} loss": runs.numbers[term.key] for term in TERMS}
    moved, others = _moved(runs, dimension, runs.comparable(), numbers, "factors")
    if not moved.effects:
        left_out.append(f"loss terms by {name} (it varies only together with what defines the losses)")
    elif others:
        shown = ", ".join(map(label_html, others[:MAX_LABELS]))
        left_out.append(f"loss terms by {name} {shown} (no pair has it beside the other values)")
    return moved


def _moved(
    runs: Runs, dimension: Mapping[str, Any], pairs: np.ndarray, numbers: Mapping[str, np.ndarray], by: By
) -> tuple[Moved, list[str]]:
    """Returns the effects of a parameter, and the labels of its values that are not compared."""
    values = [value["label"] for value in dimension["values"]]
    codes = runs.codes[dimension["key"]]
    compared = values_to_compare(codes, pairs, len(values))
    found: dict[str, Effect] = {}
    if len(compared):
        chosen = np.isin(codes, compared)
        places = np.searchsorted(compared, codes[chosen])
        effects = {
            label: effect(column[chosen], places, pairs[chosen], len(compared), by) for label, column in numbers.items()
        }
        found = {label: one for label, one in effects.items() if one is not None}
    others = [label for number, label in enumerate(values) if number not in compared]
    return Moved(name_html(dimension["key"]), [values[number] for number in compared], found, by), others


def _overview(measures: Sequence[Measure], measured: Mapping[str, Moved]) -> Iterator[str]:
    """Yields a table of all parameters: how far each moves each measure, and at which of its values it is best."""
    known = [moved for moved in measured.values() if moved.effects]
    if not known:
        return
    heads = [f"{text_html(one.label)}, {'more' if one.better == 'max' else 'less'} is better" for one in measures]
    rows = [[moved.name, *(_overview_cell(moved, one) for one in measures)] for moved in known]
    caption = (
        "How far each parameter moves each measure: largest less least mean, median (10th to 90th percentile) of pairs"
    )
    yield table_html(caption, ["parameter", *heads], rows, numbers_from=len(heads) + 1)


def _overview_cell(moved: Moved, measure: Measure) -> str:
    one = moved.effects.get(measure.label)
    if one is None:
        return "not known"
    best = int(np.argmax(one.median) if measure.better == "max" else np.argmin(one.median))
    return f"{_range(one.span)}, best at {label_html(moved.labels[best])}"


def _parameter(moved: Moved) -> Iterator[str]:
    if not moved.effects:
        return
    low = min(float(one.low.min()) for one in moved.effects.values())
    high = max(float(one.high.max()) for one in moved.effects.values())
    yield '<div class="plots">'
    for label, one in moved.effects.items():
        yield _plot(label, moved, one, low, high)
    yield "</div>"
    rows = [
        [label_html(label), *(_value(one, place) for one in moved.effects.values())]
        for place, label in enumerate(moved.labels)
    ]
    ends = "largest over least" if moved.by == "factors" else "largest less least"
    rows.append([ends, *(_range(one.span) for one in moved.effects.values())])
    pairs = ", ".join(f"{text_html(label)} {one.pairs:,}" for label, one in moved.effects.items())
    caption = (
        f"{moved.by.capitalize()} by {moved.name}, with their 10th to 90th percentiles; pairs with every value: {pairs}"
    )
    yield table_html(caption, [moved.name, *map(text_html, moved.effects)], rows, numbers_from=1)


def _value(one: Effect, place: int) -> str:
    return _range(np.array([one.low[place], one.median[place], one.high[place]]))


def _range(percentiles: np.ndarray) -> str:
    # What rounding leaves of nothing is nothing.
    low, middle, high = np.where(np.abs(percentiles) < 1e-9, 0.0, percentiles)
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def _plot(title: str, moved: Moved, one: Effect, low: float, high: float) -> str:
    """Returns an SVG of an effect between `low` and `high`, which plots side by side share; factors logarithmically."""
    left, right, top, bottom = 44, 290, 26, 140
    scale: Callable[[Any], Any] = np.log if moved.by == "factors" else np.asarray
    nothing = 1.0 if moved.by == "factors" else 0.0
    # At least 0.02 each way: differences that are smaller look as small as they are.
    low, high = min(low, nothing - 0.02), max(high, nothing + 0.02)

    def y(number: float) -> float:
        return float(bottom - (scale(number) - scale(low)) / (scale(high) - scale(low)) * (bottom - top))

    across = np.linspace(left, right, 2 * len(moved.labels) + 1)[1::2]
    marks = [
        f'<line class="bar" x1="{x:.1f}" x2="{x:.1f}" y1="{y(lowest):.1f}" y2="{y(highest):.1f}"/>'
        f'<circle cx="{x:.1f}" cy="{y(middle):.1f}" r="4"/>'
        for x, lowest, middle, highest in zip(across, one.low, one.median, one.high, strict=True)
    ]
    ends = [f'<text x="{left - 6}" y="{y(n) + 4:.1f}" text-anchor="end">{n:.3g}</text>' for n in (low, high)]
    shown = range(0, len(across), -(-len(across) // 6))
    below = [
        f'<text x="{across[v]:.1f}" y="158" text-anchor="middle">{text_html(moved.labels[v], 9)}</text>' for v in shown
    ]
    return (
        f'<svg viewBox="0 0 300 166" role="img" aria-label="{text_html(title)}: {moved.by} by {moved.name}">'
        f'<text class="title" x="0" y="14">{text_html(title)}</text>'
        f'<line class="zero" x1="{left}" x2="{right}" y1="{y(nothing):.1f}" y2="{y(nothing):.1f}"/>'
        f"{''.join(marks)}{''.join(ends)}{''.join(below)}</svg>"
    )
