"""Makes the pictures of docs/controls.md: `python -m experiments.controls [CONTROL ...]`.

All pictures are rows of one manifest and one job, so that a rerun computes only what is missing.
"""

import argparse
import dataclasses
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.provenance import commit
from demo.inputs import write_inputs, write_png
from experiments.control_rows import CONTROLS, DRAFT, ROCKET, Cell, Control, draft, mask_images
from pipeline.cli.quiet import import_tensorflow

HERE = Path(__file__).resolve().parent
INPUTS = HERE / "inputs"
CELL_PX = 256
_ENTRY = pa.struct(
    [
        ("uri", pa.string()),
        ("weight", pa.float64()),
        ("scale", pa.float64()),
        ("content_mask", pa.string()),
        ("style_mask", pa.string()),
    ]
)
_SCHEMA = pa.schema(
    [
        ("content", pa.string()),
        ("style", pa.list_(_ENTRY)),
        ("initial", pa.string()),
        ("config", pa.string()),
        ("control", pa.string()),
        ("label", pa.string()),
    ]
)

Row = dict[str, Any]


def write_control_inputs(folder: Path) -> None:
    """Writes the demo's photographs and paintings, the masks and the draft below a folder; the same bytes each time."""
    write_inputs(folder)
    write_additions(folder)


def write_additions(folder: Path) -> None:
    """Writes what the controls need beside the demo's pictures, which are there: the masks and the draft."""
    for path, mask in mask_images().items():
        write_png(folder / path, mask)
    with Image.open(folder / ROCKET) as photograph:
        write_png(folder / DRAFT, draft(photograph.convert("RGB")))


def write_manifest(
    controls: Sequence[Control], inputs: Path, path: Path, overrides: Mapping[str, Any] | None = None
) -> None:
    """Writes one row for each picture of the controls, with the columns `control` and `label`.

    Args:
      controls: the rows of pictures.
      inputs: folder of photographs, paintings and masks.
      path: the manifest to write.
      overrides: configuration fields to set in every row.
    """
    rows = [_row(control, cell, inputs, overrides or {}) for control in controls for cell in control.cells]
    pq.write_table(pa.Table.from_pylist(rows, _SCHEMA), path)


def _row(control: Control, cell: Cell, inputs: Path, overrides: Mapping[str, Any]) -> Row:
    paths = ("uri", "content_mask", "style_mask")
    return {
        "content": str(inputs / cell.content),
        "style": [
            {
                "weight": 1.0,
                **{name: str(inputs / value) if name in paths else value for name, value in entry.items()},
            }
            for entry in cell.styles
        ],
        "initial": None if cell.initial is None else str(inputs / cell.initial),
        "config": json.dumps({**cell.config, **overrides}),
        "control": control.name,
        "label": cell.label,
    }


@dataclasses.dataclass(frozen=True)
class Made:
    """Where everything lies.

    Attributes:
      inputs: folder of photographs, paintings and masks.
      output: receives the manifest, the job's output directory and the commits.
      pictures: receives the rows of pictures and provenance.json.
      overrides: configuration fields to set in every row.
    """

    inputs: Path
    output: Path
    pictures: Path
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class Commits:
    """Which commit computed which run, kept beside the job's output directory.

    Args:
      path: the file; a job notes its commit there before it begins.
      job: the output directory.
    """

    def __init__(self, path: Path, job: Path) -> None:
        self._path, self._job = path, job
        self._held = json.loads(path.read_text()) if path.exists() else {"runs": {}, "under_way": None}

    def begin(self, commit: str | None) -> None:
        """Notes the commit of the job that begins; what the one before has finished is its own."""
        self.of_runs()
        self._held["under_way"] = commit
        self._path.write_text(json.dumps(self._held))

    def of_runs(self) -> Mapping[str, str | None]:
        """Returns run_id -> commit of every finished run."""
        for marker in sorted((self._job / "runs").glob("*.json")):
            self._held["runs"].setdefault(marker.stem, self._held["under_way"])
        return self._held["runs"]


