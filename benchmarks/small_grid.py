"""Seconds per run of a grid of 256 runs of 64 px through `stylebeam run`, over those of one run alone, all warm.

    python -m benchmarks.small_grid [--side_px 64] [--runs 256] [--iterations 50]

One run alone is a direct `stylize` call for one picture: the median of several before and after the grid. With 50
iterations instead of 200, what the pipeline adds to a run weighs four times as much.
"""

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, main_of
from benchmarks.grids import Grid, paintings, photographs, run_pipeline, squares

CONTENTS, STYLES = 4, 4
REPEATS = 5
WARM_ITERATIONS = 2


def measure(side_px: int, runs: int, iterations: int) -> Iterator[Figure]:
    """Yields the ratio."""
    contents, styles = squares(photographs(), side_px, CONTENTS), squares(paintings(), side_px, STYLES)
    weights = [1e5 / (index + 1) for index in range(runs // (CONTENTS * STYLES))]
    grid = Grid(contents, styles, [{"iterations": iterations, "content_weight": weight} for weight in weights])
    alone = Grid(contents[:1], styles[:1], grid.configs[:1])
    with tempfile.TemporaryDirectory() as folder:
        warm = grid.with_fields(iterations=WARM_ITERATIONS)
        run_pipeline(warm.write(Path(folder, "warm")), Path(folder, "warm_output"))
        alone.with_fields(iterations=WARM_ITERATIONS).stylize_directly(0)
        manifest = grid.write(Path(folder, "grid"))
        singles = [alone.stylize_directly(0) for _ in range(REPEATS)]
        secs = run_pipeline(manifest, Path(folder, "output"))
        singles += [alone.stylize_directly(0) for _ in range(REPEATS)]
    details = {"runs": len(grid), "side_px": side_px, "iterations": iterations, "secs": secs, "alone_secs": singles}
    yield Figure("small_run_over_single_run", secs / len(grid) / statistics.median(singles), details)


if __name__ == "__main__":
    main_of(__doc__, measure, side_px=64, runs=256, iterations=50)
