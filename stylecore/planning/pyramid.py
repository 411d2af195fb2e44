"""Pyramids: the sizes that a picture goes through, coarse to fine, and the iterations that it spends at each."""

from itertools import accumulate

from stylecore.config.style_config import StyleConfig
from stylecore.images.resize import scaled_size


def stage_sizes(config: StyleConfig, height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Returns (height, width) in pixels of every stage, coarse to fine; the last is the result's.

    Args:
      config: its `pyramid` gives the scales; without one there is one stage.
      height, width: of the result, in pixels.
    """
    if not config.pyramid:
        return ((height, width),)
    return tuple(scaled_size(height, width, scale * max(height, width)) for scale, _ in config.pyramid)


def stage_iterations(config: StyleConfig) -> tuple[int, ...]:
    """Returns the iterations of every stage; they sum to the configuration's."""
    shares = [share for _, share in config.pyramid] or [1.0]
    ends = [round(share * config.iterations) for share in accumulate(shares)]
    ends[-1] = config.iterations
    return tuple(end - begin for begin, end in zip([0, *ends[:-1]], ends, strict=True))


def full_size_evaluations(config: StyleConfig) -> float:
    """Returns what the iterations of all stages cost: each counts as its share of the result's pixels."""
    scales = [scale for scale, _ in config.pyramid] or [1.0]
    return sum(count * scale**2 for count, scale in zip(stage_iterations(config), scales, strict=True))


def stages(config: StyleConfig, height: int, width: int) -> tuple[tuple[int, int, int], ...]:
    """Returns (height, width, iterations) of every stage, see `stage_sizes` and `stage_iterations`."""
    sizes = stage_sizes(config, height, width)
    return tuple((*size, count) for size, count in zip(sizes, stage_iterations(config), strict=True))
