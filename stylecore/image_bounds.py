"""What foreign bytes may claim before a decoder is let near them.

Pillow counts pixels before it allocates any. Two claims it believes: that many tags of a TIFF or EXIF directory each
hold the same megabytes (a file of 1 MB can fill 64 GB), and that a JPEG is refined by ever more scans (each of some
bytes costs a pass over all its pixels).
"""

import re
import struct
from collections.abc import Iterator

MAX_TAG_VALUES = 1_000_000
MAX_DIRECTORIES = 100
MAX_JPEG_SCANS = 1_000
_TIFF_HEADERS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_EXIF_HEADER, _MULTI_PICTURE_HEADER = b"Exif\0\0", b"MPF\0"
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
# Bytes, text and undefined: what is kept as it is. The others become one Python object a value.
_RAW_TYPES = (1, 2, 7)
# EXIF, GPS and interoperability: the directories that Pillow follows on its own.
_POINTERS = (34665, 34853, 40965)
_SCAN, _APP1, _APP2, _END = 0xDA, 0xE1, 0xE2, 0xD9
_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]", re.DOTALL)


class BoundsError(ValueError):
    """A picture that claims more than it can hold."""


def check_bounds(data: bytes) -> None:
    """Raises BoundsError if an encoded picture would cost far more than its size and its pixels explain."""
    if data.startswith(_TIFF_HEADERS):
        check_directory(data)
    elif data.startswith(b"\xff\xd8"):
        _check_jpeg(data)


def check_directory(data: bytes) -> None:
    """Raises BoundsError if the tags of a TIFF file or EXIF block claim more bytes than there are, or absurdly many.

    Tags of a sound file do not share their bytes, so that together they have less than the file. What is merely
    damaged passes: the decoder says what is wrong.
    """
    while data.startswith(_EXIF_HEADER):
        data = data[len(_EXIF_HEADER) :]
    if not data.startswith(_TIFF_HEADERS):
        return
    claimed = sum(_tag_bytes(data, tag) for tag in _tags(data))
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
    exif, scans = bytearray(), 0
    for marker, payload in _segments(data):
        scans += marker == _SCAN
        if scans > MAX_JPEG_SCANS:
            raise BoundsError(f"it has more than {MAX_JPEG_SCANS} scans")
        if marker == _APP1 and payload.startswith(_EXIF_HEADER):
            exif += payload[len(_EXIF_HEADER) :]  # Pillow, too, takes several as one.
        elif marker == _APP2 and payload.startswith(_MULTI_PICTURE_HEADER):
            check_directory(payload[len(_MULTI_PICTURE_HEADER) :])
    check_directory(bytes(exif))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields (marker, payload) of a JPEG's segments up to its end; what follows a scan's header is skipped."""
    position = 2
    while (found := _NEXT_MARKER.search(data, position)) and data[found.end() - 1] != _END:
        position = found.end()
        size = int.from_bytes(data[position : position + 2])
        yield data[position - 1], data[position + 2 : position + size]
        position += max(size, 2)
