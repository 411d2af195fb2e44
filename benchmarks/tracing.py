"""How often a sweep traces the step, and the share of time that a collection of many picture shapes loses to tracing.

    python -m benchmarks.tracing [--shapes 200] [--iterations 20]

The sweep has 3 sizes and 4 parameter values. In the collection no two pictures have the same shape, and each is a batch
of its own: every picture is made twice, and the extra time of the first attempt was lost to tracing and to any other
cost of a new shape. Sides are 24 to 72 px; with 20 iterations instead of 200 the lost share is up to ten times as
large.
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
    """Yields both figures; the collection comes first, because it needs a process that has traced nothing."""
    yield collection(shapes, iterations)
    yield sweep(iterations)


def collection(shapes: int, iterations: int) -> Figure:
    """Returns the share of the seconds that new shapes cost."""
    # The weights are loaded first, because loading them is not tracing.
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
    """Returns how often a new engine traced the step for 3 sizes x 4 parameter values."""
    # Another content loss makes another kind of step, which has not been traced yet.
    fields = {"iterations": iterations, "content_loss": "l1"}
    configs = [{**fields, "content_weight": weight} for weight in SWEEP_CONTENT_WEIGHTS]
    for side_px in SWEEP_SIDES_PX:
        Grid(squares(photographs(), side_px, 1), paintings()[:1], configs).stylize_directly(0)
    return Figure("traces_of_a_sweep", traces(fields), {"sides_px": SWEEP_SIDES_PX, "parameters": len(configs)})


def traces(fields: dict[str, Any]) -> int:
    """Returns how often this process has traced the step of a configuration."""
    config = StyleConfig(**fields)
    kind = step_kind(config, load_weights(config.backbone, config.weights).fingerprint)
    return get_engine(kind, _never).traces


def _never() -> object:
    raise RuntimeError("the engine was to be here already")


if __name__ == "__main__":
    main_of(__doc__, measure, shapes=200, iterations=20)
