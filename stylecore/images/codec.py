"""Encoded bytes to RGB pixels, and RGB pixels to PNG and WebP. Every byte that is decoded is untrusted."""

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import ExifTags, Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from stylecore.errors import UsageError, one_line
from stylecore.images.bounds import check_bounds, check_directory
from stylecore.images.colour import SampleFormat, rgb_pixels

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
# Below the size at which Pillow itself suspects a decompression bomb.
MAX_PIXELS = 80_000_000
THUMBNAIL_SIDE_PX = 320
RECORD_KEYWORD = "stylebeam"


class ImageError(UsageError, ValueError):
    """Bytes that are no readable image; the message says why, in one line."""


def decode_image(data: bytes) -> np.ndarray:
    """Decodes the first frame of an image; the format follows from the bytes.

    EXIF orientation is applied, alpha is composited on white, an embedded ICC profile is converted to sRGB. Greyscale
    of 16 bits is scaled from its full range; of 32 bits, or of floats, from the smallest usual range that holds its
    brightest pixel: 0..1 (floats), 0..255, 0..65535, and the full range of integers.

    Args:
      data: an encoded PNG, JPEG, WebP, TIFF, BMP or GIF.

    Returns:
      uint8 RGB [height, width, 3].

    Raises:
      ImageError: not such an image, truncated, more than MAX_PIXELS pixels, or claims beyond what it holds.
    """
    if not data:
        raise ImageError("the file is empty")
    with _one_line_errors():
        check_bounds(data)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ImageError(f"{width}x{height} pixels are more than the {MAX_PIXELS} that are read")
            stored = SampleFormat.of(image)
            image.load()
            _turn_upright(image)
            return rgb_pixels(image, stored)


def _turn_upright(image: Image.Image) -> None:
    """Turns a loaded image in place, as its EXIF or XMP says; Pillow has already turned a TIFF.

    EXIF that cannot be read is no reason to refuse a picture: it stays as it is stored.
    """
    check_directory(image.info.get("exif", b""))
    try:
        if (text := image.info.get("Raw profile type exif")) is not None:
            check_directory(bytes.fromhex("".join(text.split("\n")[3:])))
        exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # Pillow's parser raises whatever it runs into.
        return
    # exif_transpose writes the rest of the EXIF anew, at many times its size in memory: leave only the orientation.
    exif.load(b"")
    exif[ExifTags.Base.Orientation] = orientation
    ImageOps.exif_transpose(image, in_place=True)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    # Pillow's decoders raise errors of many kinds for foreign bytes.
    except Exception as error:
        raise ImageError(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image"
    text = one_line(error, 200)
    if isinstance(error, OSError | SyntaxError | ValueError | Image.DecompressionBombError) and text:
        return text
    return f"damaged: {type(error).__name__} {text}".rstrip()


def encode_png(image: np.ndarray, record: str | None = None) -> bytes:
    """Encodes a picture as PNG.

    Args:
      image: uint8 RGB [height, width, 3].
      record: ASCII text to carry in a compressed text chunk; None: no chunk.
    """
    info = PngImagePlugin.PngInfo()
    if record is not None:
        info.add_text(RECORD_KEYWORD, record, zip=True)
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def read_png_record(data: bytes) -> str:
    """Returns the record in a PNG that `encode_png` made.

    Raises:
      ImageError: no PNG, damaged, or without a record.
    """
    with _one_line_errors(), Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
        chunks: Mapping[str, str] = image.text  # type: ignore[attr-defined]
        if RECORD_KEYWORD not in chunks:
            raise ImageError(f"the picture carries no {RECORD_KEYWORD!r} record")
        return str(chunks[RECORD_KEYWORD])


def thumbnail(image: np.ndarray, side_px: int = THUMBNAIL_SIDE_PX) -> bytes:
    """Encodes a picture's thumbnail as WebP.

    Args:
      image: uint8 RGB [height, width, 3].
      side_px: the longest side of the thumbnail, in pixels; a smaller picture keeps its size.
    """
    picture = Image.fromarray(image)
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=85, method=4)
    return out.getvalue()
