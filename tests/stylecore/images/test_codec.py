"""Untrusted bytes to RGB and back: formats, modes, orientation, damage; sizes, thumbnails, records."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from stylecore.images.codec import MAX_PIXELS, ImageError, decode_image, encode_png, read_png_record, thumbnail
from tests.hostile.encoders import PNG_SIGNATURE, jpeg_of_scans, png, png_chunk, tiff, tiff_of_shared_tags

RGB = np.zeros((5, 7, 3), np.uint8) + np.array([200, 40, 10], np.uint8)
RGB[:, :3] = [10, 90, 250]
RGB[0, 0] = [255, 255, 0]
ORIENTATION = 0x0112


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_lossless_formats_decode_to_their_pixels(kind, options):
    decoded = decode_image(encoded(Image.fromarray(RGB), kind, **options))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, RGB)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_formats_decode_to_nearly_their_pixels(kind):
    large = np.kron(RGB, np.ones((16, 16, 1), np.uint8))
    decoded = decode_image(encoded(Image.fromarray(large), kind, quality=95))
    assert decoded.shape == large.shape
    assert np.abs(decoded.astype(int) - large).mean() < 4


def palette(index=0):
    image = Image.new("P", (2, 1), index)
    image.putpalette([9, 80, 7] + [0] * 765)
    return image


MODES = {
    "grey": (Image.new("L", (2, 1), 77), "PNG", {}, (77, 77, 77)),
    "bilevel": (Image.new("1", (2, 1), 1), "PNG", {}, (255, 255, 255)),
    "palette": (palette(), "PNG", {}, (9, 80, 7)),
    "palette, see-through": (palette(), "PNG", {"transparency": 0}, (255, 255, 255)),
    "GIF, see-through": (palette(), "GIF", {"transparency": 0}, (255, 255, 255)),
    "grey, one see-through": (Image.new("L", (2, 1), 77), "PNG", {"transparency": 77}, (255, 255, 255)),
    "alpha, opaque": (Image.new("RGBA", (2, 1), (1, 2, 3, 255)), "PNG", {}, (1, 2, 3)),
    "alpha, half": (Image.new("RGBA", (2, 1), (0, 100, 200, 51)), "PNG", {}, (204, 224, 244)),
    "alpha, none": (Image.new("RGBA", (2, 1), (1, 2, 3, 0)), "WEBP", {"lossless": True}, (255, 255, 255)),
    "grey with alpha": (Image.new("LA", (2, 1), (0, 51)), "PNG", {}, (204, 204, 204)),
    "16 bits": (Image.fromarray(np.full((1, 2), 32_896, np.uint16)), "PNG", {}, (128, 128, 128)),
    "16 bits, white": (Image.fromarray(np.full((1, 2), 65_535, np.uint16)), "TIFF", {}, (255, 255, 255)),
    "CMYK": (Image.new("CMYK", (2, 1), (0, 255, 255, 0)), "TIFF", {}, (255, 0, 0)),
    "CMYK with key": (Image.new("CMYK", (2, 1), (0, 0, 0, 255)), "JPEG", {}, (0, 0, 0)),
}


@pytest.mark.parametrize(("image", "kind", "options", "expected"), MODES.values(), ids=MODES)
def test_every_mode_becomes_rgb(image, kind, options, expected):
    decoded = decode_image(encoded(image, kind, **options))
    assert (decoded.shape, decoded.dtype) == ((1, 2, 3), np.uint8)
    np.testing.assert_allclose(decoded[0, 0], expected, atol=1)


def test_sixteen_bits_are_scaled_and_rounded():
    levels = np.array([[0, 128, 129, 32_767, 65_280, 65_406, 65_407, 65_535]], np.uint16)
    decoded = decode_image(encoded(Image.fromarray(levels), "PNG"))
    np.testing.assert_array_equal(decoded[0, :, 0], np.rint(levels[0] / 257))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (0, RGB), (1, RGB), (2, RGB[:, ::-1]), (3, RGB[::-1, ::-1]), (4, RGB[::-1]), (5, RGB.swapaxes(0, 1)),
        (6, np.rot90(RGB, -1)), (7, np.rot90(RGB, -1)[::-1]), (8, np.rot90(RGB)), (9, RGB),
    ],
)  # fmt: skip
def test_exif_orientation_is_applied(kind, orientation, upright):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(RGB), kind, exif=exif, **options)), upright)


WIDE = {
    "16 bits": np.arange(35, dtype=np.uint16).reshape(5, 7) * 1800,
    "grey": np.arange(35, dtype=np.uint8).reshape(5, 7) * 7,
    "bilevel": (np.arange(35).reshape(5, 7) % 3 == 0),
    "alpha": np.dstack([RGB, np.full((5, 7), 255, np.uint8)]),
}


@pytest.mark.parametrize("name", WIDE)
def test_orientation_is_applied_in_every_mode(name):
    image, exif = Image.fromarray(WIDE[name]), Image.Exif()
    exif[ORIENTATION] = 6
    stored = decode_image(encoded(image, "PNG"))
    np.testing.assert_array_equal(decode_image(encoded(image, "PNG", exif=exif)), np.rot90(stored, -1))


def test_orientation_leaves_the_other_tags_unread(monkeypatch):
    """Writing the EXIF anew, as exif_transpose does, would turn each of its values into an object."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[40_970] = 6, "x" * 1000
    data = encoded(Image.fromarray(RGB), "PNG", exif=exif)
    written, tobytes = [], Image.Exif.tobytes

    def observed(exif):
        written.append(tobytes(exif))
        return written[-1]

    monkeypatch.setattr(Image.Exif, "tobytes", observed)
    assert decode_image(data).shape == (7, 5, 3)
    assert all(len(block) < 100 for block in written)


