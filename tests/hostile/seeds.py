"""Small sound images of every format and feature, from which the mutations start."""

import functools
import io

import numpy as np
from PIL import Image, ImageCms

from tests.hostile.encoders import interlaced_rows, png, tiff

ORIENTATION = 0x0112


def _encoded(image, kind, **options):
    out = io.BytesIO()
    image.copy().save(out, kind, **options)  # A copy, because saving as JPEG changes the image's attributes.
    return out.getvalue()


@functools.cache
def seed_pictures():
    """Returns name -> bytes of sound images of 40x30 px; the name begins with the format."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    rgb = Image.fromarray(pixels).resize((40, 30), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif.get_ifd(0x8769)[0x9003] = "2026:01:01 00:00:00"
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tagged = {"exif": exif, "icc_profile": srgb.replace(b"sRGB", b"wide")}

    def several():
        return {"save_all": True, "append_images": [rgb.rotate(90 * turn) for turn in (1, 2)]}

    alpha = rgb.convert("RGBA")
    alpha.putalpha(rgb.convert("L"))
    words = _words(rgb)
    return {
        "png rgb": _encoded(rgb, "PNG", **tagged),
        "png alpha": _encoded(alpha, "PNG"),
        "png palette": _encoded(rgb.convert("P"), "PNG", transparency=3, bits=8),
        "png grey": _encoded(rgb.convert("L"), "PNG", transparency=9),
        "png bilevel": _encoded(rgb.convert("1"), "PNG"),
        "png 16": _encoded(words, "PNG"),
        "png rgb 16": png(40, 30, 16, 2, [row.tobytes() for row in np.asarray(rgb, ">u2") * 257]),
        "png interlaced": png(40, 30, 8, 2, interlaced_rows(np.asarray(rgb)), interlace=True),
        "png animated": _encoded(rgb, "PNG", **several()),
        "jpeg": _encoded(rgb, "JPEG", **tagged),
        "jpeg progressive": _encoded(rgb, "JPEG", progressive=True, subsampling=0),
        "jpeg grey": _encoded(rgb.convert("L"), "JPEG", restart_marker_rows=1),
        "jpeg cmyk": _encoded(rgb.convert("CMYK"), "JPEG"),
        "jpeg of a phone": _encoded(rgb, "MPO", exif=exif, **several()),
        "webp": _encoded(rgb, "WEBP", quality=70, **tagged),
        "webp lossless": _encoded(alpha, "WEBP", lossless=True),
        "webp alpha": _encoded(alpha, "WEBP", quality=50, alpha_quality=50),
        "webp animated": _encoded(rgb, "WEBP", **several()),
        "gif": _encoded(rgb.convert("P"), "GIF", transparency=3),
        "gif interlaced": _encoded(rgb.convert("L"), "GIF", interlace=1),
        "gif animated": _encoded(rgb.convert("P"), "GIF", **several()),
        "bmp": _encoded(rgb, "BMP"),
        "bmp alpha": _encoded(alpha, "BMP"),
        "bmp palette": _encoded(rgb.convert("P"), "BMP"),
        "bmp bilevel": _encoded(rgb.convert("1"), "BMP"),
        "tiff": _encoded(rgb, "TIFF", **tagged),
        "tiff pages": _encoded(rgb, "TIFF", **several()),
        "tiff alpha": _encoded(alpha, "TIFF", compression="tiff_adobe_deflate"),
        "tiff palette": _encoded(rgb.convert("P"), "TIFF", compression="packbits"),
        "tiff 16": _encoded(words, "TIFF", compression="tiff_lzw"),
        "tiff float": _encoded(rgb.convert("F"), "TIFF"),
        "tiff integer": _encoded(rgb.convert("L").convert("I"), "TIFF"),
        "tiff cmyk": _encoded(rgb.convert("CMYK"), "TIFF", compression="tiff_lzw"),
        "tiff jpeg": _encoded(rgb, "TIFF", compression="jpeg"),
        "tiff fax": _encoded(rgb.convert("1"), "TIFF", compression="group4"),
        "tiff zstd": _encoded(rgb, "TIFF", compression="zstd", big_tiff=True),
        "tiff lab": tiff(40, 30, bytes(3600), bits=(8,) * 3, photometric=8, sample_format=(1,) * 3),
        "tiff big-endian": tiff(40, 30, bytes(range(240)) * 10, bits=(16,), order=">"),
    }


def _words(rgb):
    return Image.fromarray(np.asarray(rgb.convert("L"), np.uint16) * 257)
