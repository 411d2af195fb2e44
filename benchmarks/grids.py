"""Small grids of the demo's pictures for measurements: as files with a manifest, and as arrays for `stylize`."""

import dataclasses
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from demo.paintings import PAINTINGS
from demo.photographs import PHOTOGRAPHS
from stylecore import StyleConfig, stylize

Fields = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Grid:
    """Contents x styles x configurations; pictures are uint8 [height, width, 3]."""

    contents: Sequence[np.ndarray]
    styles: Sequence[np.ndarray]
    configs: Sequence[Fields]

    def __len__(self) -> int:
        return len(self.contents) * len(self.styles) * len(self.configs)

    def with_fields(self, **fields: Any) -> "Grid":
        """Returns the grid with these fields set in every configuration."""
        return dataclasses.replace(self, configs=[{**config, **fields} for config in self.configs])

    def write(self, folder: Path) -> Path:
        """Writes the pictures and a manifest; returns the manifest's path."""
        folder.mkdir(parents=True)
        contents = [_write(folder / f"content_{i}.png", image) for i, image in enumerate(self.contents)]
        styles = [_write(folder / f"style_{i}.png", image) for i, image in enumerate(self.styles)]
        rows = list(itertools.product(contents, styles, map(json.dumps, self.configs)))
        manifest = folder / "manifest.parquet"
        columns = zip(*rows, strict=True)
        pq.write_table(pa.table(dict(zip(("content", "style", "config"), map(list, columns), strict=True))), manifest)
        return manifest

    def stylize_directly(self, content: int, **options: Any) -> float:
        """Makes the pictures of one content with `stylize` in this process; returns the seconds."""
        pairs = list(itertools.product(self.styles, (StyleConfig(**config) for config in self.configs)))
        styles, configs = zip(*pairs, strict=True)
        started = time.perf_counter()
        results = stylize([self.contents[content]] * len(pairs), styles, configs, **options)
        _raise_errors([result.error for result in results])
        return time.perf_counter() - started


def run_pipeline(manifest: Path, output: Path, *options: str) -> float:
    """Runs the pipeline of `stylebeam run` in this process; returns the seconds."""
    from pipeline.run import run

    started = time.perf_counter()
    summary = run([f"--manifest={manifest}", f"--output={output}", *options])
    if summary is None or summary.failed or not summary.computed:
        raise RuntimeError(f"{manifest}: not all runs were computed: {summary}")
    return time.perf_counter() - started


def photographs() -> list[np.ndarray]:
    """Returns the demo's photographs."""
    return [np.asarray(load()) for load in PHOTOGRAPHS.values()]


def paintings() -> list[np.ndarray]:
    """Returns the demo's paintings."""
    return [np.asarray(paint()) for paint in PAINTINGS.values()]


def squares(images: Sequence[np.ndarray], side_px: int, count: int) -> list[np.ndarray]:
    """Returns `count` different square crops of the images, reduced to `side_px`."""
    found = []
    for index in range(count):
        image = Image.fromarray(images[index % len(images)])
        side = min(image.size)
        left = (index // len(images)) * (image.width - side) // max(1, count // len(images))
        square = image.crop((left, 0, left + side, side))
        found.append(np.asarray(square.resize((side_px, side_px), Image.Resampling.LANCZOS)))
    return found


def _write(path: Path, image: np.ndarray) -> str:
    Image.fromarray(image).save(path)
    return path.name


def _raise_errors(errors: Sequence[Exception | None]) -> None:
    for error in errors:
        if error is not None:
            raise error
