"""Whether the layers of a network leave anything of the pictures of a run. Light: no TensorFlow."""

import functools
from collections.abc import Iterable, Iterator

from stylecore.config.style_config import StyleConfig
from stylecore.networks.layers import layers_in_use
from stylecore.planning.pyramid import stage_sizes
from stylecore.run.problem import style_size


def too_small(config: StyleConfig, height: int, width: int, styles: Iterable[tuple[int, int]]) -> str | None:
    """Returns what is too small for the layers at one of the sizes that a picture goes through, as a job would say it.

    Args:
      config: the parameters.
      height, width: of the result, in pixels.
      styles: (height, width) of the style images as they are.
    """
    layers = tuple(sorted({name for name, _ in (*config.content_layers, *config.style_layers)}))
    for column, size in _sizes(config, height, width, list(styles)):
        if not _leaves_something(config.backbone, layers, *size):
            return (
                f"{column}: an image of {size[1]}x{size[0]} pixels is too small for the layers {', '.join(layers)}, "
                "see image_size"
            )
    return None


def _sizes(
    config: StyleConfig, height: int, width: int, styles: list[tuple[int, int]]
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Every size at which an image is looked at."""
    for stage in stage_sizes(config, height, width):
        yield "content", stage
        yield from (("style", style_size(*style, *stage, config)) for style in styles)


@functools.lru_cache(maxsize=4096)
def _leaves_something(backbone: str, layers: tuple[str, ...], height: int, width: int) -> bool:
    in_use = layers_in_use(backbone, layers, height, width)
    return all(min(in_use[name].height, in_use[name].width) > 0 for name in layers)
