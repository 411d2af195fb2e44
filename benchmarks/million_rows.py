"""`stylebeam grid` and `stylebeam plan` on a manifest of a million rows over 1,000 images.

    python -m benchmarks.million_rows [--rows 1000000]

The figures are rows per second, and bytes of peak memory per row above the same command on 1,000 rows over equally
many images. Each command runs in a process of its own, so the seconds include its start.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.figures import Figure, Finished, main_of, run_measured

CONTENTS = STYLES = 500
FEW_ROWS = 1_000
SIZE_PX = (48, 64)


def measure(rows: int) -> Iterator[Figure]:
    """Yields rows per second and bytes per row of each command."""
    configs = rows // (CONTENTS * STYLES)
    if configs < 1 or configs * CONTENTS * STYLES != rows:
        raise ValueError(f"rows must be a multiple of {CONTENTS * STYLES}, got {rows}")
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write_images(directory)
        write_spec(directory / "many.yaml", "content_*.png", "style_*.png", configs)
        # The same images, each as the content of one row.
        write_spec(directory / "few.yaml", "*_*.png", "style_000.png", 1)
        commands = [grid_and_plan(directory / name) for name in ("few.yaml", "many.yaml")]
    (few_grid, few_plan), (grid, plan) = commands
    yield from _figures("grid", rows, grid, few_grid)
    yield from _figures("plan", rows, plan, few_plan)


def write_images(directory: Path) -> None:
    """Writes 1,000 small pictures, all different."""
    generator = np.random.default_rng(0)
    for name in (f"{kind}_{index:03d}.png" for kind in ("content", "style") for index in range(CONTENTS)):
        pixels = generator.integers(0, 256, (*SIZE_PX, 3), np.uint8)
        Image.fromarray(pixels).save(directory / name)


def write_spec(path: Path, contents: str, styles: str, configs: int) -> None:
    """Writes the specification of a grid of contents x styles x `configs` configurations."""
    weights = [1e5 / (index + 1) for index in range(configs)]
    path.write_text(
        f"contents: ['{contents}']\nstyles: ['{styles}']\nconfig: {{iterations: 200}}\n"
        f"sweep: {{content_weight: {weights}}}\n"
    )


def grid_and_plan(spec: Path) -> tuple[Finished, Finished]:
    """Runs `grid` and then `plan`."""
    manifest = str(spec.with_suffix(".parquet"))
    return stylebeam("grid", str(spec), "--output", manifest), stylebeam("plan", "--manifest", manifest)


def stylebeam(*arguments: str) -> Finished:
    """Runs a `stylebeam` command in a process of its own."""
    return run_measured([sys.executable, "-m", "pipeline", *arguments])


def _figures(command: str, rows: int, many: Finished, few: Finished) -> Iterator[Figure]:
    details = {"rows": rows, "secs": many.secs, "secs_of_1000_rows": few.secs, "peak_mb": many.peak_bytes >> 20}
    yield Figure(f"{command}_rows_per_second", rows / many.secs, details)
    yield Figure(
        f"{command}_bytes_per_row",
        (many.peak_bytes - few.peak_bytes) / (rows - FEW_ROWS),
        {"peak_mb": many.peak_bytes >> 20, "peak_mb_of_1000_rows": few.peak_bytes >> 20},
    )


if __name__ == "__main__":
    main_of(__doc__, measure, rows=1_000_000)
