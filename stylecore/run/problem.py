"""Problems: the pixels and the configuration of one picture to make, from which batches are stacked."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stylecore.config.style_config import StyleConfig
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


def prepare(content: Image, style: AnyStyle, config: StyleConfig) -> Problem:
    """Returns the problem of one picture: resizes the images and makes the initial one.

    Args:
      content: RGB [h, w, 3], uint8 or float32 in 0..255, or an image that is asked for its sizes.
      style: one such image, a Style, or a list of Style or (image, weight).
      config: gives the result's size, the stages before it, how styles fit and where to start.

    Raises:
      ValueError: an array is not such an image, there is no style, a style is not legal, a mask is all black.
    """
    check_image("content", content)
    source, styles = scalable_image(content), styles_of(style, config)
    recoloured = [_recoloured(entry, source, config) for entry in styles]
    result = target_size(*source.size(), config.image_size)
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
        first = scalable_image(recoloured[0].image)
        initial = None if prepared else initial_image(source, first, height, width, config)
        prepared.append(Problem(shown, fitted, initial, config, iterations, own_colours=own))
    return dataclasses.replace(prepared[-1], coarser=tuple(prepared[:-1]))


def _in_colour(content: np.ndarray, styles: Sequence[FittedStyle]) -> InColour:
    return InColour(content, tuple((style.image, style.weight) for style in styles))


def _recoloured(style: Style, content: ScalableImage, config: StyleConfig) -> Style:
    """Returns a style in the colours in which its targets are taken."""
    if config.color == "style":
        return style
    recolour = colours_like if config.color == "match" else grey_like
    return dataclasses.replace(style, image=scalable_image(style.image).recoloured(recolour, content))


def initial_image(
    content: ScalableImage, style: ScalableImage, height: int, width: int, config: StyleConfig
) -> np.ndarray:
    """Returns the picture at which the optimisation starts.

    Args:
      content: the content image.
      style: the first style, recoloured as `color` says.
      height, width: of the picture, in pixels.
      config: `init` chooses among noise from `seed`, the content and the style, `noise_blend` mixes noise into the
        others, `color: content` takes the luminance.

    Returns:
      float32 [height, width, 3] in 0..255.
    """
    share = 1.0 if config.init == "noise" else config.noise_blend
    image = np.zeros((height, width, 3), np.float32)
    if share < 1:
        image = (content if config.init == "content" else style).at(height, width)
    if share > 0:
        image = image + np.float32(share) * (white_noise(config.seed, height, width) - image)
    return grey(image) if config.color == "content" else image


def white_noise(seed: int, height: int, width: int) -> np.ndarray:
    """Returns uniform noise in 0..255 from NumPy's PCG64(seed), float32 [height, width, 3]."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.uniform(0.0, 255.0, (height, width, 3)).astype(np.float32)
