"""The report as HTML: one file that asks for nothing else, and that prints well. All text of the grid is escaped."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from pipeline.report.effects import Runs
from pipeline.report.markup import MAX_LABELS, count_html, label_html, name_html, table_html, text_html
from pipeline.report.plots import effects_html

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1d2330; --soft: #596273; --line: #d9dde5; --mark: #1f5fbf;
  --empty: #f1f3f6; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #14171d; --ink: #e6e9ef; --soft: #a3acbb;
  --line: #353c49; --mark: #7fb0ff; --empty: #20252e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 .6rem; padding-top: .8rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0 .8rem; } .soft, figcaption span { color: var(--soft); }
.wide { overflow-x: auto; margin-bottom: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; min-width: 5rem; }
td.number, th.number { text-align: right; } td.number { white-space: nowrap; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1.2rem; }
figure { margin: 0; break-inside: avoid; } figure img, .none { display: block; width: 100%; aspect-ratio: 4 / 3;
  object-fit: contain; background: var(--empty); } .none { padding: 1rem; color: var(--soft); }
figcaption { font-size: .85rem; line-height: 1.4; padding-top: .4rem; overflow-wrap: anywhere; }
figcaption span { display: block; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; }
.plots svg { max-width: 24rem; }
svg { width: 100%; height: auto; display: block; font-size: 11px; fill: var(--soft); }
svg .title { font-size: 13px; font-weight: 600; fill: var(--ink); } svg circle { fill: var(--mark); }
svg .bar { stroke: var(--mark); stroke-width: 2; opacity: .55; }
svg .zero { stroke: var(--soft); stroke-dasharray: 3 3; }
section.parameter { break-inside: avoid; }
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
    """A picture of the report.

    Attributes:
      run_id: of its run.
      labels: what distinguishes it, label by dimension.
      notes: what it is best by, with the numbers.
      data_uri: its thumbnail; None if there is none.
    """

    run_id: str
    labels: Mapping[str, str]
    notes: Sequence[str]
    data_uri: str | None


@dataclasses.dataclass(frozen=True)
class Best:
    """The best pictures of one kind that are shown, and how many there are, shown or not."""

    pictures: Sequence[PictureShown]
    count: int


def report_html(title: str, runs: Runs, failures: Failures, by_measures: Best, by_total: Best) -> str:
    """Returns the page.

    Args:
      title: its heading.
      runs: the finished runs.
      failures: the rows that failed.
      by_measures: the best pictures of each pair by the measures.
      by_total: the pictures with the least total loss of each pair and objective.
    """
    heading = text_html(title)
    parts = [
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{heading}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">",
        f"<style>{_STYLE}</style></head><body><main><h1>{heading}</h1>",
        f'<p class="soft">{count_html(len(runs.run_ids), "picture")}, {count_html(failures.count, "failed row")}. '
        f"{count_html(int(runs.pairs.max(initial=-1)) + 1, 'pair')} of content and style.</p>",
        *_axes(runs),
        *_pictures(
            "Best pictures by measure",
            "For each pair of content and style, the picture that is best by each measure. None of the measures was "
            "optimised.",
            by_measures,
        ),
        *_pictures(
            "Best pictures by loss",
            "For each pair of content and style, and for each objective (weights, layers and what else defines the "
            "total loss), the picture with the least total loss: between objectives it does not compare.",
            by_total,
        ),
        *effects_html(runs),
        *_failures(failures),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def _axes(runs: Runs) -> Iterator[str]:
    yield "<h2>The grid</h2>"
    if not runs.dimensions:
        yield "<p>Nothing varies.</p>"
        return
    rows = []
    for dimension in runs.dimensions:
        labels = [label_html(value["label"]) for value in dimension["values"]]
        more = f" and {len(labels) - MAX_LABELS:,} more" if len(labels) > MAX_LABELS else ""
        rows.append([name_html(dimension["key"]), " · ".join(labels[:MAX_LABELS]) + more, f"{len(labels):,}"])
    yield table_html("What varies between the pictures", ["axis", "values", "number"], rows, numbers_from=2)


def _pictures(heading: str, about: str, best: Best) -> Iterator[str]:
    if not best.pictures:
        return
    shown = len(best.pictures)
    some = "" if shown == best.count else f" {shown} of {best.count:,} are shown, spread evenly over the grid."
    yield f'<h2>{heading}</h2><p>{about}{some}</p><div class="pictures">'
    yield from map(_figure, best.pictures)
    yield "</div>"


def _figure(picture: PictureShown) -> str:
    pair = [label_html(picture.labels[key]) for key in ("content", "style") if key in picture.labels]
    rest = [
        f"{name_html(key)} {label_html(label)}"
        for key, label in picture.labels.items()
        if key not in ("content", "style") and not key.startswith("extra.")
    ]
    name = " × ".join(pair) or label_html(picture.run_id)
    image = '<div class="none">no thumbnail</div>'
    if picture.data_uri:
        image = f'<img src="{text_html(picture.data_uri)}" alt="{name}">'
    lines = [", ".join(rest), *map(text_html, picture.notes), f"run {text_html(picture.run_id, 40)}"]
    spans = "".join(f"<span>{line}</span>" for line in lines if line)
    return f"<figure>{image}<figcaption><strong>{name}</strong>{spans}</figcaption></figure>"


def _failures(failures: Failures) -> Iterator[str]:
    if not failures.count:
        return
    yield "<h2>Failures</h2>"
    ordered = sorted(failures.reasons.items(), key=lambda item: (-item[1], item[0]))
    known = [(reason, count) for reason, count in ordered if reason in failures.examples]
    rows = [[label_html(reason), text_html(failures.examples[reason]), f"{count:,}"] for reason, count in known]
    yield table_html("Rows that failed, by reason", ["reason", "a message", "rows"], rows, numbers_from=2)
    if len(known) < len(ordered):
        others = failures.count - sum(count for _, count in known)
        yield f"<p>{count_html(others, 'row')} failed for {len(ordered) - len(known):,} further reasons.</p>"