def draw(controls: Sequence[Control], made: Made, commits: Commits) -> list[str]:
    """Draws the controls that are complete, and notes who made them; returns the names of those that are not."""
    from experiments.drawing import strip

    rows = _rows(made.output / "job")
    made.pictures.mkdir(parents=True, exist_ok=True)
    path = made.pictures / "provenance.json"
    notes = json.loads(path.read_text()) if path.exists() else {}
    for control in controls:
        done = {cell.label: rows[key] for cell in control.cells if (key := (control.name, cell.label)) in rows}
        if len(done) == len(control.cells):
            (made.pictures / f"{control.name}.webp").write_bytes(strip([_pictures(control, done, made)], CELL_PX))
            notes[control.name] = {label: _note(row, commits) for label, row in done.items()}
    path.write_text(json.dumps(dict(sorted(notes.items())), indent=1) + "\n")
    return [
        control.name for control in controls if any((control.name, cell.label) not in rows for cell in control.cells)
    ]


def _rows(job: Path) -> dict[tuple[str, str], Row]:
    """Returns the finished rows by control and label."""
    from transforms.output.metrics_files import read_metrics
    from transforms.output.paths import Output

    finished = [row for row in read_metrics(Output(str(job))) if row["status"] == "done"]
    extras = [json.loads(row["extra"]) for row in finished]
    return {(extra["control"], extra["label"]): row for extra, row in zip(extras, finished, strict=True)}


def _pictures(control: Control, done: Mapping[str, Row], made: Made) -> dict[str, np.ndarray]:
    inputs = {label: _pixels(made.inputs / path) for label, path in control.inputs.items()}
    results = {label: _pixels(made.output / "job" / row["image"]) for label, row in done.items()}
    return inputs | {label: _middle(pixels, control.magnified) for label, pixels in results.items()}


def _note(row: Row, commits: Commits) -> dict[str, Any]:
    return {
        "run_id": row["run_id"],
        "commit": commits.of_runs().get(row["run_id"]),
        "device": row["device"],
        "seconds": round(row["seconds"], 1),
    }


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def _middle(pixels: np.ndarray, magnified: int) -> np.ndarray:
    """Returns the middle of a picture, enlarged to its size."""
    height, width = pixels.shape[:2]
    top, left = (side - side // magnified for side in (height, width))
    part = pixels[top // 2 : top // 2 + height // magnified, left // 2 : left // 2 + width // magnified]
    return np.repeat(np.repeat(part, magnified, axis=0), magnified, axis=1)


def make(controls: Sequence[Control], made: Made, computes: bool = True) -> list[str]:
    """Runs the job, unless it is only to be drawn, and draws; returns the controls that are not complete."""
    made.output.mkdir(parents=True, exist_ok=True)
    manifest, job = made.output / "manifest.parquet", made.output / "job"
    commits = Commits(made.output / "commits.json", job)
    if computes:
        import_tensorflow()
        from pipeline.run import run

        write_manifest(controls, made.inputs, manifest, made.overrides)
        commits.begin(commit())
        run([f"--manifest={manifest}", f"--output={job}", "--dataset=none", "--gallery=none"])
    return draw(controls, made, commits)


def main() -> int:
    """Parses the command line, writes the inputs, runs the job, draws the rows."""
    # TensorFlow warns of retracing even where several kinds of step are each traced only once.
    for library in ("apache_beam", "tensorflow"):
        logging.getLogger(library).setLevel(logging.ERROR)
    known = _parser().parse_args()
    if unknown := set(known.control) - {control.name for control in CONTROLS}:
        raise SystemExit(f"no such control: {', '.join(sorted(unknown))}")
    controls = [control for control in CONTROLS if not known.control or control.name in known.control]
    write_control_inputs(INPUTS)
    incomplete = make(controls, Made(INPUTS, known.output, known.pictures), not known.draw_only)
    print(f"{known.pictures}: {len(controls) - len(incomplete)} rows of pictures")
    if incomplete:
        print(
            f"not complete: {', '.join(incomplete)}; the same command goes on, see {known.output / 'job' / 'failures'}"
        )
    return 3 if incomplete else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m experiments.controls", description=__doc__)
    names = [control.name for control in CONTROLS]
    parser.add_argument("control", nargs="*", metavar="CONTROL", help=f"{', '.join(names)} (default: all)")
    parser.add_argument("--output", type=Path, default=HERE / "output" / "controls", metavar="DIR", help="the job")
    parser.add_argument(
        "--pictures", type=Path, default=HERE.parent / "docs" / "controls", metavar="DIR", help="the rows of pictures"
    )
    parser.add_argument("--draw_only", action="store_true", help="run no job: draw what is complete")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
