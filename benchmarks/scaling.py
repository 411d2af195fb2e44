"""The sizes of what a job shuffles and writes: the measured figures of docs/scaling.md.

    python -m benchmarks.scaling [--runs 40] [--iterations 300]

The job is small: pictures of 64 px on shallow layers, because sizes do not depend on depth. Elements are measured with
Beam's own coders, files on disk, both per run. Gallery data comes from synthetic rows, as the difference between two
numbers of rows, which leaves out what is written once. The figures go to benchmarks/results/scaling.json and from there
into the document.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from PIL import Image

from benchmarks import scaling_doc
from benchmarks.figures import RESULTS, Figure, print_figures
from benchmarks.gallery_rows import write_metrics
from benchmarks.grids import Grid, run_pipeline
from benchmarks.provenance import Start
from stylecore.config.style_config import StyleConfig
from stylecore.networks.precision import Arithmetic
from stylecore.networks.weights.sources import random_network
from stylecore.planning.batches import default_batch_size
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import prepare
from stylecore.run.snapshot import Snapshot
from transforms.batch import RunBatch, bucket_key, place_of
from transforms.gallery.build import write_part
from transforms.manifest.files import ManifestSlice, open_manifest, read_slice
from transforms.manifest.parse import parse_row
from transforms.output.commit import read_marker
from transforms.output.metrics_chunks import chunks_of
from transforms.output.paths import Output
from transforms.output.rows import MetricsRows
from transforms.probe import image_facts
from transforms.records import ImageFacts, Run
from transforms.resolve import resolve_run

SIDE_PX = 64
FEW_ROWS, MANY_ROWS = 1_000, 5_000
SHALLOW = {"weights": "random:1", "content_layers": {"conv1_1": 1.0}, "style_layers": {"conv1_1": 1.0}}


def measure(runs: int, iterations: int) -> Iterator[Figure]:
    """Yields the bytes of each element and file per run or per image."""
    with tempfile.TemporaryDirectory() as folder:
        grid = small_grid(runs, iterations)
        manifest = grid.write(Path(folder) / "grid")
        output = Output(str(Path(folder) / "output"))
        run_pipeline(manifest, Path(output.root))
        yield from _element_figures(str(manifest), output)
        yield from _file_figures(output, len(grid))
    yield from _snapshot_figures(grid)
    yield from _gallery_figures()


def small_grid(runs: int, iterations: int) -> Grid:
    """Returns two photographs, two styles and a sweep; the images are smooth noise, which compresses about as
    pictures do.
    """
    generator = np.random.default_rng(0)
    images = [_smooth_noise(generator) for _ in range(4)]
    weights = [float(10**exponent) for exponent in np.linspace(3, 6, max(1, runs // 4))]
    configs = [{**SHALLOW, "iterations": iterations, "content_weight": weight} for weight in weights]
    return Grid(images[:2], images[2:], configs)


def _smooth_noise(generator: np.random.Generator) -> np.ndarray:
    coarse = Image.fromarray(generator.integers(0, 256, (24, 24, 3), np.uint8))
    return np.asarray(coarse.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))


def _element_figures(manifest: str, output: Output) -> Iterator[Figure]:
    """Yields the sizes of elements as Beam encodes them between steps."""
    runs = list(_runs(manifest))
    row, size = runs[0].row, default_batch_size(SIDE_PX, SIDE_PX)
    batch = RunBatch(size, tuple(runs[:size]))
    finished = min(output.ids("runs"))
    yield _encoded("slice", ManifestSlice(manifest, 0, 0, 0, 10_000))
    yield _encoded("manifest_row", row)
    yield _encoded("image_facts", (row.content_uri, _facts(row.content_uri)))
    yield _encoded("run", (runs[0].run_id, runs[0]))
    yield _encoded("sharded_run", ((bucket_key(runs[0]), 0), runs[0]))
    yield _encoded("run_in_batch", batch, each=len(batch.runs))
    yield _encoded("cell", (bucket_key(runs[0]), place_of(runs[0])))
    yield _encoded("named_row", (runs[0].run_id, row))
    yield _encoded("outcome", (finished, read_marker(output, finished)))
    records = [record for run_id in sorted(output.ids("runs")) if (record := read_marker(output, run_id))]
    yield Figure("metrics_chunk_bytes", sum(len(chunk) for _, chunk in chunks_of(records)) / len(records))


def _runs(manifest: str) -> Iterator[Run]:
    (part,) = open_manifest(manifest).slices
    for number, values in enumerate(read_slice(part)):
        row = parse_row(values, number, number, manifest)
        facts = {uri: _facts(uri) for uri in row.image_uris()}
        run = resolve_run(row, facts, {("vgg19", "random:1"): "0" * 64}, Arithmetic("any"))
        assert isinstance(run, Run)
        yield run


def _facts(uri: str) -> ImageFacts:
    facts = image_facts(uri)
    assert isinstance(facts, ImageFacts)
    return facts


def _encoded(name: str, element: Any, each: int = 1) -> Figure:
    coder = beam.coders.registry.get_coder(type(element))
    return Figure(f"{name}_bytes", len(coder.encode(element)) / each)


def _file_figures(output: Output, runs: int) -> Iterator[Figure]:
    """Yields sizes on disk, divided by the number of runs."""
    for folder in ("images", "thumbs", "runs", "metrics", "dataset"):
        files = [path for path in Path(output.root, folder).iterdir() if path.is_file()]
        yield Figure(f"{folder}_bytes_per_run", sum(path.stat().st_size for path in files) / runs)
    pixels = runs * SIDE_PX**2
    pictures = sum(path.stat().st_size for path in Path(output.root, "images").iterdir())
    yield Figure("images_bytes_per_pixel", pictures / pixels)
    (marker, *_) = Path(output.root, "runs").iterdir()
    yield Figure("history_points", len(json.loads(marker.read_text())["history"]))


def _snapshot_figures(grid: Grid) -> Iterator[Figure]:
    """Yields the size of one run's checkpoint for each optimiser."""
    for optimizer in ("adam", "lbfgs"):
        config = StyleConfig(**{**grid.configs[0], "optimizer": optimizer})
        problem = prepare(grid.contents[0], grid.styles[0], config)
        engine = Engine(step_kind(config, "0" * 64), random_network("vgg19", 1))
        data = Snapshot(0, 0, engine.first_state(problem), (), 0.0).to_bytes()
        yield Figure(f"checkpoint_{optimizer}_bytes", len(data))


def _gallery_figures() -> Iterator[Figure]:
    """Yields what the chunks of a run take, as the difference between two sizes of the same metrics file."""
    sizes = []
    for rows in (FEW_ROWS, MANY_ROWS):
        with tempfile.TemporaryDirectory() as folder:
            write_metrics(Path(folder), rows)
            output = Output(folder)
            write_part(output, MetricsRows(output), range(rows))
            sizes.append(sum(path.stat().st_size for path in Path(folder, "gallery").rglob("*.js")))
    yield Figure("gallery_bytes_per_run", (sizes[1] - sizes[0]) / (MANY_ROWS - FEW_ROWS))


def main() -> None:
    """Measures, prints, and writes the figures and the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40, help="default: 40")
    parser.add_argument("--iterations", type=int, default=300, help="default: 300")
    arguments = vars(parser.parse_args())
    start = Start()
    figures = list(measure(**arguments))
    print_figures(figures)
    values = {figure.name: figure.value for figure in figures}
    results = {**arguments, "figures": values, "provenance": start.provenance()}
    (RESULTS / "scaling.json").write_text(json.dumps(results, indent=1) + "\n")
    scaling_doc.write()


if __name__ == "__main__":
    main()