def test_orientation_in_a_jpeg():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    assert decode_image(encoded(Image.fromarray(RGB), "JPEG", exif=exif)).shape == (7, 5, 3)


def test_orientation_as_old_versions_of_imagemagick_write_it():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    profile = PngImagePlugin.PngInfo()
    profile.add_text("Raw profile type exif", f"\nexif\n{len(exif.tobytes())}\n{exif.tobytes().hex()}", zip=True)
    decoded = decode_image(encoded(Image.fromarray(RGB), "PNG", pnginfo=profile))
    np.testing.assert_array_equal(decoded, np.rot90(RGB, -1))


def test_broken_exif_is_no_reason_to_refuse_a_picture():
    assert decode_image(encoded(Image.fromarray(RGB), "JPEG", exif=b"Exif\0\0MM\0*garbage")).shape == RGB.shape


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF"])
def test_the_first_frame_counts(kind):
    frames = [Image.fromarray(RGB), Image.new("RGB", (7, 5), "white")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(decode_image(data), RGB)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_picture_is_an_error_in_one_line(kind, part):
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(ImageError) as error:
        decode_image(data[: int(part * len(data))])
    assert str(error.value) == " ".join(str(error.value).split()) != ""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"hello, world" * 9, "not a PNG, JPEG, WEBP, TIFF, BMP or GIF image"),
        (b"P6 1 1 255 abc", "not a PNG, JPEG, WEBP, TIFF, BMP or GIF image"),
        (b"<svg></svg>", "not a PNG, JPEG, WEBP, TIFF, BMP or GIF image"),
    ],
)
def test_what_is_not_a_picture_is_refused(data, message):
    with pytest.raises(ImageError, match=f"^{message}$"):
        decode_image(data)


