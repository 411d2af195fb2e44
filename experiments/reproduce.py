"""Runs the paper's experiments and writes docs/reproduction.md: `python -m experiments.reproduce`.

All experiments form one manifest and one job: a run that several of them share is computed once, and a rerun computes
only what is missing.
"""

import argparse
import dataclasses
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from experiments.sections import SECTIONS
from experiments.sizes import FULL, REDUCED, Size, estimated_secs
from pipeline.cli.quiet import import_tensorflow
from pipeline.grid import write_grid
from stylecore.config.style_config import StyleConfig

if TYPE_CHECKING:
    from experiments.results import Results

HERE = Path(__file__).resolve().parent
DONE, ROWS_FAILED = 0, 3
# Float arithmetic depends on the batch size, and the optimisation amplifies the differences. A fixed batch size gives
# the same numbers whether the job was interrupted or not. Larger batches would mostly be short here, and be padded.
RUN_OPTIONS = ("--deterministic", "--batch_size=2")

Row = dict[str, Any]
# The name of a grid's file, and a factor of its iterations.
Grid = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to reproduce, and where the results go.

    Attributes:
      size: image size and iterations.
      output: receives the manifest and the job's output directory.
      report: the page to write; the pictures go beside it.
      grids: folder of the experiments' grids, with inputs/.
      overrides: further configuration fields to set in every row.
      run_options: options for `stylebeam run`.
    """

    size: Size
    output: Path
    report: Path
    grids: Path = HERE
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    run_options: Sequence[str] = RUN_OPTIONS


def reproduce(settings: Settings) -> int:
    """Runs the job and writes the report; returns the exit status."""
    import_tensorflow()
    from experiments.report import tally, write_report

    results, status = finished(settings, [(section.grid, section.iterations_factor) for section in SECTIONS])
    verdicts = write_report(results, settings.size, settings.report)
    print(f"{settings.report}: {tally(verdicts)}")
    return status


def finished(settings: Settings, grids: Sequence[Grid]) -> tuple["Results", int]:
    """Runs grids as one job; returns its results and the exit status."""
    from experiments.results import read_results
    from pipeline.run import run

    manifest = write_manifest(settings, grids)
    job = settings.output / "job"
    summary = run([f"--manifest={manifest}", f"--output={job}", "--dataset=none", *settings.run_options])
    return read_results(job, manifest), ROWS_FAILED if summary is None or summary.failed else DONE


def write_manifest(settings: Settings, grids: Sequence[Grid]) -> Path:
    """Expands grids at the chosen size into one manifest; the column `experiment` has the grid's name."""
    rows = [row for grid, factor in grids for row in _rows(settings, grid, factor)]
    if not has_resnet50(settings):
        print("ResNet50 is left out: its ImageNet weights cannot be had here")
        rows = [row for row in rows if _config(row).backbone != "resnet50"]
    print(f"{len(rows)} rows in {len(grids)} experiments, {settings.size.described()}: {_estimate(rows)}")
    path = settings.output / "manifest.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    return path


def _rows(settings: Settings, grid: str, iterations_factor: int) -> Iterator[Row]:
    # Beside the whole manifest, so that relative paths mean the same in both.
    part = settings.output / f"{grid}.parquet"
    overrides = {**settings.size.overrides(iterations_factor), **settings.overrides}
    write_grid(str(settings.grids / f"{grid}.yaml"), str(part), overrides)
    for row in pq.read_table(part).to_pylist(maps_as_pydicts="strict"):
        # The grids sweep different fields; as JSON, their configurations share one column.
        config = {name: value for name, value in row["config"].items() if value is not None}
        yield {**row, "config": json.dumps(config), "experiment": grid}
    part.unlink()


def _config(row: Row) -> StyleConfig:
    return StyleConfig.from_json(row["config"])


def has_resnet50(settings: Settings) -> bool:
    """Returns whether ResNet50's ImageNet weights can be found; a job that names missing weights does not start."""
    if settings.overrides.get("weights", "imagenet") != "imagenet":
        return False
    from stylecore.networks.weights.sources import WeightsError
    from transforms.output.published_weights import find_weights

    try:
        find_weights("resnet50", "imagenet", None)
    except WeightsError:
        return False
    return True


def _estimate(rows: Sequence[Row]) -> str:
    """Returns the estimated time on two cores as text; it assumes pictures of 3:2, like the demo's photographs."""
    runs = {(row["content"], row["style"], _config(row).canonical_json()): _config(row) for row in rows}
    secs = 0.0
    for config in runs.values():
        width = config.image_size or 512
        secs += estimated_secs(config.iterations, round(width * 2 / 3), width)
    return f"{len(runs)} runs, about {secs / 60:.0f} minutes on 2 idle cores if none is finished"


def main() -> int:
    """Parses the command line, writes the inputs and runs everything."""
    known = _parser().parse_args()
    size = FULL if known.full else REDUCED
    size = Size(known.image_size or size.image_size, known.iterations or size.iterations)
    prepare(known.output)
    return reproduce(Settings(size, known.output, known.report))


def prepare(output: Path) -> None:
    """Makes the output folder, and the inputs where they are missing."""
    from demo.inputs import write_inputs

    # TensorFlow warns of retracing even where several kinds of step are each traced only once.
    for library in ("apache_beam", "tensorflow"):
        logging.getLogger(library).setLevel(logging.ERROR)
    output.mkdir(parents=True, exist_ok=True)
    if not all((HERE / "inputs" / folder).is_dir() for folder in ("photographs", "paintings")):
        write_inputs(HERE / "inputs")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m experiments.reproduce", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the paper's size: 512 px and its numbers of iterations")
    parser.add_argument(
        "--image_size", type=int, metavar="PX", help=f"longest side (default: {REDUCED.image_size}, with --full 512)"
    )
    parser.add_argument(
        "--iterations",
        type=int,
        metavar="N",
        help=f"of each run, section 4.4 has 4 N (default: {REDUCED.iterations}, with --full the paper's)",
    )
    parser.add_argument("--output", type=Path, default=HERE / "output", metavar="DIR", help="manifest and job")
    parser.add_argument(
        "--report", type=Path, default=HERE.parent / "docs" / "reproduction.md", metavar="PAGE.md", help="page to write"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
