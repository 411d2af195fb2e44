"""All measures of one picture. What each is called and which way is better is declared here, once."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import numpy as np

from stylecore.measures.palette import palette_distance
from stylecore.measures.ssim import ssim


@dataclasses.dataclass(frozen=True)
class Measure:
    """A measure in the metrics: its column, its label for people, and whether less or more of it is better.

    Without a network there is none of those that need one.
    """

    key: str
    label: str
    better: Literal["min", "max"]
    needs_network: bool = False


MEASURES = (
    Measure("measure_lpips", "difference from the content (LPIPS)", "min", needs_network=True),
    Measure("measure_ssim", "structure of the content (SSIM)", "max"),
    Measure("measure_style", "distance to the style", "min", needs_network=True),
    Measure("measure_palette", "distance to the palette", "min"),
)

Styles = Sequence[tuple[np.ndarray, float]]


class NetworkMeasures(NamedTuple):
    """LPIPS to the content and the style distance, >= 0; None where there is too little to see, or no style to take."""

    lpips: float | None
    style: float | None


class Network(Protocol):
    """What sees pictures with the features of a network."""

    def compare(self, picture: np.ndarray, content: np.ndarray, styles: Styles) -> NetworkMeasures:
        """Returns the measures of a picture; images are as `measure` takes them."""


def measure(
    picture: np.ndarray, content: np.ndarray, styles: Styles, network: Network | None = None
) -> dict[str, float | None]:
    """Returns every measure of a picture, by the name of its column; None where it cannot be had.

    Args:
      picture: the picture as it is delivered, RGB uint8 [height, width, 3].
      content: the content at the picture's size, RGB in 0..255.
      styles: the style images in 0..255 at the sizes at which they were used, each with its weight >= 0.
      network: computes LPIPS and the style distance; without one they are None.
    """
    seen = network.compare(picture, content, styles) if network else NetworkMeasures(None, None)
    return {
        "measure_lpips": seen.lpips,
        "measure_ssim": ssim(picture, content),
        "measure_style": seen.style,
        "measure_palette": palette_distance(picture, content, styles),
    }
