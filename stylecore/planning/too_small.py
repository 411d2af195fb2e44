"""Whether an image is too small for the layers of a network. Light: no TensorFlow."""

import functools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from stylecore.config.style_config import StyleConfig
from stylecore.images.style import style_size
from stylecore.networks.layers import layers_in_use
from stylecore.planning.buckets import StepKind, step_kind
from stylecore.planning.pyramid import stage_sizes


class StyleFile(NamedTuple):
    """A style before its image is loaded: (height, width) of the file in pixels, and the style's own scale."""

    height: int
    width: int
    scale: float | None = None


def too_small(kind: StepKind, height: int, width: int) -> str | None:
    """Returns what is wrong with an image that has no position left at one of the layers, None if it fits.

    Args:
      kind: gives the backbone and the layers.
      height, width: of the image, in pixels.
    """
    layers = tuple(sorted({*kind.content_layers, *kind.style_layers}))
    if _has_positions(kind.backbone, layers, height, width):
        return None
    return f"an image of {width}x{height} pixels is too small for the layers {', '.join(layers)}"


def too_small_in_run(config: StyleConfig, height: int, width: int, styles: Iterable[StyleFile]) -> str | None:
    """Returns the first image of a run that is too small at one of the sizes of its pyramid, None if all fit.

    Args:
      config: the parameters.
      height, width: of the result, in pixels.
      styles: of each style, as its file holds it.

    Returns:
      The field, content or style, and what `too_small` says.
    """
    kind = step_kind(config, "")
    for field, size in _sizes(config, height, width, list(styles)):
        if (reason := too_small(kind, *size)) is not None:
            return f"{field}: {reason}"
    return None


def _sizes(
    config: StyleConfig, height: int, width: int, styles: list[StyleFile]
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yields (field, (height, width)) of every image that the network sees, in the order in which Engine checks."""
    for stage in stage_sizes(config, height, width):
        yield "content", stage
        yield from (("style", style_size(file.height, file.width, *stage, config, file.scale)) for file in styles)


@functools.lru_cache(maxsize=4096)
def _has_positions(backbone: str, layers: tuple[str, ...], height: int, width: int) -> bool:
    in_use = layers_in_use(backbone, layers, height, width)
    return all(min(in_use[name].height, in_use[name].width) > 0 for name in layers)
