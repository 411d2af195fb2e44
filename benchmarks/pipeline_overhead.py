"""Wall time of `stylebeam run` over the sum of direct `stylize` calls on the same batches, both warm.

    python -m benchmarks.pipeline_overhead [--side_px 96] [--iterations 200]

The grid is 3 photographs x 2 paintings x 2 configurations, in batches of 4 that share a photograph. Everything counts:
probing the images, publishing the weights, committing, metrics, gallery and dataset. The direct calls of one
photograph come before the grid and those of two after it, so that a machine that slows down hardly favours the grid.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, main_of
from benchmarks.grids import Grid, paintings, photographs, run_pipeline, squares

BATCH_SIZE = 4
WARM_ITERATIONS = 4


def measure(side_px: int, iterations: int) -> Iterator[Figure]:
    """Yields the ratio."""
    contents = squares(photographs(), side_px, 3)
    configs = [{"iterations": iterations, "content_weight": weight} for weight in (1e5, 1e4)]
    grid = Grid(contents, paintings()[:2], configs)
    with tempfile.TemporaryDirectory() as folder:
        warm = grid.with_fields(iterations=WARM_ITERATIONS)
        run_pipeline(warm.write(Path(folder, "warm")), Path(folder, "warm_output"), f"--batch_size={BATCH_SIZE}")
        warm.stylize_directly(0, batch_size=BATCH_SIZE)
        manifest = grid.write(Path(folder, "grid"))
        direct = [grid.stylize_directly(0, batch_size=BATCH_SIZE)]
        pipeline = run_pipeline(manifest, Path(folder, "output"), f"--batch_size={BATCH_SIZE}")
        direct += [grid.stylize_directly(content, batch_size=BATCH_SIZE) for content in (1, 2)]
    details = {
        "runs": len(grid),
        "side_px": side_px,
        "iterations": iterations,
        "pipeline_secs": pipeline,
        "direct_secs": direct,
    }
    yield Figure("pipeline_over_direct", pipeline / sum(direct), details)


if __name__ == "__main__":
    main_of(__doc__, measure, side_px=96, iterations=200)
