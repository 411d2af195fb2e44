"""Limits on what an encoded image may claim, checked before Pillow decodes it.

Pillow counts pixels before it allocates any, but believes other claims. What a file of some megabytes can cost then:

- tags of a TIFF or EXIF directory that all hold the same bytes: 64 GB for 1 MB;
- ever more scans that refine a JPEG: a pass over all its pixels for each 100 bytes;
- any number of segments, chunks and tags, each an object of its own: 35 times the file;
- comments of a GIF, joined one by one: an hour for 32 MB.
"""

import re
import struct
from collections.abc import Iterable, Iterator

MAX_TAG_VALUES = 1_000_000
MAX_TAGS = 65_535
MAX_DIRECTORIES = 100
MAX_JPEG_SCANS = 1_000
MAX_JPEG_SEGMENTS = 100_000
MAX_PNG_CHUNKS = 500_000
MAX_GIF_BLOCKS = 100_000
MAX_GIF_COMMENT_BYTES = 65_536
_TIFF_HEADERS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_HEADER = b"\x89PNG\r\n\x1a\n"
_EXIF_HEADER, _MULTI_PICTURE_HEADER = b"Exif\0\0", b"MPF\0"
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
# Bytes, text and undefined stay as they are; of the other types each value becomes a Python object.
_RAW_TYPES = (1, 2, 7)
# The directories that Pillow follows by itself: EXIF, GPS and interoperability.
_POINTERS = (34665, 34853, 40965)
_SCAN, _APP1, _APP2, _END = 0xDA, 0xE1, 0xE2, 0xD9
_GIF_EXTENSION, _GIF_COMMENT, _GIF_FRAME, _GIF_END = 0x21, 0xFE, 0x2C, 0x3B
# Any number of these bytes may stand between segments, and Pillow reads them one by one.
_FILLING = b"\xff" * 65_536
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)


class BoundsError(ValueError):
    """An encoded image that claims more than it can hold."""


def check_bounds(data: bytes) -> None:
    """Raises BoundsError if an encoded image would cost far more than its size and its pixels explain."""
    if data.startswith(_TIFF_HEADERS):
        check_directory(data)
    elif data.startswith(b"\xff\xd8"):
        _check_jpeg(data)
    elif data.startswith(_PNG_HEADER):
        _check_count("chunks", _png_chunks(data), MAX_PNG_CHUNKS)
    elif data.startswith(b"GIF8"):
        comments = _check_count("blocks before its first frame", _gif_comments(data), MAX_GIF_BLOCKS)
        if comments > MAX_GIF_COMMENT_BYTES:
            raise BoundsError(f"it has {comments} bytes of comments, more than {MAX_GIF_COMMENT_BYTES}")


def _check_count(things: str, sizes: Iterable[int], most: int) -> int:
    """Returns the sum of `sizes`, or raises BoundsError if there are more than `most` of them; `things` names them."""
    total = 0
    for count, size in enumerate(sizes, 1):
        if count > most:
            raise BoundsError(f"it has more than {most} {things}")
        total += size
    return total


def check_directory(data: bytes) -> None:
    """Raises BoundsError if the tags of a TIFF file or EXIF block claim more bytes than there are, or absurdly many.

    The tags of a sound file do not share bytes, so that together they are smaller than the file. A block that is
    merely damaged passes: the decoder says what is wrong with it.
    """
    while data.startswith(_EXIF_HEADER):
        data = data[len(_EXIF_HEADER) :]
    if not data.startswith(_TIFF_HEADERS):
        return
    claimed = _check_count("tags", (_tag_bytes(data, tag) for tag in _tags(data)), MAX_TAGS)
    if claimed > 2 * len(data):
        raise BoundsError(f"its tags claim {claimed} bytes of a block of {len(data)}")


def _tag_bytes(data: bytes, tag: tuple[int, int, int, int]) -> int:
    number, kind, count, offset = tag
    size = count * _TYPE_BYTES.get(kind, 0)
    if offset + size > len(data):
        return 0
    if kind not in _RAW_TYPES and count > MAX_TAG_VALUES:
        raise BoundsError(f"its tag {number} has {count} values, more than {MAX_TAG_VALUES}")
    return size


def _tags(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yields (number, type, count, value or offset) of the first directory and those it points to."""
    big = b"+" in data[2:4]
    order = "<" if data.startswith(b"I") else ">"
    directories = list(struct.unpack_from(f"{order}{'Q' if big else 'L'}", data.ljust(16, b"\0"), 8 if big else 4))
    seen: set[int] = set()
    while directories:
        start = directories.pop()
        if start in seen:
            continue
        seen.add(start)
        if len(seen) > MAX_DIRECTORIES:
            raise BoundsError(f"it has more than {MAX_DIRECTORIES} directories of tags")
        for tag in _directory(data, start, order, big):
            yield tag
            if tag[0] in _POINTERS:
                directories.append(tag[3])


def _directory(data: bytes, start: int, order: str, big: bool) -> Iterator[tuple[int, int, int, int]]:
    head, entry = (f"{order}Q", f"{order}HHQQ") if big else (f"{order}H", f"{order}HHLL")
    first, size = start + struct.calcsize(head), struct.calcsize(entry)
    if first > len(data):
        return
    (count,) = struct.unpack_from(head, data, start)
    whole = min(count, (len(data) - first) // size)
    yield from struct.iter_unpack(entry, memoryview(data)[first : first + whole * size])


def _check_jpeg(data: bytes) -> None:
    if _FILLING in data:
        raise BoundsError(f"it has {len(_FILLING)} bytes of padding between its segments")
    exif, scans = bytearray(), 0
    for count, (marker, payload) in enumerate(_segments(data)):
        scans += marker == _SCAN
        if count >= MAX_JPEG_SEGMENTS:
            raise BoundsError(f"it has more than {MAX_JPEG_SEGMENTS} segments")
        if scans > MAX_JPEG_SCANS:
            raise BoundsError(f"it has more than {MAX_JPEG_SCANS} scans")
        if marker == _APP1 and payload.startswith(_EXIF_HEADER):
            exif += payload[len(_EXIF_HEADER) :]  # Pillow joins several segments, too.
        elif marker == _APP2 and payload.startswith(_MULTI_PICTURE_HEADER):
            check_directory(payload[len(_MULTI_PICTURE_HEADER) :])
    check_directory(bytes(exif))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields (marker, payload) of a JPEG's segments up to its end, without the data of its scans."""
    position = 2
    while (found := _NEXT_MARKER.search(data, position)) and data[found.end() - 1] != _END:
        position = found.end()
        size = int.from_bytes(data[position : position + 2])
        yield data[position - 1], data[position + 2 : position + size]
        position += max(size, 2)


def _png_chunks(data: bytes) -> Iterator[int]:
    position = len(_PNG_HEADER)
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4])
        yield size
        position += 12 + size


def _gif_comments(data: bytes) -> Iterator[int]:
    """Yields the size of each block before the first frame if the block belongs to a comment, else 0."""
    colours = 3 << ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 0x80 else 0
    position = 13 + colours
    while position + 1 < len(data) and data[position] not in (_GIF_FRAME, _GIF_END):
        if data[position] != _GIF_EXTENSION:
            yield 0  # Pillow skips it, a byte at a time.
            position += 1
            continue
        is_comment = data[position + 1] == _GIF_COMMENT
        yield int(is_comment)
        position += 2
        while position < len(data) and data[position]:
            yield data[position] if is_comment else 0
            position += 1 + data[position]
        position += 1
