"""Every mode, depth and profile a file can have, against pixels computed here from the formats' specifications."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from stylecore.images.codec import ImageError, decode_image
from tests.hostile.encoders import interlaced_rows, jpeg, jpeg_segments, png, tiff

TRNS = b"tRNS"
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def floats(*values, order="<"):
    return struct.pack(f"{order}{len(values)}f", *values)


def grey(*levels):
    return [(level,) * 3 for level in levels]


def rgba_tiff(extra_sample, pixel):
    tags = [(338, "H", (extra_sample,))]
    return tiff(1, 1, bytes(pixel), bits=(8,) * 4, photometric=2, sample_format=(1,) * 4, tags=tags)


# One row of pixels each; expected after compositing on white, in 8 bits.
ROWS = {
    "grey 1, see-through white": (png(2, 1, 1, 0, [b"\x40"], [(TRNS, b"\0\1")]), [BLACK, WHITE]),
    "grey 1, see-through black": (png(2, 1, 1, 0, [b"\x40"], [(TRNS, b"\0\0")]), [WHITE, WHITE]),
    "grey 2": (png(4, 1, 2, 0, [b"\x1b"]), grey(0, 85, 170, 255)),
    "grey 2, one see-through": (png(4, 1, 2, 0, [b"\x1b"], [(TRNS, b"\0\1")]), grey(0, 255, 170, 255)),
    "grey 4": (png(2, 1, 4, 0, [b"\x2f"]), grey(34, 255)),
    "grey 4, one see-through": (png(2, 1, 4, 0, [b"\x2c"], [(TRNS, b"\0\2")]), grey(255, 204)),
    "grey 16": (png(2, 1, 16, 0, [b"\x80\x80\x00\xff"]), grey(128, 1)),
    "grey 16, one see-through": (png(2, 1, 16, 0, [b"\x12\x34\x12\x35"], [(TRNS, b"\x12\x34")]), grey(255, 18)),
    "grey and alpha 16": (png(1, 1, 16, 4, [b"\0\0\x33\x33"]), grey(204)),
    "colour 16": (png(1, 1, 16, 2, [b"\xff\xff\x80\x80\0\0"]), [(255, 128, 0)]),
    "colour 16, see-through": (
        png(2, 1, 16, 2, [b"\x10\0\x20\0\x30\0" + b"\x11\0\x20\0\x30\0"], [(TRNS, b"\x10\0\x20\0\x30\0")]),
        [WHITE, (17, 32, 48)],
    ),
    "colour 16, dark and see-through": (
        png(2, 1, 16, 2, [b"\0\1" * 3 + b"\xff\xff" * 3], [(TRNS, b"\0\1" * 3)]),
        [WHITE, WHITE],
    ),
    "colour 8, one see-through": (
        png(2, 1, 8, 2, [bytes([1, 2, 3, 1, 2, 4])], [(TRNS, b"\0\1\0\2\0\3")]),
        [WHITE, (1, 2, 4)],
    ),
    "colour and alpha 16": (png(1, 1, 16, 6, [b"\0\0\x64\x64\xc8\xc8\x33\x33"]), [(204, 224, 244)]),
    "palette 4 with alphas": (
        png(3, 1, 4, 3, [b"\x01\x20"], [(b"PLTE", bytes([0, 100, 200, 9, 9, 9, 7, 8, 9])), (TRNS, b"\x33\0")]),
        [(204, 224, 244), WHITE, (7, 8, 9)],
    ),
    "TIFF 16, white is zero": (tiff(2, 1, b"\0\0\xff\xff", bits=(16,), photometric=0), grey(255, 0)),
    "TIFF 16, big-endian": (tiff(2, 1, b"\x80\x80\0\xff", bits=(16,), order=">"), grey(128, 1)),
    "TIFF 16, signed": (
        tiff(4, 1, struct.pack("<4h", -5, 0, 16_384, 32_767), bits=(16,), sample_format=(2,)),
        grey(0, 0, 128, 255),
    ),
    "TIFF 12": (tiff(2, 1, b"\x80\x0f\xff", bits=(12,)), grey(128, 255)),
    "TIFF 32 in 0..255": (tiff(3, 1, struct.pack("<3L", 0, 7, 255), bits=(32,)), grey(0, 7, 255)),
    "TIFF 32 in 0..65535": (tiff(3, 1, struct.pack("<3L", 0, 257, 65_535), bits=(32,)), grey(0, 1, 255)),
    "TIFF 32 in its full range": (tiff(3, 1, struct.pack("<3L", 0, 2**31, 2**32 - 1), bits=(32,)), grey(0, 128, 255)),
    "TIFF 32, signed": (
        tiff(3, 1, struct.pack("<3l", -9, 2**30, 2**31 - 1), bits=(32,), sample_format=(2,)),
        grey(0, 128, 255),
    ),
    "floats in 0..1": (tiff(3, 1, floats(0, 0.5, 1), bits=(32,), sample_format=(3,)), grey(0, 128, 255)),
    "floats that shoot over 1": (tiff(3, 1, floats(-0.5, 0.2, 1.5), bits=(32,), sample_format=(3,)), grey(0, 51, 255)),
    "floats in 0..1, all dark": (tiff(2, 1, floats(0, 0.2), bits=(32,), sample_format=(3,)), grey(0, 51)),
    "floats in 0..255": (tiff(2, 1, floats(17, 90), bits=(32,), sample_format=(3,)), grey(17, 90)),
    "floats in 0..65535": (
        tiff(2, 1, floats(257, 65_535, order=">"), bits=(32,), sample_format=(3,), order=">"),
        grey(1, 255),
    ),
    "floats, white is zero": (
        tiff(2, 1, floats(0, 1), bits=(32,), sample_format=(3,), photometric=0),
        grey(255, 0),
    ),
    "TIFF with alpha": (rgba_tiff(2, (0, 100, 200, 51)), [(204, 224, 244)]),
    "TIFF with colours multiplied by alpha": (rgba_tiff(1, (0, 20, 40, 51)), [(204, 224, 244)]),
    "TIFF with a fourth sample that is no alpha": (rgba_tiff(0, (1, 2, 3, 51)), [(1, 2, 3)]),
    "CMYK 16": (
        tiff(1, 1, struct.pack("<4H", 0, 65_535, 65_535, 0), bits=(16,) * 4, photometric=5, sample_format=(1,) * 4),
        [(255, 0, 0)],
    ),
    "Lab": (
        tiff(3, 1, bytes([0, 0, 0, 255, 0, 0, 137, 0, 0]), bits=(8,) * 3, photometric=8, sample_format=(1,) * 3),
        [BLACK, WHITE, (128, 128, 128)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_every_way_to_store_a_pixel(name):
    data, expected = ROWS[name]
    np.testing.assert_allclose(decode_image(data)[0], expected, atol=1)


def test_lab_is_coloured_as_its_definition_says():
    """CIE L*a*b* (D50) by hand: through XYZ, Bradford-adapted to D65, to sRGB."""
    lab = np.array([53.0, 40.0, -30.0])
    stored = bytes([round(lab[0] / 100 * 255), 40, 256 - 30])
    data = tiff(1, 1, stored, bits=(8,) * 3, photometric=8, sample_format=(1,) * 3)
    fy = (lab[0] + 16) / 116
    f = np.array([fy + lab[1] / 500, fy, fy - lab[2] / 200])
    xyz = np.array([0.9642, 1.0, 0.8249]) * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    linear = XYZ_D50_TO_SRGB @ xyz
    np.testing.assert_allclose(decode_image(data)[0, 0], 255 * srgb_curve(linear), atol=3)


# Lindbloom, "RGB/XYZ matrices": sRGB adapted to D50, inverted.
XYZ_D50_TO_SRGB = np.array(
    [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
)


def srgb_curve(linear):
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_floats_that_are_not_finite_are_refused(value):
    with pytest.raises(ImageError, match=r"not finite|brightest pixel is inf"):
        decode_image(tiff(2, 1, floats(0.5, value), bits=(32,), sample_format=(3,)))


def test_floats_beyond_any_known_white_are_refused():
    with pytest.raises(ImageError, match=r"brightest pixel is 1e\+06; floats are read in 0..1, 0..255 or 0..65535"):
        decode_image(tiff(2, 1, floats(0.5, 1e6), bits=(32,), sample_format=(3,)))


def test_an_interlaced_png():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8)
    data = png(11, 9, 8, 2, interlaced_rows(pixels), interlace=True)
    np.testing.assert_array_equal(decode_image(data), pixels)


def flat_jpeg(mode, colour, **options):
    out = io.BytesIO()
    Image.new(mode, (32, 16), colour).save(out, "JPEG", quality=100, **options)
    return out.getvalue()


def with_adobe_transform(data, transform):
    """The same coefficients, said to be YCCK (2) or plain CMYK (0)."""
    segments = jpeg_segments(data)
    (at,) = (i for i, (marker, segment) in enumerate(segments) if marker == 0xEE)
    segments[at] = (0xEE, segments[at][1][:-1] + bytes([transform]))
    return jpeg(segments)


def test_inverted_cmyk_of_adobe():
    np.testing.assert_allclose(decode_image(flat_jpeg("CMYK", (0, 255, 255, 0)))[3, 3], (255, 0, 0), atol=2)
    np.testing.assert_allclose(decode_image(flat_jpeg("CMYK", (255, 0, 0, 127)))[3, 3], (0, 128, 128), atol=2)


def test_ycck():
    # Red is C 0, M 255, Y 255: taken as if it were RGB, that is cyan, and its YCbCr is what the file holds.
    ycc = (0.701 * 255, 128 + 0.168736 * 255, 128 - 0.5 * 255)
    # Pillow stores 255 minus its CMYK, as Adobe does.
    data = flat_jpeg("CMYK", (*(255 - round(level) for level in ycc), 0))
    np.testing.assert_allclose(decode_image(with_adobe_transform(data, 2))[3, 3], (255, 0, 0), atol=3)
    assert tuple(decode_image(data)[3, 3]) != (255, 0, 0)


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"subsampling": 2}], ids=str)
def test_jpeg_variants(options):
    np.testing.assert_allclose(decode_image(flat_jpeg("RGB", (200, 40, 10), **options))[3, 3], (200, 40, 10), atol=3)


def test_a_phones_multi_picture_jpeg():
    out = io.BytesIO()
    frames = [Image.new("RGB", (32, 16), colour) for colour in ("red", "blue")]
    frames[0].save(out, "MPO", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(out.getvalue())).format == "MPO"
    np.testing.assert_allclose(decode_image(out.getvalue())[3, 3], (254, 0, 0), atol=2)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4", "zstd"])
def test_compressed_tiffs(compression):
    mode, colour = ("1", 1) if compression == "group4" else ("RGB", (250, 250, 250))
    out = io.BytesIO()
    Image.new(mode, (32, 16), colour).save(out, "TIFF", compression=compression)
    np.testing.assert_allclose(decode_image(out.getvalue())[3, 3], WHITE if mode == "1" else colour, atol=2)


def matrix_profile(primaries, gamma=2.2, description="wide", space=b"RGB "):
    """A minimal ICC v2 matrix profile: D50 colorants in the columns of `primaries`, one gamma for all."""

    def number(value):
        return struct.pack(">i", round(value * 65536))

    text = description.encode() + b"\0"
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(79),
        b"wtpt": b"XYZ " + bytes(4) + b"".join(map(number, (0.9642, 1.0, 0.8249))),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
    }
    for kind, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries.T):
        tags[kind] = b"XYZ " + bytes(4) + b"".join(map(number, column))
    if space == b"GRAY":
        tags = {b"desc": tags[b"desc"], b"wtpt": tags[b"wtpt"], b"kTRC": curve}
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for kind, data in tags.items():
        table += struct.pack(">4sII", kind, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4sI4s4s4s12s4s", start + len(body), bytes(4), 0x02400000, b"mntr", space, b"XYZ ", bytes(12), b"acsp"
    )
    header = header.ljust(68, b"\0") + b"".join(map(number, (0.9642, 1.0, 0.8249)))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


# Lindbloom: Adobe RGB (1998) adapted to D50.
ADOBE_RGB_TO_XYZ_D50 = np.array(
    [[0.6097559, 0.2052401, 0.1492240], [0.3111242, 0.6256560, 0.0632197], [0.0194811, 0.0608902, 0.7448387]]
)
WIDE = matrix_profile(ADOBE_RGB_TO_XYZ_D50)


def with_profile(mode, colour, profile, kind="PNG"):
    out = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
    Image.new(mode, (16, 8), colour).save(out, kind, icc_profile=profile, **options)
    return out.getvalue()


def in_srgb(colour):
    return 255 * srgb_curve(XYZ_D50_TO_SRGB @ ADOBE_RGB_TO_XYZ_D50 @ (np.array(colour) / 255) ** 2.2)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_a_wide_gamut_photograph_is_seen_as_it_was_meant(kind):
    colour = (150, 120, 90)
    expected = in_srgb(colour)
    assert np.abs(expected - colour).max() > 8
    np.testing.assert_allclose(decode_image(with_profile("RGB", colour, WIDE, kind))[3, 3], expected, atol=2)


def test_alpha_is_composited_after_the_colours_are_converted():
    decoded = decode_image(with_profile("RGBA", (150, 120, 90, 51), WIDE))[3, 3]
    np.testing.assert_allclose(decoded, 204 + 0.2 * in_srgb((150, 120, 90)), atol=2)


def test_a_palette_is_converted_too():
    image = Image.new("P", (16, 8), 0)
    image.putpalette([150, 120, 90])
    out = io.BytesIO()
    image.save(out, "PNG", icc_profile=WIDE)
    np.testing.assert_allclose(decode_image(out.getvalue())[3, 3], in_srgb((150, 120, 90)), atol=2)


def test_a_grey_profile():
    profile = matrix_profile(ADOBE_RGB_TO_XYZ_D50, gamma=1.0, space=b"GRAY")
    linear = 255 * srgb_curve(np.array(0.2))
    np.testing.assert_allclose(decode_image(with_profile("L", 51, profile))[3, 3], [linear] * 3, atol=2)


def test_srgb_stays_to_the_bit():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", icc_profile=profile)
    np.testing.assert_array_equal(decode_image(out.getvalue()), pixels)


@pytest.mark.parametrize(
    ("mode", "colour", "profile"),
    [
        ("RGB", (1, 2, 3), b"no profile"),
        ("RGB", (1, 2, 3), WIDE[:200]),
        ("L", 7, WIDE),
        ("RGB", (1, 2, 3), matrix_profile(ADOBE_RGB_TO_XYZ_D50, space=b"GRAY")),
        ("CMYK", (0, 0, 0, 255), WIDE),
        ("CMYK", (0, 0, 0, 255), b"no profile"),
    ],
)
def test_a_broken_profile_or_one_of_other_colours_is_ignored(mode, colour, profile):
    expected = {"RGB": (1, 2, 3), "L": (7, 7, 7), "CMYK": (0, 0, 0)}[mode]
    np.testing.assert_array_equal(decode_image(with_profile(mode, colour, profile, "TIFF"))[3, 3], expected)


@pytest.mark.parametrize("size", [(1, 1), (30_000, 1), (1, 30_000), (2049, 2047), (5000, 3)])
@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16", "CMYK"])
def test_every_tile_of_an_odd_size_is_converted(mode, size):
    width, height = size
    values = np.arange(width * height).reshape(height, width) % 251
    levels, inverse = Image.fromarray(values.astype(np.uint8)), Image.fromarray((255 - values).astype(np.uint8))
    image = {
        "RGBA": lambda: Image.merge("RGBA", [levels] * 3 + [Image.new("L", size, 255)]),
        "P": lambda: levels.convert("P"),
        "I;16": lambda: Image.fromarray((values * 257).astype(np.uint16)),
        "CMYK": lambda: Image.merge("CMYK", [inverse] * 3 + [Image.new("L", size)]),
    }[mode]()
    out = io.BytesIO()
    image.save(out, "TIFF")
    np.testing.assert_array_equal(decode_image(out.getvalue()), np.stack([values] * 3, -1))
