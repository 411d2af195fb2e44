"""Problems: the pixels and the configuration of one picture to make, from which batches are stacked."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stylecore.config.style_config import StyleConfig
from stylecore.errors import InputError
from stylecore.images.initial import initial_image, initial_refusal
from stylecore.images.recolour import colours_like, grey, grey_like, with_chroma_of
from stylecore.images.resize import ScalableImage, target_size
from stylecore.images.style import (
    AnyStyle,
    FittedStyle,
    Image,
    Style,
    check_image,
    fitted_image,
    fitted_styles,
    has_regions,
    scalable_image,
    styles_of,
)
from stylecore.planning.pyramid import stages


class InColour(NamedTuple):
    """The images of a problem in their own colours: content [height, width, 3], and (style, weight) pairs, 0..255."""

    content: np.ndarray
    styles: tuple[tuple[np.ndarray, float], ...]


@dataclasses.dataclass(frozen=True)
class Problem:
    """A picture to make, with every image at the size at which it is used.

    Attributes:
      content: float32 [height, width, 3] in 0..255, at the result's size.
      styles: the styles at the sizes at which their targets are taken, with their masks.
      initial: where the optimisation starts, like `content`; None: at the picture of the stage before.
      config: the parameters.
      iterations: steps to make at this size.
      coarser: the stages before this one, coarse to fine: the same picture, smaller.
      own_colours: the images before they were recoloured; None where `color` leaves them as they are.
    """

    content: np.ndarray
    styles: tuple[FittedStyle, ...]
    initial: np.ndarray | None
    config: StyleConfig
    iterations: int
    coarser: tuple["Problem", ...] = ()
    own_colours: InColour | None = None

    @property
    def in_colour(self) -> InColour:
        """The content and the styles in their own colours, at the sizes at which they are used."""
        return self.own_colours or _in_colour(self.content, self.styles)

    @property
    def has_regions(self) -> bool:
        """Whether a style applies in a part of the picture alone."""
        return has_regions(self.styles)

    @property
    def stages(self) -> tuple["Problem", ...]:
        """The problem at every size of its pyramid, coarse to fine, this one last."""
        return (*self.coarser, self)

    def delivered(self, image: np.ndarray) -> np.ndarray:
        """Returns an optimised image, float32 [height, width, 3] in 0..255, as the picture that people see, uint8."""
        if self.config.color == "content":
            image = with_chroma_of(image, self.in_colour.content)
        return np.rint(image).astype(np.uint8)

    def optimised(self, picture: np.ndarray) -> np.ndarray:
        """Returns what of a delivered picture, uint8 [height, width, 3], the losses see: float32, 0..255."""
        return grey(picture) if self.config.color == "content" else picture.astype(np.float32)

    def starting_from(self, initial: np.ndarray) -> "Problem":
        """Returns the problem with another initial image."""
        return dataclasses.replace(self, initial=initial)


def prepare(content: Image, style: AnyStyle, config: StyleConfig, initial: Image | None = None) -> Problem:
    """Returns the problem of one picture: resizes the images and makes the initial one.

    Args:
      content: RGB [h, w, 3], uint8 or float32 in 0..255, or an image that is asked for its sizes.
      style: one such image, a Style, or a list of Style or (image, weight).
      config: gives the result's size, the stages before it, how styles fit and where to start.
      initial: with `init: image` the image to start from, like `content`, of any size.

    Raises:
      InputError: an array is not such an image, there is no style, a style is not legal, a mask is all black, or
        `initial` is not what the configuration needs.
    """
    check_image("content", content)
    if initial is not None:
        check_image("initial", initial)
    source, styles = scalable_image(content), styles_of(style, config)
    recoloured = [_recoloured(entry, source, config) for entry in styles]
    result = target_size(*source.size(), config.image_size)
    given = None if initial is None else scalable_image(initial)
    if (reason := initial_refusal(config, *result, given.size() if given else None)) is not None:
        raise InputError(reason)
    starts = {"content": source, "style": scalable_image(recoloured[0].image), "image": given}
    prepared: list[Problem] = []
    for height, width, iterations in stages(config, *result):
        shown, fitted = source.at(height, width), fitted_styles(styles, height, width, config)
        own = None
        if config.color != "style":
            own = _in_colour(shown, fitted)
            shown = grey(shown) if config.color == "content" else shown
            fitted = tuple(
                style._replace(image=fitted_image(entry, height, width, config))
                for style, entry in zip(fitted, recoloured, strict=True)
            )
        start = None if prepared else initial_image(starts.get(config.init), height, width, config)
        prepared.append(Problem(shown, fitted, start, config, iterations, own_colours=own))
    return dataclasses.replace(prepared[-1], coarser=tuple(prepared[:-1]))


def _in_colour(content: np.ndarray, styles: Sequence[FittedStyle]) -> InColour:
    return InColour(content, tuple((style.image, style.weight) for style in styles))


def _recoloured(style: Style, content: ScalableImage, config: StyleConfig) -> Style:
    """Returns a style in the colours in which its targets are taken."""
    if config.color == "style":
        return style
    recolour = colours_like if config.color == "match" else grey_like
    return dataclasses.replace(style, image=scalable_image(style.image).recoloured(recolour, content))
