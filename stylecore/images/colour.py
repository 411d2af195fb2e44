"""Converts decoded images of every mode and depth to 8-bit sRGB, tile by tile, so that no second image is held."""

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
from PIL import Image, ImageCms

_TILE_SIDE_PX = 2048
_GREY_MODES = ("1", "L", "LA", "La")
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
_WHITE_IS_ZERO = 0
_SIGNED = 2
# The values that white may have where the file does not say: white is the least that holds the brightest pixel.
_INTEGER_WHITES = (255, 2**16 - 1, 2**31 - 1, 2**32 - 1)
_FLOAT_WHITES = (255, 2**16 - 1)


class LevelsError(ValueError):
    """Pixels that are not finite, or brighter than any known white."""


@dataclasses.dataclass(frozen=True)
class SampleFormat:
    """How a file stores its samples; Pillow forgets it when it loads the image."""

    raw_mode: str
    bits: int
    signed: bool
    white_is_zero: bool

    @classmethod
    def of(cls, image: Image.Image) -> "SampleFormat":
        """Returns the format of an image that is open and not yet loaded."""
        tiles = getattr(image, "tile", None) or [(None, None, 0, "")]
        arguments = tiles[0][3]
        raw_mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
        tags = getattr(image, "tag_v2", {})
        bits = tags.get(258, (16,))[0]
        return cls(str(raw_mode), bits, tags.get(339, (1,))[0] == _SIGNED, tags.get(262) == _WHITE_IS_ZERO)


def rgb_pixels(image: Image.Image, stored: SampleFormat) -> np.ndarray:
    """Converts a loaded image: composites its alpha on white, takes its colours from its ICC profile to sRGB.

    Args:
      image: an image of any mode.
      stored: how its file stores the samples.

    Returns:
      uint8 [height, width, 3].

    Raises:
      LevelsError: values that are not finite, or brighter than any known white.
    """
    to_grey = _narrowing(image, stored) if image.mode.startswith(("I", "F")) else None
    mode = _colour_mode(image)
    transform = _to_srgb(image, mode)
    _settle_transparency(image, stored)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for box in _tiles(image.width, image.height):
        left, top, right, bottom = box
        tile = image.crop(box)
        colours = to_grey(tile) if to_grey else tile.convert(mode)
        colours = transform.apply(colours) if transform else colours.convert("RGB")
        pixels[top:bottom, left:right] = np.asarray(_on_white(colours, _alpha(tile)))
    return pixels


def _colour_mode(image: Image.Image) -> str:
    if image.mode in _GREY_MODES or image.mode.startswith(("I", "F")):
        return "L"
    return image.mode if image.mode in ("CMYK", "LAB") else "RGB"


def _tiles(width: int, height: int) -> Iterator[tuple[int, int, int, int]]:
    for top in range(0, height, _TILE_SIDE_PX):
        for left in range(0, width, _TILE_SIDE_PX):
            yield left, top, min(left + _TILE_SIDE_PX, width), min(top + _TILE_SIDE_PX, height)


def _on_white(colours: Image.Image, alpha: Image.Image | None) -> Image.Image:
    if alpha is None:
        return colours
    return Image.composite(colours, Image.new("RGB", colours.size, "white"), alpha)


def _alpha(tile: Image.Image) -> Image.Image | None:
    if not tile.has_transparency_data:
        return None
    if tile.mode.startswith("I"):
        return Image.fromarray(np.where(np.asarray(tile) == tile.info["transparency"], 0, 255).astype(np.uint8))
    return tile.convert("RGBA").getchannel("A")


def _settle_transparency(image: Image.Image, stored: SampleFormat) -> None:
    """Brings a PNG's see-through colour from the depth of the file to the 8 bits in which Pillow compares it."""
    named = image.info.get("transparency")
    if image.format != "PNG" or named is None:
        return
    if image.mode == "RGB" and stored.raw_mode.startswith("RGB;16"):
        image.info["transparency"] = tuple(level >> 8 for level in named)
    elif image.mode == "L" and stored.raw_mode in ("L;2", "L;4"):
        image.info["transparency"] = min(255, named * (85 if stored.raw_mode == "L;2" else 17))


def _narrowing(image: Image.Image, stored: SampleFormat) -> Callable[[Image.Image], Image.Image]:
    """Returns a function that scales a tile of wide greyscale to 8 bits, where Pillow's own conversion would clip."""
    unsigned_32 = image.mode == "I" and stored.bits == 32 and not stored.signed
    white = _white(image, stored, unsigned_32)

    def narrow(tile: Image.Image) -> Image.Image:
        values = np.asarray(tile)
        if not np.isfinite(values).all():
            raise LevelsError("it has pixels that are not finite")
        # Pillow holds unsigned values of 32 bits as signed ones.
        levels = np.clip((values.view(np.uint32) if unsigned_32 else values) / white, 0, 1)
        return Image.fromarray(np.rint((1 - levels if stored.white_is_zero else levels) * 255).astype(np.uint8))

    return narrow


def _white(image: Image.Image, stored: SampleFormat, unsigned_32: bool) -> float:
    """Returns the value of white: defined up to 16 bits, else the least known one that holds the brightest pixel."""
    if image.mode.startswith("I;16"):
        return 2.0**stored.bits - 1
    if image.mode == "I" and stored.bits == 16:
        return 2.0**15 - 1 if stored.signed else 2.0**16 - 1
    darkest, brightest = cast(tuple[float, float], image.getextrema())
    if image.mode == "F" and not brightest > 2:
        return 1.0  # Highlights may exceed 1; read as 0..255 such an image would be black.
    if unsigned_32 and darkest < 0:
        brightest = 2**32 - 1
    whites = _FLOAT_WHITES if image.mode == "F" else _INTEGER_WHITES
    for white in whites:
        if brightest <= white:
            return float(white)
    raise LevelsError(f"its brightest pixel is {brightest:g}; floats are read in 0..1, 0..255 or 0..65535")


def _to_srgb(image: Image.Image, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Returns the transform from a mode's colours to sRGB; None where Pillow's own conversion does.

    A profile that is broken or of another colour space is ignored.
    """
    if mode == "LAB":
        return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
    if not (embedded := image.info.get("icc_profile")):
        return None
    with contextlib.suppress(ImageCms.PyCMSError, OSError, TypeError, ValueError):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        if profile.profile.xcolor_space.strip() == _PROFILE_SPACES[mode] and not _is_srgb(profile):
            return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    return None


def _is_srgb(profile: ImageCms.ImageCmsProfile) -> bool:
    """Returns whether a profile is sRGB already: the transform would change some pixels by a level."""
    return (profile.profile.profile_description or "").startswith("sRGB")
