"""Writes docs/reproduction.md from the results; the same results give the same bytes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from experiments.drawing import curves, strip
from experiments.judging import Claim, Finding
from experiments.pictures import TERMS, Picture
from experiments.results import Results, names
from experiments.sections import SECTIONS, Section
from experiments.sizes import FULL, Size, estimated_secs

_VERDICTS = {True: "holds", False: "does **not** hold", None: "not verified"}


def write_report(results: Results, size: Size, report: Path) -> Counter[bool | None]:
    """Writes the report and, in a folder of its name beside it, its pictures; returns the number of each verdict."""
    folder = report.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    findings = {
        section.number: [(claim, claim.find(results.pictures.get(section.grid, ()))) for claim in section.claims]
        for section in SECTIONS
    }
    verdicts = Counter(finding.holds for found in findings.values() for _, finding in found)
    lines = [*_head(results, size), *_overview(findings, verdicts)]
    for section in SECTIONS:
        lines += _section(section, results, findings[section.number], size, folder)
    report.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return verdicts


def tally(verdicts: Counter[bool | None]) -> str:
    """Returns the number of each verdict in words."""
    return f"{verdicts[True]} claims hold, {verdicts[False]} do not, {verdicts[None]} could not be verified here"


def _head(results: Results, size: Size) -> list[str]:
    runs = results.runs()
    return [
        "# The paper's experiments, reproduced",
        "",
        "Written by `make reproduce`: pictures, curves, numbers and verdicts are computed from the metrics of one job",
        "(experiments/). Photographs and paintings are the demo's; claims are the paper's, unless marked as a check of",
        "ours.",
        "",
        *_sizes(results, size),
        *(_versions(run) for run in runs[:1]),
        "",
        "Losses are unweighted, but for L_total, and use the reduction `mean`. A claim must hold for each photograph",
        "of its section. Criteria were written down before the results were seen; they stand in experiments/claims.py.",
    ]


def _sizes(results: Results, size: Size) -> list[str]:
    runs = results.runs()
    shapes = sorted({f"{run['width']}x{run['height']}" for run in runs})
    # An estimate, because measured seconds would differ each time.
    minutes = sum(estimated_secs(run["iterations"], run["height"], run["width"]) for run in runs) / 60
    rows = sum(len(rows) for rows in results.rows.values())
    other = "" if size == FULL else " `make reproduce FULL=1` runs them at the paper's size."
    return [
        f"**Size.** {size.described()} (section 4.4: {_iterations(results, '4_04_iterations')}); pictures of "
        f"{', '.join(shapes)} px. {len(runs)} runs for {rows} rows: experiments share runs. "
        f"About {minutes:.0f} minutes on 2 idle CPU cores.{other}"
    ]


def _iterations(results: Results, grid: str) -> str:
    return (
        ", ".join(sorted({str(row["iterations"]) for row in results.finished(grid)})) if grid in results.rows else "-"
    )


def _versions(run: dict) -> str:
    return (
        f"StyleBeam {run['stylebeam_version']}, TensorFlow {run['tensorflow_version']}, on {run['device']}; "
        f"VGG19 weights {run['weights_sha256'][:16]}."
    )


def _overview(findings: dict[str, list[tuple[Claim, Finding]]], verdicts: Counter[bool | None]) -> list[str]:
    rows = [
        f"| [{number}](#{_anchor(number)}) | {claim.text} | {_VERDICTS[finding.holds]} |"
        for number, found in findings.items()
        for claim, finding in found
    ]
    return ["", "## All claims", "", f"{tally(verdicts)}.", "", "| section | claim | verdict |", "|---|---|---|", *rows]


def _anchor(number: str) -> str:
    return f"section-{number.replace('.', '-')}"


def _section(
    section: Section, results: Results, findings: Sequence[tuple[Claim, Finding]], size: Size, folder: Path
) -> list[str]:
    rows = results.rows.get(section.grid, ())
    return [
        "",
        f'<a id="{_anchor(section.number)}"></a>',
        "",
        f"## {section.number} {section.title}",
        "",
        f"Varies: {section.varies}. Grid: [{section.grid}.yaml](../experiments/{section.grid}.yaml).",
        *_drawn(section, results, folder),
        *_losses(results.pictures.get(section.grid, ())),
        *_failures(rows),
        "",
        "| claim | criterion | measured | verdict |",
        "|---|---|---|---|",
        *(_finding_row(claim, finding) for claim, finding in findings),
        *_doubts(findings, size),
    ]


def _drawn(section: Section, results: Results, folder: Path) -> list[str]:
    pictures = results.pictures.get(section.grid, ())
    if not pictures:
        return []
    stem = section.grid
    (folder / f"{stem}.webp").write_bytes(strip(_lines(pictures, section, results)))
    (folder / f"{stem}_curves.png").write_bytes(curves(pictures))
    labels = ", ".join(dict.fromkeys(picture.label for picture in pictures))
    return [
        "",
        f"![Photograph, painting and results: {labels}]({folder.name}/{stem}.webp)",
        "",
        f"![Loss terms over the iterations, log scale: {labels}]({folder.name}/{stem}_curves.png)",
    ]


def _lines(pictures: Sequence[Picture], section: Section, results: Results) -> list[dict[str, np.ndarray]]:
    lines: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for picture, row in zip(pictures, results.finished(section.grid), strict=True):
        photograph, painting = names(row)
        inputs = {
            photograph: results.photographs[photograph],
            painting.replace("_", " "): results.paintings[painting],
        }
        # The labels of the gallery section are the names of photograph and painting, which the inputs already show.
        label = "result" if picture.label.startswith(photograph) else picture.label
        lines.setdefault((photograph, painting), inputs)[label] = results.pixels[row["run_id"]]
    return list(lines.values())


def _losses(pictures: Sequence[Picture]) -> list[str]:
    rows = [
        f"| {picture.photograph} | {picture.label} | "
        + " | ".join(f"{picture.losses[term]:.3g}" for term in TERMS)
        + " |"
        for picture in pictures
    ]
    head = ["", "| photograph | picture | L_content | L_style | L_tv | L_total |", "|---|---|---|---|---|---|"]
    return head * bool(rows) + rows


def _failures(rows: Iterable[dict]) -> list[str]:
    failed = [row for row in rows if row["status"] != "done"]
    return [""] * bool(failed) + [f"- Failed: {row['error_type']}: {row['error_message']}" for row in failed]


def _finding_row(claim: Claim, finding: Finding) -> str:
    measured = finding.measured if finding.holds is not None else f"{finding.measured}: {claim.unverified}"
    return f"| {claim.text} | {claim.criterion} | {measured} | {_VERDICTS[finding.holds]} |"


def _doubts(findings: Sequence[tuple[Claim, Finding]], size: Size) -> list[str]:
    """Returns the likeliest reason for each claim that does not hold."""
    smaller = "" if size == FULL else f" Nor is this the paper's size ({size.described()} here)."
    lines = [
        f'- "{claim.text}" does not hold. Likeliest reason, not tested: {claim.reason}.{smaller}'
        for claim, finding in findings
        if finding.holds is False
    ]
    return [""] * bool(lines) + lines
