"""Encoded bytes to RGB pixels and back, resizing, thumbnails. Everything decoded is untrusted."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from stylecore.errors import UsageError, one_line
from stylecore.images.bounds import check_bounds, check_directory
from stylecore.images.colour import Storage, rgb_pixels

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
# Below the size at which Pillow itself suspects a decompression bomb.
MAX_PIXELS = 80_000_000
THUMBNAIL_SIDE_PX = 320
RECORD_KEYWORD = "stylebeam"


class ImageError(UsageError, ValueError):
    """Bytes that are not a picture we read; the message says why in one line."""


def decode_image(data: bytes) -> np.ndarray:
    """Decodes the first frame of an image fully, whatever the name of its file says.

    EXIF orientation is applied, alpha is composited on white, an embedded ICC profile is converted to sRGB. Greyscale
    of 16 bits is scaled from its full range; of 32 bits, or of floats, from the least of the ranges in use that holds
    its brightest pixel: 0..1 (floats), 0..255, 0..65535, and the full range of integers.

    Args:
      data: PNG, JPEG, WebP, TIFF, BMP or GIF.

    Returns:
      uint8 RGB array [height, width, 3].

    Raises:
      ImageError: no such image, truncated, more than MAX_PIXELS pixels, or claiming more than it holds.
    """
    if not data:
        raise ImageError("the file is empty")
    with _one_line_errors():
        check_bounds(data)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise ImageError(f"{width}x{height} pixels are more than the {MAX_PIXELS} that are read")
            stored = Storage.of(image)
            image.load()
            orientation = _orientation(image)
            pixels = rgb_pixels(image, stored)
        return np.ascontiguousarray(_UPRIGHT.get(orientation, lambda same: same)(pixels))


_ORIENTATION_TAG = 0x0112
_UPRIGHT: Mapping[Any, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels),
}


def _orientation(image: Image.Image) -> Any:
    """Returns what EXIF or XMP say, 1 if they cannot be read; Pillow has turned a TIFF already."""
    check_directory(image.info.get("exif", b""))
    # Pillow's parser raises whatever it runs into; broken EXIF is no reason to refuse a picture.
    with contextlib.suppress(Exception):
        if (text := image.info.get("Raw profile type exif")) is not None:
            check_directory(bytes.fromhex("".join(text.split("\n")[3:])))
        return image.getexif().get(_ORIENTATION_TAG, 1)
    return 1


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImageError:
        raise
    # Pillow's decoders raise whatever their parsing of foreign bytes runs into.
    except Exception as error:
        raise ImageError(_reason(error)) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image"
    text = one_line(error, 200)
    if isinstance(error, OSError | SyntaxError | ValueError | Image.DecompressionBombError) and text:
        return text
    return f"damaged: {type(error).__name__} {text}".rstrip()


def target_size(height: int, width: int, longest_side: int | None) -> tuple[int, int]:
    """Returns (height, width) with the longest side at most `longest_side`, aspect ratio kept, never enlarged."""
    if longest_side is None or longest_side >= max(height, width):
        return height, width
    return scaled_size(height, width, longest_side)


def scaled_size(height: int, width: int, longest_side: float) -> tuple[int, int]:
    """Returns (height, width) with the longest side `longest_side`, each rounded to the nearest pixel, at least 1."""
    scale = longest_side / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes with Pillow's Lanczos filter.

    Args:
      image: [h, w, 3], uint8 or float32 in 0..255.
      height: rows of the result.
      width: columns of the result.

    Returns:
      float32 [height, width, 3] in 0..255; uint8 images are resized in 8 bits.
    """
    if image.shape[:2] == (height, width):
        return np.asarray(image, np.float32)
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS), np.float32)
    channels = [Image.fromarray(np.ascontiguousarray(image[..., c], np.float32)) for c in range(3)]
    resized = [np.asarray(c.resize((width, height), Image.Resampling.LANCZOS)) for c in channels]
    return np.clip(np.stack(resized, axis=-1), 0.0, 255.0)


def encode_png(image: np.ndarray, record: str | None = None) -> bytes:
    """Encodes uint8 [height, width, 3] as PNG, carrying `record` (ASCII) in a compressed text chunk if given."""
    info = PngImagePlugin.PngInfo()
    if record is not None:
        info.add_text(RECORD_KEYWORD, record, zip=True)
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def read_png_record(data: bytes) -> str:
    """Returns the record that a PNG of ours carries.

    Raises:
      ImageError: not such a PNG, or it is damaged.
    """
    with _one_line_errors(), Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
        chunks: Mapping[str, str] = image.text  # type: ignore[attr-defined]
        if RECORD_KEYWORD not in chunks:
            raise ImageError(f"the picture carries no {RECORD_KEYWORD!r} record")
        return str(chunks[RECORD_KEYWORD])


def thumbnail(image: np.ndarray, side_px: int = THUMBNAIL_SIDE_PX) -> bytes:
    """Encodes uint8 [height, width, 3] as WebP with a longest side of at most `side_px`."""
    picture = Image.fromarray(image)
    picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=85, method=4)
    return out.getvalue()
