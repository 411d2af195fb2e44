"""The report as HTML: one file that asks for nothing else, and that prints well. All text of the grid is escaped."""

import dataclasses
import html
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from pipeline.report.effects import DEFINITION, MAX_VALUES, TERMS, Effect, Runs, effect, values_to_compare
from transforms.gallery.labels import number_label

MAX_LABELS = 12
MAX_LABEL_CHARS = 80

_STYLE = """
:root { color-scheme: light; --ink: #1d2330; --soft: #596273; --line: #d9dde5; --mark: #1f5fbf; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem; max-width: 62rem; background: #fff; color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .6rem; padding-top: .8rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0 .8rem; } .soft, figcaption span { color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
td.number, th.number { text-align: right; white-space: nowrap; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1.2rem; }
figure { margin: 0; break-inside: avoid; } figure img, .none { display: block; width: 100%; aspect-ratio: 4 / 3;
  object-fit: contain; background: #f1f3f6; } .none { padding: 1rem; color: var(--soft); }
figcaption { font-size: .85rem; line-height: 1.4; padding-top: .4rem; overflow-wrap: anywhere; }
figcaption span { display: block; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; display: block; } section.parameter { break-inside: avoid; }
@media print { body { padding: 0; max-width: none; font-size: 11pt; } h2 { break-after: avoid; }
  .pictures { grid-template-columns: repeat(4, 1fr); } }
"""


@dataclasses.dataclass(frozen=True)
class Failures:
    """How many rows failed for each reason, and a message of some of these reasons."""

    reasons: Mapping[str, int]
    examples: Mapping[str, str]

    @property
    def count(self) -> int:
        """How many rows failed."""
        return sum(self.reasons.values())


@dataclasses.dataclass(frozen=True)
class PictureShown:
    """A picture of the report: what distinguishes it, label by dimension, and its thumbnail as a data URI."""

    run_id: str
    labels: Mapping[str, str]
    loss_total: float
    data_uri: str | None


def report_html(title: str, runs: Runs, failures: Failures, pictures: Sequence[PictureShown], best: int) -> str:
    """Returns the page.

    Args:
      title: its heading.
      runs: the finished runs.
      failures: the rows that failed.
      pictures: the best pictures that are shown.
      best: how many best pictures there are, shown or not.
    """
    heading = _text(title)
    parts = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">",
        f"<style>{_STYLE}</style></head><body><main><h1>{heading}</h1>",
        f'<p class="soft">{_count(len(runs.run_ids), "picture")}, {_count(failures.count, "failed row")}. '
        f"{_count(int(runs.pairs.max(initial=-1)) + 1, 'pair')} of content and style.</p>",
        *_axes(runs),
        *_pictures(pictures, best),
        *_effects(runs),
        *_failures(failures),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def _text(value: str, most: int | None = None) -> str:
    """Returns text as HTML, cut to `most` characters."""
    return html.escape(value if most is None or len(value) <= most else value[: most - 1] + "…")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _name(key: str) -> str:
    return _text(key.removeprefix("extra.").replace("_", " "), MAX_LABEL_CHARS)


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int) -> str:
    """Returns a table of cells that are HTML; columns from `numbers_from` on hold numbers."""
    kinds = ['class="number"' if column >= numbers_from else "" for column in range(len(heads))]
    head = "".join(f'<th scope="col" {kind}>{text}</th>' for kind, text in zip(kinds, heads, strict=True))
    body = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td {kind}>{cell}</td>" for kind, cell in zip(kinds[1:], rest, strict=True))
        + "</tr>"
        for first, *rest in rows
    )
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _axes(runs: Runs) -> Iterator[str]:
    yield "<h2>The grid</h2>"
    if not runs.dimensions:
        yield "<p>Nothing varies.</p>"
        return
    rows = []
    for dimension in runs.dimensions:
        labels = [_text(value["label"], MAX_LABEL_CHARS) for value in dimension["values"]]
        more = f" and {len(labels) - MAX_LABELS:,} more" if len(labels) > MAX_LABELS else ""
        rows.append([_name(dimension["key"]), " · ".join(labels[:MAX_LABELS]) + more, f"{len(labels):,}"])
    yield _table("What varies between the pictures", ["axis", "values", "number"], rows, numbers_from=2)


