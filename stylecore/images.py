"""Encoded bytes to RGB pixels and back, resizing, thumbnails. Everything decoded is untrusted."""

import contextlib
import io
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")
# Below the size at which Pillow itself suspects a decompression bomb.
MAX_PIXELS = 80_000_000
THUMBNAIL_SIDE_PX = 320
RECORD_KEYWORD = "stylebeam"


class ImageError(ValueError):
    """Bytes that are not a picture we read; the message says why in one line."""


def decode_image(data: bytes) -> np.ndarray:
    """Decodes the first frame of an image fully.

    EXIF orientation is applied, alpha is composited on white, every mode and bit depth becomes 8-bit RGB, embedded
    CMYK profiles are honoured.

    Args:
      data: PNG, JPEG, WebP, TIFF, BMP or GIF.

    Returns:
      uint8 array [height, width, 3].

    Raises:
      ImageError: no such image, truncated, or more than MAX_PIXELS pixels.
    """
    if not data:
        raise ImageError("the file is empty")
    with _one_line_errors(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ImageError(f"{width}x{height} pixels are more than the {MAX_PIXELS} that are read")
        image.load()
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except ImageError:
        raise
    # Pillow's decoders raise whatever their parsing of foreign bytes runs into.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = f"not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} image"
        raise ImageError(reason[:200]) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _narrow(image).convert("RGB")
    if image.mode == "CMYK" and image.info.get("icc_profile"):
        image = _through_profile(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _narrow(image: Image.Image) -> Image.Image:
    """16-bit greyscale (and Pillow's wider modes) to 8 bits; Pillow's own conversion clips instead of scaling."""
    values = np.asarray(image, np.float64)
    if not np.isfinite(values).all():
        raise ImageError("pixels that are not finite")
    top = 65535.0 if image.mode.startswith("I") else max(1.0, float(values.max(initial=0.0)))
    return Image.fromarray(np.rint(np.clip(values / top, 0, 1) * 255).astype(np.uint8))


def _through_profile(image: Image.Image) -> Image.Image:
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        return image  # A broken profile is no reason to refuse the picture.
    return converted or image


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