def png_that_claims(width, height):
    """A PNG with a header of this size and no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (10_001, 10_000), (MAX_PIXELS + 1, 1)])
def test_a_bomb_is_refused_unread(width, height):
    with pytest.raises(ImageError, match=r"pixels are more than|decompression bomb|exceeds limit"):
        decode_image(png_that_claims(width, height))


def with_exif(kind, block):
    """A picture with an EXIF block of any bytes; in a JPEG, over as many segments as it takes."""
    if kind != "JPEG":
        return encoded(Image.fromarray(RGB), kind, exif=b"Exif\0\0" + block)
    whole = encoded(Image.fromarray(RGB), kind)
    parts = [b"Exif\0\0" + block[at : at + 65_000] for at in range(0, len(block), 65_000)]
    segments = [b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts]
    return whole[:2] + b"".join(segments) + whole[2:]


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "JPEG", "WEBP"])
def test_tags_that_share_their_bytes_are_refused_unread(kind):
    """300 KB that Pillow alone would turn into 200 MB."""
    bomb = tiff_of_shared_tags(700, 300_000)
    data = bomb if kind == "TIFF" else with_exif(kind, bomb)
    with pytest.raises(ImageError, match=r"its tags claim 21\d{7} bytes of a block of 31\d{4}"):
        decode_image(data)


def test_tags_of_too_many_values_are_refused_unread():
    offsets = np.arange(1_000_001, dtype="<u4").tobytes()
    data = tiff(1, 1, offsets, tags=[(40_970, "L", b"12345")])
    at = data.index(struct.pack("<HHL", 40_970, 4, 5))
    data = data[:at] + struct.pack("<HHLL", 40_970, 4, 1_000_001, 8) + data[at + 12 :]
    with pytest.raises(ImageError, match="its tag 40970 has 1000001 values, more than 1000000"):
        decode_image(data)


def test_directories_without_end_are_refused():
    pointers = [(34_665, "L", (2 * n,)) for n in range(4, 120)]
    with pytest.raises(ImageError, match="more than 100 directories of tags"):
        decode_image(tiff(1, 1, bytes(400), tags=pointers))


def test_a_jpeg_of_endless_scans_is_refused():
    data = encoded(Image.new("L", (64, 64), 128), "JPEG", progressive=True)
    assert decode_image(jpeg_of_scans(data, 900)).shape == (64, 64, 3)
    with pytest.raises(ImageError, match="more than 1000 scans"):
        decode_image(jpeg_of_scans(data, 1_100))


def test_filling_between_a_jpegs_segments_is_passed_in_one_go():
    tolerated = JPEG[:2] + b"\xff" * 60_000 + JPEG[2:]  # Looked at once each: in no time. At every pair: in minutes.
    assert decode_image(tolerated).shape == RGB.shape
    with pytest.raises(ImageError, match="65536 bytes of padding"):
        decode_image(JPEG[:2] + b"\xff" * 5_000_000 + JPEG[2:])


def gif_with(blocks):
    data = encoded(Image.new("L", (7, 5), 90), "GIF")
    at = data.index(b",")
    return data[:at] + blocks + data[at:]


PNG_END = png(7, 5, 8, 0, [bytes(7)] * 5)[33:]
JPEG = encoded(Image.fromarray(RGB), "JPEG")
PARTS = {
    "comments": (gif_with, b"\x21\xfe" + b"\xff" * 256, 250, 260, "bytes of comments, more than 65536"),
    "comments of nothing": (gif_with, b"\x21\xfe\0", 60_000, 66_000, "66000 bytes of comments"),
    "extensions": (gif_with, b"\x21\xf0\1a\0", 40_000, 50_010, "more than 100000 blocks before its first frame"),
    "filling": (gif_with, b"\0", 90_000, 100_010, "more than 100000 blocks"),
    "segments": (lambda blocks: JPEG[:2] + blocks + JPEG[2:], b"\xff\xfe\0\2", 90_000, 100_010, "100000 segments"),
    "chunks": (
        lambda blocks: PNG_SIGNATURE + png_chunk(b"IHDR", b"\0\0\0\7\0\0\0\5\x08\0\0\0\0") + blocks + PNG_END,
        png_chunk(b"prVt", b""),
        100,
        500_010,
        "more than 500000 chunks",
    ),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_without_end_are_refused(name):
    build, part, tolerated, refused, message = PARTS[name]
    parts = part * tolerated if name != "comments" else part[:2] + part[2:] * tolerated + b"\0"
    assert decode_image(build(parts)).shape == RGB.shape
    parts = part * refused if name != "comments" else part[:2] + part[2:] * refused + b"\0"
    with pytest.raises(ImageError, match=message):
        decode_image(build(parts))


def test_tags_without_end_are_refused():
    tags = struct.pack("<HHQQ", 40_970, 1, 1, 0) * 65_540
    data = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 65_540) + tags + bytes(8)
    with pytest.raises(ImageError, match="more than 65535 tags"):
        decode_image(data)


def test_a_gif_of_a_huge_screen_is_refused():
    data = bytearray(encoded(Image.fromarray(RGB), "GIF"))
    data[6:10] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageError, match=r"pixels are more than|decompression bomb"):
        decode_image(bytes(data))


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_text_that_unpacks_to_too_much_is_refused(kind):
    head = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[kind]
    with pytest.raises(ImageError, match="too large"):
        decode_image(png(1, 1, 8, 0, [b"\0"], [(kind, head + zlib.compress(bytes(2**22)))]))


def test_an_error_does_not_quote_the_file():
    secret = b"root:x:0:0:hunter2:/root:/bin/bash\n"
    for data in (secret, b"BM" + secret, b"GIF89a" + secret, b"\xff\xd8" + secret, b"II*\0" + secret, b"RIFF" + secret):
        with pytest.raises(ImageError) as error:
            decode_image(data)
        assert "hunter2" not in str(error.value) and "root" not in str(error.value)


def test_a_picture_below_the_limit_is_read():
    with pytest.raises(ImageError, match="truncated"):
        decode_image(png_that_claims(MAX_PIXELS // 10_000, 9_999))


@pytest.mark.parametrize(
    ("shape", "side", "expected"), [((200, 400), 100, (50, 100)), ((40, 10), 20, (20, 5)), ((7, 9), 320, (7, 9))]
)
def test_thumbnail(shape, side, expected):
    data = thumbnail(np.full((*shape, 3), 90, np.uint8), side)
    assert Image.open(io.BytesIO(data)).format == "WEBP"
    assert decode_image(data).shape == (*expected, 3)


def test_a_png_carries_its_record_and_its_pixels():
    record = '{"run_id": "0123", "history": [' + ", ".join(map(str, range(20_000))) + "]}"
    data = encode_png(RGB, record)
    assert read_png_record(data) == record
    np.testing.assert_array_equal(decode_image(data), RGB)
    assert len(data) < len(record)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encode_png(RGB), "carries no 'stylebeam' record"),
        (encode_png(RGB, "x" * 99)[:-40], "truncated|Truncated"),
        (encoded(Image.fromarray(RGB), "JPEG"), "not a PNG"),
        (b"", "not a PNG"),
    ],
    ids=["none", "cut", "no PNG", "empty"],
)
def test_a_missing_record_is_an_error(data, message):
    with pytest.raises(ImageError, match=message):
        read_png_record(data)