def _pictures(pictures: Sequence[PictureShown], best: int) -> Iterator[str]:
    if not pictures:
        return
    some = "" if len(pictures) == best else f" {len(pictures)} of {best:,} are shown, spread evenly over the grid."
    yield "<h2>Best pictures</h2>"
    yield (
        "<p>For each pair of content and style, and for each objective (weights, layers and what else defines the "
        f"total loss), the picture with the least total loss: between objectives it does not compare.{some}</p>"
    )
    yield '<div class="pictures">'
    for picture in pictures:
        pair = [_text(picture.labels[key], MAX_LABEL_CHARS) for key in ("content", "style") if key in picture.labels]
        rest = [
            f"{_name(key)} {_text(label, MAX_LABEL_CHARS)}"
            for key, label in picture.labels.items()
            if key not in ("content", "style") and not key.startswith("extra.")
        ]
        name = " × ".join(pair) or _text(picture.run_id, MAX_LABEL_CHARS)
        image = (
            f'<img src="{_text(picture.data_uri)}" alt="{name}">'
            if picture.data_uri
            else '<div class="none">no thumbnail</div>'
        )
        yield (
            f"<figure>{image}<figcaption><strong>{name}</strong><span>{', '.join(rest)}</span>"
            f"<span>total loss {number_label(picture.loss_total)}, run {_text(picture.run_id, 40)}</span>"
            "</figcaption></figure>"
        )
    yield "</div>"


def _effects(runs: Runs) -> Iterator[str]:
    parameters = [dimension for dimension in runs.dimensions if dimension["kind"] == "parameter"]
    if not parameters:
        return
    yield "<h2>What moves what</h2>"
    yield (
        "<p>Each point is the factor by which a value of the parameter changes a loss term, against the mean over the "
        "parameter's values: the median over the pairs of content and style, with a bar from the 10th to the 90th "
        "percentile of pairs. Means are geometric, and taken over all other parameters; where not every combination "
        "was run, effects of parameters that vary together mix. Terms are unweighted. Where layers, backbone or "
        "what else defines the losses varies, a pair counts once for each definition.</p>"
    )
    left_out, pairs = [], runs.comparable()
    for dimension in parameters:
        key, values = dimension["key"], dimension["values"]
        if key in DEFINITION:
            left_out.append(f"{_name(key)} (losses are defined by it, so that they do not compare)")
        elif len(values) > MAX_VALUES:
            left_out.append(f"{_name(key)} ({len(values):,} values)")
        else:
            compared = values_to_compare(runs.codes[key], pairs, len(values))
            known = _known_effects(runs, key, pairs, compared)
            if known:
                yield from _parameter(_name(key), [values[number]["label"] for number in compared], known)
            else:
                left_out.append(f"{_name(key)} (it varies only together with what defines the losses)")
            others = [_text(value["label"], MAX_LABEL_CHARS) for n, value in enumerate(values) if n not in compared]
            if known and others:
                left_out.append(
                    f"{_name(key)} {', '.join(others[:MAX_LABELS])} (no pair has it beside the other values)"
                )
    if left_out:
        yield f"<p>Not compared: {'; '.join(left_out)}.</p>"


def _known_effects(runs: Runs, key: str, pairs: np.ndarray, compared: np.ndarray) -> dict[str, Effect]:
    """Returns the effects of a parameter's compared values on each loss term that has any."""
    if not len(compared):
        return {}
    chosen = np.isin(runs.codes[key], compared)
    codes, of_pairs = np.searchsorted(compared, runs.codes[key][chosen]), pairs[chosen]
    found = {term.label: effect(runs.losses[term.key][chosen], codes, of_pairs, len(compared)) for term in TERMS}
    return {label: one for label, one in found.items() if one is not None}


