"""Reads the metrics of the finished job and groups its pictures by experiment."""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.measure import Measure
from experiments.pictures import TERMS, Picture, Yardstick
from experiments.sections import PRESETS_GRID, SECTIONS
from stylecore.images.codec import decode_image
from stylecore.networks.weights.sources import load_file
from transforms.output import storage
from transforms.output.metrics_files import read_metrics
from transforms.output.paths import Output

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Results:
    """The data of the report.

    Attributes:
      rows: experiment -> its metrics rows, failed ones included, in the grid's order.
      pictures: experiment -> its finished pictures, in the same order.
      pixels: run_id -> the delivered picture, RGB [height, width, 3], uint8.
      photographs: name -> RGB pixels [height, width, 3], uint8.
      paintings: likewise.
    """

    rows: Mapping[str, Sequence[Row]]
    pictures: Mapping[str, Sequence[Picture]]
    pixels: Mapping[str, np.ndarray]
    photographs: Mapping[str, np.ndarray]
    paintings: Mapping[str, np.ndarray]

    def finished(self, experiment: str) -> list[Row]:
        """Returns the rows of `pictures[experiment]`."""
        return _finished(self.rows[experiment])

    def runs(self) -> list[Row]:
        """Returns one finished row of each run."""
        return list({row["run_id"]: row for rows in self.rows.values() for row in _finished(rows)}.values())


def read_results(output: Path, manifest: Path) -> Results:
    """Reads a finished job and measures its pictures.

    Args:
      output: the job's output directory.
      manifest: the manifest, with the column `experiment`; paths of inputs are relative to it.
    """
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in read_metrics(Output(str(output))):
        rows[json.loads(row["extra"])["experiment"]].append(row)
    finished = [row for group in rows.values() for row in _finished(group)]
    photographs = _images((row["content"] for row in finished), manifest)
    paintings = _images((row["style"][0]["uri"] for row in finished), manifest)
    pixels = {row["run_id"]: decode_image((output / row["image"]).read_bytes()) for row in finished}
    yardsticks = _measured(finished, pixels, _vgg19(output, finished, photographs, paintings)) if finished else {}
    labels = {section.grid: section.label for section in SECTIONS}
    labels[PRESETS_GRID] = lambda config, *_: config["preset"]
    pictures = {
        experiment: [
            _picture(row, labels[experiment](row["config"], *names(row)), yardsticks[row["run_id"]])
            for row in _finished(group)
        ]
        for experiment, group in rows.items()
    }
    return Results(rows, pictures, pixels, photographs, paintings)


def names(row: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the names of a row's photograph and painting."""
    return Path(row["content"]).stem, Path(row["style"][0]["uri"]).stem


def _finished(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["status"] == "done"]


def _images(uris: Iterable[str], manifest: Path) -> dict[str, np.ndarray]:
    found = {}
    for uri in sorted(set(uris)):
        found[Path(uri).stem] = decode_image(storage.read_bytes(storage.resolve(str(manifest.parent), uri)))
    return found


def _vgg19(
    output: Path, rows: Sequence[Row], photographs: Mapping[str, np.ndarray], paintings: Mapping[str, np.ndarray]
) -> Measure:
    fingerprint = next(row["weights_sha256"] for row in rows if row["config"]["backbone"] == "vgg19")
    loaded = load_file("vgg19", Path(Output(str(output)).weights(fingerprint)))
    return Measure(loaded.network, photographs, paintings)


def _measured(rows: Sequence[Row], pixels: Mapping[str, np.ndarray], measure: Measure) -> dict[str, Yardstick]:
    pairs = {row["run_id"]: names(row) for row in rows}
    return {run_id: measure(pixels[run_id], *pair) for run_id, pair in pairs.items()}


def _picture(row: Row, label: str, yardstick: Yardstick) -> Picture:
    return Picture(
        label,
        *names(row),
        config=row["config"],
        losses={term: row[f"loss_{term}"] for term in TERMS},
        history=tuple(row["history"]),
        yardstick=yardstick,
    )
