"""Traces of a sweep, and the seconds that a collection of many picture shapes loses to them.

    python -m benchmarks.tracing [--shapes 200] [--iterations 20]

A sweep of 3 sizes and 4 parameter values: how often the step was traced. A collection in which no two pictures have the
same shape, one batch for each: every picture is made twice, and what the first time took longer than the second was
lost to tracing and to whatever else a new shape costs. Sides of 24 to 72 px; the 20 iterations instead of 200 make
the lost share up to ten times as large.
"""

import itertools
from collections.abc import Iterator
from typing import Any

from benchmarks.figures import Figure, main_of
from benchmarks.grids import Grid, paintings, photographs, squares
from stylecore import StyleConfig
from stylecore.networks.weights.sources import load_weights
from stylecore.planning.buckets import step_kind
from stylecore.run.engine_cache import get_engine

SWEEP_SIDES_PX = (64, 80, 96)
SWEEP_CONTENT_WEIGHTS = (1e5, 1e4, 1e3, 1e2)
SHORTEST_PX, LONGEST_PX, STRIDE_PX = 24, 72, 3


def measure(shapes: int, iterations: int) -> Iterator[Figure]:
    """Yields both figures; the collection comes first, since it needs a process that has traced nothing."""
    yield collection(shapes, iterations)
    yield sweep(iterations)


def collection(shapes: int, iterations: int) -> Figure:
    """Returns the share of the seconds that new shapes cost."""
    # The weights are loaded before: that is not tracing.
    load_weights("vgg19", "imagenet")
    content, style = squares(photographs(), LONGEST_PX, 1)[0], squares(paintings(), LONGEST_PX, 1)[0]
    sides = range(SHORTEST_PX, LONGEST_PX + 1, STRIDE_PX)
    sizes = list(itertools.islice(itertools.product(sides, sides), shapes))
    if len(sizes) < shapes:
        raise ValueError(f"at most {len(sides) ** 2} shapes, got {shapes}")
    first, second = [], []
    for height, width in sizes:
        grid = Grid([content[:height, :width]], [style], [{"iterations": iterations}])
        first.append(grid.stylize_directly(0))
        second.append(grid.stylize_directly(0))
    lost = sum(first) - sum(second)
    details = {
        "shapes": shapes,
        "iterations": iterations,
        "secs": sum(first),
        "secs_again": sum(second),
        "first_shape_lost_secs": first[0] - second[0],
        "traces": traces({"iterations": iterations}),
    }
    return Figure("tracing_share_of_200_shapes", lost / sum(first), details)


def sweep(iterations: int) -> Figure:
    """Returns how often the step was traced in 3 sizes x 4 parameter values, in an engine of its own."""
    # Another content loss is another kind of step: nothing of it was traced before.
    fields = {"iterations": iterations, "content_loss": "l1"}
    configs = [{**fields, "content_weight": weight} for weight in SWEEP_CONTENT_WEIGHTS]
    for side_px in SWEEP_SIDES_PX:
        Grid(squares(photographs(), side_px, 1), paintings()[:1], configs).stylize_directly(0)
    return Figure("traces_of_a_sweep", traces(fields), {"sides_px": SWEEP_SIDES_PX, "parameters": len(configs)})


def traces(fields: dict[str, Any]) -> int:
    """Returns how often this process traced the step of a configuration."""
    config = StyleConfig(**fields)
    kind = step_kind(config, load_weights(config.backbone, config.weights).fingerprint)
    return get_engine(kind, _never).traces


def _never() -> object:
    raise RuntimeError("the engine was to be here already")


if __name__ == "__main__":
    main_of(__doc__, measure, shapes=200, iterations=20)
