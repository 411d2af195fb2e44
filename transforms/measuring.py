"""Measures the pictures of a finished directory that lack measures, from the stored pictures and their input images."""

import dataclasses
import functools
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from stylecore.config.style_config import StyleConfig
from stylecore.errors import one_line
from stylecore.images.codec import decode_image
from stylecore.measures.measure import MEASURES, Network, measure
from transforms.output import storage
from transforms.output.commit import MAX_PICTURE_BYTES
from transforms.output.measures import later_measures, measured_ids, save_measures
from transforms.output.paths import Output, is_run_id
from transforms.output.rows import RowSource
from transforms.records import ManifestRow, Run, recorded_images
from transforms.stylize.loading import LoadingError, load_problem

logger = logging.getLogger(__name__)

# Pictures that are read at once; of these so many are measured, each with its input images in float32, which a cache
# mostly has.
AHEAD = 16
_computing = threading.BoundedSemaphore(4)
_LINE_SECS = 60.0
FindNetwork = Callable[[], Network | None]
_COLUMNS = (
    *("manifest_row", "run_id", "status", "content", "style", "initial", "config", "height", "width"),
    *("weights_sha256", "content_sha256", "style_sha256", "mask_sha256", "initial_sha256", "uris"),
    *(one.key for one in MEASURES),
)


@dataclasses.dataclass(frozen=True)
class Measured:
    """How many runs were measured, how many could not be, and why the first of these could not."""

    runs: int = 0
    left_out: int = 0
    reason: str | None = None

    def __add__(self, other: "Measured") -> "Measured":
        return Measured(self.runs + other.runs, self.left_out + other.left_out, self.reason or other.reason)


def measure_finished(output: Output, source: RowSource, find_network: FindNetwork = lambda: None) -> Measured:
    """Measures every finished run that lacks a measure, and writes what was found to measures/.

    A run whose picture or input images are gone or have changed stays as it is; one warning says how many did.

    Args:
      output: the output directory.
      source: its metrics rows, which say where the input images lie and which hashes they have.
      find_network: returns what computes the measures that need a network, or None: these then stay as they are. It is
        called once, if any run lacks such a measure.

    Raises:
      StorageError: measures/ cannot be listed or written.
    """
    work = functools.partial(_measure_run, output, measured_ids(output), _once(find_network))
    total = Measured()
    line_due = time.monotonic() + _LINE_SECS
    for one in storage.read_ahead(work, _finished(source), AHEAD):
        total += one
        if time.monotonic() > line_due:
            logger.info("%d runs measured, %d left out", total.runs, total.left_out)
            line_due = time.monotonic() + _LINE_SECS
    if total.left_out:
        logger.warning("%d runs could not be measured, the first: %s", total.left_out, total.reason)
    return total


def _finished(source: RowSource) -> Iterator[Mapping[str, Any]]:
    """Yields the first row of every finished run."""
    seen = set()
    for _, row in source.rows(_COLUMNS):
        if row["status"] == "done" and row["run_id"] not in seen:
            seen.add(row["run_id"])
            yield row


def _once(find_network: FindNetwork) -> FindNetwork:
    """Returns a function that several threads may call, and that finds the network at the first call."""
    found = functools.cache(find_network)
    lock = threading.Lock()

    def find() -> Network | None:
        with lock:
            return found()

    return find


def _measure_run(output: Output, known: Collection[str], find_network: FindNetwork, row: Mapping[str, Any]) -> Measured:
    run_id = row["run_id"]
    if not is_run_id(run_id):  # The metrics may come from anywhere, and this becomes a path.
        return Measured(left_out=1, reason=f"run_id {run_id!r:.40} is none")
    later = later_measures(output, run_id) if run_id in known else {}
    missing = [one for one in MEASURES if row.get(one.key) is None and one.key not in later]
    network = find_network() if any(one.needs_network for one in missing) else None
    wanted = [one.key for one in missing if network is not None or not one.needs_network]
    if not wanted:
        return Measured()
    try:
        values = _measures(output, row, network)
    except LoadingError as error:
        return Measured(left_out=1, reason=f"run {run_id}: {one_line(error, 300)}")
    save_measures(output, run_id, {**later, **{key: values[key] for key in wanted}})
    return Measured(runs=1)


def _measures(output: Output, row: Mapping[str, Any], network: Network | None) -> dict[str, float | None]:
    run = _run_of(row)
    data = storage.read_bytes(output.image(run.run_id), MAX_PICTURE_BYTES)
    with _computing:
        picture, problem = decode_image(data), load_problem(run)
        if picture.shape != problem.content.shape:
            raise ValueError(f"the picture has the shape {picture.shape}, its problem {problem.content.shape}")
        return measure(picture, *problem.in_colour, network)


def _run_of(row: Mapping[str, Any]) -> Run:
    """Returns the run of a metrics row, as a job had it; raises ValueError if the row does not say enough."""
    content, styles, initial = recorded_images(row)
    if not row.get("content_sha256") or not row.get("style_sha256"):
        raise ValueError("its metrics do not say which input images it had")
    config = StyleConfig.from_dict({name: value for name, value in row["config"].items() if value is not None})
    number = row["manifest_row"]
    manifest_row = ManifestRow(
        number, f"row {number}", row["run_id"], *content, styles, config, extra=None, initial=initial
    )
    return Run(
        row["run_id"],
        manifest_row,
        row["content_sha256"],
        tuple(row["style_sha256"]),
        row["weights_sha256"],
        row["height"],
        row["width"],
        tuple(row.get("mask_sha256") or ()),
        row.get("initial_sha256"),
    )
