"""Problems: the pixels and the configuration of one picture to make, from which batches are stacked."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from stylecore.config.style_config import StyleConfig
from stylecore.images.recolour import colours_like, grey, grey_like, with_chroma_of
from stylecore.images.resize import ArrayImage, ScalableImage, scaled_size, target_size
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
      styles: (float32 [h, w, 3] in 0..255, weight) pairs.
      initial: where the optimisation starts, like `content`; None: at the picture of the stage before.
      config: the parameters.
      iterations: steps to make at this size.
      coarser: the stages before this one, coarse to fine: the same picture, smaller.
      own_colours: the images before they were recoloured; None where `color` leaves them as they are.
    """

    content: np.ndarray
    styles: tuple[tuple[np.ndarray, float], ...]
    initial: np.ndarray | None
    config: StyleConfig
    iterations: int
    coarser: tuple["Problem", ...] = ()
    own_colours: InColour | None = None

    @property
    def in_colour(self) -> InColour:
        """The content and the styles in their own colours, at the sizes at which they are used."""
        return self.own_colours or InColour(self.content, self.styles)

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


Image = np.ndarray | ScalableImage
Style = Image | Sequence[tuple[Image, float]]


def prepare(content: Image, style: Style, config: StyleConfig) -> Problem:
    """Returns the problem of one picture: resizes the images and makes the initial one.

    Args:
      content: RGB [h, w, 3], uint8 or float32 in 0..255, or an image that is asked for its sizes.
      style: one such image, or a list of (image, weight).
      config: gives the result's size, the stages before it, how styles fit and where to start.

    Raises:
      ValueError: an array is not such an image, or there is no style.
    """
    source, styles = scalable_image("content", content), weighted_styles(style)
    recoloured = [(_recoloured(image, source, config), weight) for image, weight in styles]
    result = target_size(*source.size(), config.image_size)
    prepared: list[Problem] = []
    for height, width, iterations in stages(config, *result):
        own = InColour(source.at(height, width), _fitted(styles, height, width, config))
        used = own
        if config.color != "style":
            shown = grey(own.content) if config.color == "content" else own.content
            used = InColour(shown, _fitted(recoloured, height, width, config))
        initial = None if prepared else initial_image(source, recoloured[0][0], height, width, config)
        prepared.append(
            Problem(*used, initial, config, iterations, own_colours=None if config.color == "style" else own)
        )
    return dataclasses.replace(prepared[-1], coarser=tuple(prepared[:-1]))


def _recoloured(style: ScalableImage, content: ScalableImage, config: StyleConfig) -> ScalableImage:
    """Returns a style in the colours in which its targets are taken."""
    if config.color == "match":
        return style.recoloured(colours_like, content)
    return style.recoloured(grey_like, content) if config.color == "content" else style


def _fitted(
    styles: Sequence[tuple[ScalableImage, float]], height: int, width: int, config: StyleConfig
) -> tuple[tuple[np.ndarray, float], ...]:
    return tuple((fit_style(image, height, width, config), float(weight)) for image, weight in styles)


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


def weighted_styles(style: Style) -> list[tuple[ScalableImage, float]]:
    """Returns a style as a list of (image, weight), or raises ValueError."""
    styles = [(style, 1.0)] if isinstance(style, np.ndarray | ScalableImage) else style
    if not isinstance(styles, list | tuple) or not styles:
        raise ValueError("style must be an image or a list of (image, weight)")
    found = []
    for entry in styles:
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            raise ValueError("style must be an image or a list of (image, weight)")
        found.append((scalable_image("style", entry[0]), entry[1]))
        if not (np.isfinite(entry[1]) and entry[1] >= 0):
            raise ValueError(f"the weight of a style must be a finite number >= 0, got {entry[1]}")
    return found


def scalable_image(name: str, image: Image) -> ScalableImage:
    """Returns an image as one that is asked for its sizes, or raises ValueError, see `check_image`."""
    if isinstance(image, ScalableImage):
        return image
    check_image(name, image)
    return ArrayImage(image)


def check_image(name: str, image: np.ndarray) -> None:
    """Raises ValueError unless `image` is RGB [height, width, 3], uint8 or float32 in 0..255."""
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"{name} must be an array [height, width, 3], got {getattr(image, 'shape', type(image))}")
    if image.dtype not in (np.uint8, np.float32):
        raise ValueError(f"{name} must be uint8 or float32, got {image.dtype}")
    if image.dtype == np.float32 and not (image.min() >= 0 and image.max() <= 255):
        raise ValueError(f"{name} must lie in 0..255, got {image.min()}..{image.max()}")


def fit_style(image: ScalableImage, height: int, width: int, config: StyleConfig) -> np.ndarray:
    """Returns a style at its `style_size` beside a picture of height x width pixels, float32 [h, w, 3]."""
    return image.at(*style_size(*image.size(), height, width, config))


def style_size(style_height: int, style_width: int, height: int, width: int, config: StyleConfig) -> tuple[int, int]:
    """Returns (height, width) at which a style's targets are taken beside a picture of height x width, in pixels."""
    if config.style_fit == "stretch":
        return height, width
    return scaled_size(style_height, style_width, max(1.0, config.style_scale * max(height, width)))


def white_noise(seed: int, height: int, width: int) -> np.ndarray:
    """Returns uniform noise in 0..255 from NumPy's PCG64(seed), float32 [height, width, 3]."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.uniform(0.0, 255.0, (height, width, 3)).astype(np.float32)
