"""Reads the metrics of an output directory in a stream, and writes the report of it."""

import base64
import logging
from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.report.effects import Runs, best_of_pairs, best_runs
from pipeline.report.page import Best, Failures, PictureShown, report_html
from stylecore.errors import UsageError, one_line
from stylecore.measures.measure import MEASURES
from transforms.gallery.labels import number_label
from transforms.gallery.part import RunColumns
from transforms.output import storage
from transforms.output.job import job_title
from transforms.output.metrics_files import read_metrics
from transforms.output.paths import Output, is_run_id
from transforms.output.record import LOSSES

logger = logging.getLogger(__name__)

HTML = "text/html; charset=utf-8"
MAX_PICTURES = 24
MAX_PICTURE_BYTES = 256 * 1024
MAX_REASONS = 20
_NUMBERS = [one.key for one in (*LOSSES, *MEASURES)]
_COLUMNS = ["run_id", "status", "content", "style", "initial", "config", "height", "width", *_NUMBERS, "extra"]


class ReportError(UsageError, ValueError):
    """A directory of which there is nothing to report."""


def write_report(directory: str, target: str | None = None, title: str | None = None) -> str:
    """Writes one HTML page about the grid of an output directory; returns its path.

    Args:
      directory: the output directory of a finished job, local or gs://.
      target: the file to write, local or gs://; `report.html` in the directory unless given.
      title: the page's heading; the job's unless given.

    Raises:
      ReportError: the directory has no metrics.
      StorageError: the metrics cannot be read, or the page cannot be written.
    """
    output = Output(directory)
    columns, failures = _read(output)
    runs = Runs.from_columns(columns)
    if not runs.run_ids and not failures.count:
        raise ReportError(f"{directory}: no metrics: expected the output directory of a finished job")
    total = {run: [f"total loss {number_label(float(runs.numbers['loss_total'][run]))}"] for run in best_runs(runs)}
    best = (_best(output, runs, notes) for notes in (_best_by_measures(runs), total))
    page = report_html(title or job_title(output), runs, failures, *best)
    target = target or storage.join(directory, "report.html")
    storage.write(target, page.encode(errors="replace"), HTML)
    return target


def _read(output: Output) -> tuple[RunColumns, Failures]:
    columns, reasons, examples = RunColumns(), dict[str, int](), dict[str, str]()
    for row in read_metrics(output, [*_COLUMNS, "error_type", "error_message"]):
        if row["status"] != "done":
            reason = row["error_type"] or "unknown"
            reasons[reason] = reasons.get(reason, 0) + 1
            if len(examples) < MAX_REASONS:
                examples.setdefault(reason, one_line(row["error_message"] or "", 300))
        elif row["run_id"] not in columns:
            columns.add_run({**row, "content_thumb": None, "style_thumbs": []})
    return columns, Failures(reasons, examples)


def _best_by_measures(runs: Runs) -> dict[int, list[str]]:
    """Returns the runs that are best of their pair by any measure, each with what it is best by, in order of pairs."""
    notes: dict[int, list[str]] = {}
    for measure in runs.measures:
        for run in best_of_pairs(runs, measure):
            notes.setdefault(run, []).append(f"{measure.label} {float(runs.numbers[measure.key][run]):.3g}")
    return {run: notes[run] for run in sorted(notes, key=lambda run: (runs.pairs[run], run))}


def _best(output: Output, runs: Runs, notes: Mapping[int, Sequence[str]]) -> Best:
    return Best([_picture(output, runs, run, notes[run]) for run in _spread(list(notes), MAX_PICTURES)], len(notes))


def _spread(items: Sequence[int], most: int) -> list[int]:
    """Returns at most so many items, evenly spread over the whole."""
    if len(items) <= most:
        return list(items)
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, most).round()]


def _picture(output: Output, runs: Runs, run: int, notes: Sequence[str]) -> PictureShown:
    run_id = runs.run_ids[run]
    labels = {
        dimension["key"]: dimension["values"][runs.codes[dimension["key"]][run]]["label"]
        for dimension in runs.dimensions
    }
    return PictureShown(run_id, labels, notes, _data_uri(output, run_id))


def _data_uri(output: Output, run_id: str) -> str | None:
    """Returns a run's thumbnail; None if there is none, or one that is too large: the report then goes without."""
    if not is_run_id(run_id):  # The metrics may come from anywhere, and this becomes a path.
        return None
    try:
        data = storage.read_bytes(output.thumb(run_id), MAX_PICTURE_BYTES)
    except storage.StorageError as error:
        logger.warning("%s", error)
        return None
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
