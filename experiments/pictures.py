"""The pictures of an experiment with their losses, and the measures common to all: the claims are judged by them."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

TERMS = ("content", "style", "tv", "total")


@dataclasses.dataclass(frozen=True)
class Yardstick:
    """Measures of a delivered picture that do not depend on the configuration that made it.

    Attributes:
      content: photograph -> layer -> mean squared difference of VGG19's features (L2, reduction `mean`).
      style: painting -> layer -> style loss of that layer (reduction `mean`).
      painting_content: layer -> `content` of the painting itself, taken as a picture, to the picture's own photograph.
      colour: mean distance of the colour histograms to those of the picture's own painting, in grey levels.
      frequency: mean spatial frequency of the luminance, weighted by its power, in cycles per pixel.
      reduced: the picture at a quarter of its size, float [h, w, 3].
    """

    content: Mapping[str, Mapping[str, float]]
    style: Mapping[str, Mapping[str, float]]
    painting_content: Mapping[str, float]
    colour: float
    frequency: float
    reduced: np.ndarray


@dataclasses.dataclass(frozen=True)
class Picture:
    """A finished run, as one row of an experiment requested it.

    Attributes:
      label: the picture's value of what the experiment varies, unique for each photograph and painting.
      photograph: name of the content.
      painting: name of the style.
      config: every field of its configuration.
      losses: losses of the delivered picture: `total` is weighted; `content`, `style` and `tv` are not.
      history: losses with their `iteration`: iteration 0, the first ten, a regular stride and the last.
      yardstick: measures common to all pictures.
    """

    label: str
    photograph: str
    painting: str
    config: Mapping[str, Any]
    losses: Mapping[str, float]
    history: tuple[Mapping[str, float], ...]
    yardstick: Yardstick

    @property
    def iterations(self) -> int:
        """The number of the last iteration."""
        return int(self.history[-1]["iteration"])

    def at(self, fraction: float, term: str) -> float:
        """Returns a loss at the last recorded iteration within a fraction of all iterations."""
        last = fraction * self.iterations
        return [point[term] for point in self.history if point["iteration"] <= last][-1]

    def left(self, fraction: float, term: str) -> float:
        """Returns a loss after a fraction of the iterations, as a share of its initial value."""
        return self.at(fraction, term) / self.history[0][term]

    def content_distance(self, layer: str) -> float:
        """Returns the distance between the picture and its photograph at a layer."""
        return self.yardstick.content[self.photograph][layer]

    def style_distance(self, *layers: str) -> float:
        """Returns the mean distance between the picture and its painting over these layers, by default all five."""
        distances = self.yardstick.style[self.painting]
        return float(np.mean([distances[layer] for layer in layers or distances]))