def _parameter(name: str, labels: Sequence[str], effects: Mapping[str, Effect]) -> Iterator[str]:
    yield f'<section class="parameter"><h3>{name}</h3><div class="plots">'
    low = min(float(one.low.min()) for one in effects.values())
    high = max(float(one.high.max()) for one in effects.values())
    for term, one in effects.items():
        yield _plot(term, labels, one, low, high)
    yield "</div>"
    rows = [
        [_text(label, MAX_LABEL_CHARS), *(_factor(one, value) for one in effects.values())]
        for value, label in enumerate(labels)
    ]
    rows.append(["largest over smallest", *(f"{one.strength:.3g}" for one in effects.values())])
    pairs = ", ".join(f"{term} {one.pairs:,}" for term, one in effects.items())
    caption = f"Factors with their 10th to 90th percentiles; pairs that have every value: {pairs}"
    yield _table(caption, [name, *effects], rows, numbers_from=1) + "</section>"


def _factor(one: Effect, value: int) -> str:
    return f"{one.median[value]:.3g} ({one.low[value]:.3g} to {one.high[value]:.3g})"


def _plot(term: str, labels: Sequence[str], one: Effect, low: float, high: float) -> str:
    """Returns an SVG of a term's factors on a logarithmic scale from `low` to `high`, shared by plots side by side."""
    left, right, top, bottom = 44, 290, 26, 140
    # At least 2 % each way: differences that are smaller look as small as they are.
    low, high = np.log(min(low, 1 / 1.02)), np.log(max(high, 1.02))

    def y(factor: float) -> float:
        return float(bottom - (np.log(factor) - low) / (high - low) * (bottom - top))

    across = np.linspace(left, right, 2 * len(labels) + 1)[1::2]
    marks = [
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y(lowest):.1f}" y2="{y(highest):.1f}" stroke="#1f5fbf" '
        f'stroke-width="2" opacity=".55"/><circle cx="{x:.1f}" cy="{y(middle):.1f}" r="4" fill="#1f5fbf"/>'
        for x, lowest, middle, highest in zip(across, one.low, one.median, one.high, strict=True)
    ]
    ends = [f'<text x="{left - 6}" y="{y(f) + 4:.1f}" text-anchor="end">{f:.3g}</text>' for f in np.exp([low, high])]
    shown = range(0, len(labels), -(-len(labels) // 6))
    below = [f'<text x="{across[v]:.1f}" y="158" text-anchor="middle">{_text(labels[v], 9)}</text>' for v in shown]
    return (
        f'<svg viewBox="0 0 300 166" role="img" aria-label="{_text(term)}: factor by value" font-size="11" '
        f'fill="#3c4454"><text x="{left}" y="14" font-weight="600" font-size="13">{_text(term)}</text>'
        f'<line x1="{left}" x2="{right}" y1="{y(1):.1f}" y2="{y(1):.1f}" stroke="#9aa3b2" stroke-dasharray="3 3"/>'
        f"{''.join(marks)}{''.join(ends)}{''.join(below)}</svg>"
    )


def _failures(failures: Failures) -> Iterator[str]:
    if not failures.count:
        return
    yield "<h2>Failures</h2>"
    ordered = sorted(failures.reasons.items(), key=lambda item: (-item[1], item[0]))
    known = [(reason, count) for reason, count in ordered if reason in failures.examples]
    rows = [[_text(reason, MAX_LABEL_CHARS), _text(failures.examples[reason]), f"{count:,}"] for reason, count in known]
    yield _table("Rows that failed, by reason", ["reason", "a message", "rows"], rows, numbers_from=2)
    if len(known) < len(ordered):
        others = failures.count - sum(count for _, count in known)
        yield f"<p>{_count(others, 'row')} failed for {len(ordered) - len(known):,} further reasons.</p>"
