"""Small encoders of PNG, TIFF and JPEG segments, straight from the specifications: they write what Pillow cannot.

References: PNG (ISO/IEC 15948:2004), TIFF 6.0 (Adobe, 1992), Exif 2.3, the Multi-Picture Format (CIPA DC-007).
"""

import struct
import zlib

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TIFF_TYPES = {"B": 1, "A": 2, "H": 3, "L": 4, "U": 7}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, extra=(), interlace=False):
    """A PNG; `rows` are the packed samples of each row, `extra` the (kind, data) of chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlace))
    chunks = [
        (b"IHDR", header),
        *extra,
        (b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))),
        (b"IEND", b""),
    ]
    return PNG_SIGNATURE + b"".join(png_chunk(kind, data) for kind, data in chunks)


def interlaced_rows(pixels):
    """The rows of Adam7's seven passes over an 8-bit image [height, width, channels]."""
    passes = [pixels[top::down, left::across] for left, top, across, down in ADAM7]
    return [row.tobytes() for part in passes if part.size for row in part]


def tiff(width, height, strip, *, bits=(8,), photometric=1, sample_format=(1,), order="<", tags=()):
    """A TIFF of one uncompressed strip; `tags` are further (number, type letter, values or bytes)."""
    own = [
        (256, "L", (width,)),
        (257, "L", (height,)),
        (258, "H", bits),
        (259, "H", (1,)),
        (262, "H", (photometric,)),
        (273, "L", (8,)),
        (277, "H", (len(bits),)),
        (278, "L", (height,)),
        (279, "L", (len(strip),)),
        (339, "H", sample_format),
    ]
    strip += b"\0" * (len(strip) % 2)
    body, directory = strip, []
    entries = sorted([*own, *tags])
    for number, kind, values in entries:
        packed = values if isinstance(values, bytes) else struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(packed) > 4:
            offset, body = 8 + len(body), body + packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(f"{order}L", offset)
        directory.append(struct.pack(f"{order}HHL", number, _TIFF_TYPES[kind], len(values)) + packed.ljust(4, b"\0"))
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HL", 42, 8 + len(body))
    return head + body + struct.pack(f"{order}H", len(entries)) + b"".join(directory) + b"\0\0\0\0"


def tiff_of_shared_tags(tags, blob_bytes):
    """A TIFF of one pixel with `tags` private tags that all claim the same bytes."""
    whole = tiff(1, 1, b"\0" * blob_bytes, tags=[(40_970 + n, "U", b"12345") for n in range(tags)])
    start = whole.rindex(struct.pack("<HHL", 40_970, 7, 5))
    shared = b"".join(struct.pack("<HHLL", 40_970 + n, 7, blob_bytes, 8) for n in range(tags))
    return whole[:start] + shared + whole[start + len(shared) :]


def jpeg_segments(data):
    """The (marker, bytes) of each whole segment of a JPEG; a scan includes its data."""
    segments, position = [], 2
    while data[position + 1] != 0xD9:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4])
        marker = data[position + 1]
        if marker == 0xDA:
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
        segments.append((marker, data[position:end]))
        position = end
    return segments


def jpeg(segments):
    return b"\xff\xd8" + b"".join(segment for _, segment in segments) + b"\xff\xd9"


def jpeg_of_scans(data, scans):
    """A progressive JPEG whose last scan, with its tables, is repeated `scans` times."""
    segments = jpeg_segments(data)
    last = len(segments) - 1
    while segments[last - 1][0] == 0xC4:
        last -= 1
    return jpeg([*segments, *segments[last:] * scans])
