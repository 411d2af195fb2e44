"""The compiled step with a control over the same step without it, at 256 px.

    python -m benchmarks.controls [--side_px 256]

Both steps take turns of a few seconds each, and the figure is the median of the turns' ratios: of many turns, since the
differences are small and single turns on a shared machine are up to 1.4 times as long as others. The weights are
random: what they are changes no time.
"""

import statistics
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.figures import Figure, main_of
from benchmarks.step_time import Step, ratios, step_of
from stylecore import Style, StyleConfig
from stylecore.images.style import AnyStyle, has_regions
from stylecore.networks.weights.sources import load_weights
from stylecore.planning.batches import default_batch_size
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import prepare

SIDE_PX = 256
TURNS = 21


def painting(side_px: int, seed: int) -> np.ndarray:
    """Returns an image without any structure, uint8."""
    return np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), np.uint8)


def ramp(side_px: int, width: float) -> np.ndarray:
    """Returns a mask that rises from 0 to 255 over the middle part of the picture, `width` of its side."""
    column = (np.arange(side_px) + 0.5) / side_px
    return np.tile(np.clip((column - 0.5) / width + 0.5, 0, 1) * 255, (side_px, 1)).astype(np.float32)


def two_regions(side_px: int, width: float) -> list[Style]:
    """Returns a style for each half of the picture."""
    mask = ramp(side_px, width)
    return [Style(painting(side_px, 1), content_mask=mask), Style(painting(side_px, 2), content_mask=255 - mask)]


# Of each figure the fields of its configuration, and its styles for a side in pixels.
CONTROLS: dict[str, tuple[dict[str, str], Callable[[int], AnyStyle]]] = {
    "two_regions": ({}, lambda side_px: two_regions(side_px, 1e-6)),
    "two_regions_that_overlap_everywhere": ({}, lambda side_px: two_regions(side_px, 1.0)),
    "color_content": ({"color": "content"}, lambda side_px: painting(side_px, 1)),
}


def measure(side_px: int = SIDE_PX) -> Iterator[Figure]:
    """Yields a figure for each control."""
    weights = load_weights("vgg19", "random:1")
    size = default_batch_size(side_px, side_px)

    def step(style: AnyStyle, fields: dict[str, str]) -> Step:
        config = StyleConfig.from_dict({"iterations": 1_000_000, "weights": "random:1", **fields})
        problem = prepare(painting(side_px, 0), style, config)
        kind = step_kind(config, weights.fingerprint, has_regions(problem.styles))
        return step_of(Engine(kind, weights.network), [problem] * size)

    plain = step(painting(side_px, 1), {})
    for name, (fields, styles) in CONTROLS.items():
        turns = ratios((size, step(styles(side_px), fields)), (size, plain), turns=TURNS)
        details = {"ratios": [round(ratio, 3) for ratio in turns], "batch_size": size}
        yield Figure(f"step_with_{name}_{side_px}_px", statistics.median(turns), details)


if __name__ == "__main__":
    main_of(__doc__, measure, side_px=SIDE_PX)
