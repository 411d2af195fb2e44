"""Styles: paintings with their weight, their own size and the regions that they belong to, as given and as used."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from stylecore.config.style_config import StyleConfig
from stylecore.errors import InputError
from stylecore.images.resize import ArrayImage, ScalableImage, scaled_size

MAX_SCALE = 8.0

# RGB [h, w, 3], uint8 or float32 in 0..255; of a mask grey [h, w] too.
Image = np.ndarray | ScalableImage


@dataclasses.dataclass(frozen=True, eq=False)
class Style:
    """A painting whose statistics a picture takes, everywhere or in a region.

    Attributes:
      image: RGB [h, w, 3], uint8 or float32 in 0..255, or an image that is asked for its sizes.
      weight: of its statistics among those of the other styles, finite and >= 0.
      scale: its longest side over the result's, above 0, at most 8, instead of the configuration's `style_scale`; legal
        with `style_fit: keep` alone. None: `style_scale`.
      content_mask: where in the content it applies: grey [h, w] or RGB [h, w, 3] like `image`, of any size, which is
        resized to the picture's; white = yes. None: everywhere.
      style_mask: where in the painting its statistics come from, likewise, resized to the painting's size.

    Raises:
      InputError: one of them is not so.
    """

    image: Image
    weight: float = 1.0
    scale: float | None = None
    content_mask: Image | None = None
    style_mask: Image | None = None

    def __post_init__(self) -> None:
        check_image("style", self.image)
        if not (_is_number(self.weight) and np.isfinite(self.weight) and self.weight >= 0):
            raise InputError(f"the weight of a style must be a finite number >= 0, got {self.weight}")
        if self.scale is not None and not (_is_number(self.scale) and 0 < self.scale <= MAX_SCALE):
            raise InputError(f"the scale of a style must be > 0 and <= {MAX_SCALE:g}, got {self.scale}")
        for name in ("content_mask", "style_mask"):
            if (mask := getattr(self, name)) is not None:
                check_image(name, mask, grey=True)


class FittedStyle(NamedTuple):
    """A style at the sizes at which it is used.

    Attributes:
      image: float32 [h, w, 3] in 0..255.
      weight: as given.
      content_mask: where in the picture it applies, float32 [height, width] in 0..1, of the picture's size.
      style_mask: where in the style its statistics come from, float32 [h, w] in 0..1.
    """

    image: np.ndarray
    weight: float
    content_mask: np.ndarray | None = None
    style_mask: np.ndarray | None = None


AnyStyle = Image | Style | Sequence[Image | Style | tuple[Image, float]]


def has_regions(styles: Iterable[Style | FittedStyle]) -> bool:
    """Returns whether a style applies in a part of the picture alone."""
    return any(style.content_mask is not None for style in styles)


def styles_of(style: AnyStyle, config: StyleConfig) -> list[Style]:
    """Returns what `stylize` takes for a style as a list of styles, or raises InputError."""
    given = [style] if isinstance(style, np.ndarray | ScalableImage | Style) else style
    if not isinstance(given, list | tuple) or not given:
        raise InputError("style must be an image, a Style or a list of Style or (image, weight)")
    styles = [_style(entry) for entry in given]
    for entry in styles:
        if entry.scale is not None and config.style_fit != "keep":
            raise InputError(f"style_fit must be keep with the scale of a style, got {config.style_fit}")
    return styles


def _style(entry: Image | Style | tuple[Image, float]) -> Style:
    if isinstance(entry, Style):
        return entry
    if isinstance(entry, np.ndarray | ScalableImage):
        return Style(entry)
    if not isinstance(entry, list | tuple) or len(entry) != 2:
        raise InputError("style must be an image, a Style or a list of Style or (image, weight)")
    return Style(*entry)


def fitted_styles(styles: Iterable[Style], height: int, width: int, config: StyleConfig) -> tuple[FittedStyle, ...]:
    """Returns styles at their sizes beside a picture of height x width pixels.

    Raises:
      InputError: a mask is all black.
    """
    return tuple(_fitted(number, style, height, width, config) for number, style in enumerate(styles, start=1))


def _fitted(number: int, style: Style, height: int, width: int, config: StyleConfig) -> FittedStyle:
    image = fitted_image(style, height, width, config)
    return FittedStyle(
        image,
        float(style.weight),
        _fitted_mask(f"content_mask of style {number}", style.content_mask, height, width),
        _fitted_mask(f"style_mask of style {number}", style.style_mask, *image.shape[:2]),
    )


def _fitted_mask(name: str, mask: Image | None, height: int, width: int) -> np.ndarray | None:
    if mask is None:
        return None
    image = scalable_image(mask)
    fitted = image.mask_at(height, width)
    # A spot of light may vanish at a small size; the mask is not empty for that.
    if not fitted.any() and not image.pixels.any():
        raise InputError(f"{name} is empty: one pixel at least must not be black")
    return fitted


def fitted_image(style: Style, height: int, width: int, config: StyleConfig) -> np.ndarray:
    """Returns a style at its `style_size` beside a picture of height x width pixels, float32 [h, w, 3] in 0..255."""
    image = scalable_image(style.image)
    return image.at(*style_size(*image.size(), height, width, config, style.scale))


def style_size(
    style_height: int, style_width: int, height: int, width: int, config: StyleConfig, scale: float | None = None
) -> tuple[int, int]:
    """Returns (height, width) at which a style's targets are taken beside a picture of height x width, in pixels.

    Args:
      style_height, style_width: its own, in pixels.
      height, width: of the picture, in pixels.
      config: `style_fit` and `style_scale`.
      scale: its own, instead of `style_scale`.
    """
    if config.style_fit == "stretch":
        return height, width
    longest_side = (config.style_scale if scale is None else scale) * max(height, width)
    return scaled_size(style_height, style_width, max(1.0, longest_side))


def scalable_image(image: Image) -> ScalableImage:
    """Returns an image as one that is asked for its sizes."""
    return image if isinstance(image, ScalableImage) else ArrayImage(image)


def check_image(name: str, image: Image, grey: bool = False) -> None:
    """Raises InputError unless an image is RGB [height, width, 3], uint8 or float32 in 0..255.

    Args:
      name: of the image, for the message.
      image: an array, or an image that is asked for its sizes, which is taken as it is.
      grey: [height, width] is legal too.
    """
    if isinstance(image, ScalableImage):
        return
    is_array = isinstance(image, np.ndarray)
    if not is_array or not image.size or not (image.shape[2:] == (3,) or (grey and image.ndim == 2)):
        legal = "[height, width] or [height, width, 3]" if grey else "[height, width, 3]"
        raise InputError(f"{name} must be an array {legal}, got {image.shape if is_array else type(image)}")
    if image.dtype not in (np.uint8, np.float32):
        raise InputError(f"{name} must be uint8 or float32, got {image.dtype}")
    if image.dtype == np.float32 and not (image.min() >= 0 and image.max() <= 255):
        raise InputError(f"{name} must lie in 0..255, got {image.min()}..{image.max()}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
