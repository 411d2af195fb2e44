"""`stylebeam gallery`: builds gallery/ and dataset/ again from the records of an output directory."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator

from transforms.dataset import DATASET_MODES
from transforms.dataset.shards import grid_choices, write_dataset
from transforms.gallery.build import write_gallery
from transforms.measuring import Measured, measure_finished
from transforms.output import storage
from transforms.output.job import read_job
from transforms.output.measures import merge_measures
from transforms.output.metrics_files import metrics_are_current
from transforms.output.paths import Output
from transforms.output.rows import FileSource, MetricsRows, marker_rows
from transforms.stylize.picture_network import network_for


@dataclasses.dataclass(frozen=True)
class Rebuilt:
    """The path of the gallery's page; and what was measured, if that was asked for."""

    page: str
    measured: Measured | None = None


def rebuild(
    output: Output,
    dataset: str | None = None,
    title: str | None = None,
    measure: bool = False,
    weights_dir: str | None = None,
) -> Rebuilt:
    """Brings gallery/ and dataset/ up to date.

    They show the current manifest where its metrics are complete. Otherwise (the job died, or is still running) they
    show every finished run and every recorded failure. Files whose content would be the same are not written. Measures
    that were computed later are merged into complete metrics.

    Args:
      output: the output directory.
      dataset: what dataset/ holds, see DATASET_MODES; None repeats what the job was told.
      title: the page's heading; None repeats what the job was told.
      measure: measures the runs that lack a measure before.
      weights_dir: where to look for the network that measures first, see `publish_weights`.

    Raises:
      StorageError: the output directory does not exist, or cannot be read or written.
      ChoicesError: its choices.json is damaged or of another grid; nothing is written.
    """
    with _rows(output) as source:
        job = read_job(output)
        mode = dataset or (job.dataset if job and job.dataset in DATASET_MODES else None)
        choices = None if mode == "none" else grid_choices(output, source)
        measured = None
        if measure:
            measured = measure_finished(output, source, functools.partial(network_for, output, weights_dir))
        if isinstance(source, MetricsRows):
            merge_measures(output)
        page = write_gallery(output, source, title)
        if mode != "none":
            write_dataset(source, output, mode, choices=choices)
    return Rebuilt(page, measured)


@contextlib.contextmanager
def _rows(output: Output) -> Iterator[FileSource]:
    if metrics_are_current(output):
        yield MetricsRows(output)
        return
    with marker_rows(output) as source:
        if not (storage.exists(output.job) or any(True for _ in source.rows(["status"]))):
            raise storage.StorageError(f"{output.root}: no output directory of stylebeam: no job.json, no runs/")
        yield source
