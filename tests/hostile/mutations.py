"""Damage that reaches further than chance: checksums are corrected, lengths inflated, parts swapped between files.

Every mutation takes bytes and a random.Random and returns bytes; the same generator state gives the same damage.
"""

import struct
import zlib

from tests.hostile.encoders import PNG_SIGNATURE, png_chunk

# Numbers that break parsers: those around the limits of 8, 16, 31, 32 and 64 bits, and other large ones.
_EDGES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0xFFFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
)
_LARGE = (5_000, 9_999, 16_383, 16_384, 65_500, 1_000_000, 80_000_000)


def mutated(data, others, random):
    """Returns `data` with one to four mutations, some of them taking parts from `others`."""
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        ways = [_flip_bits, _truncate, _replace_number, _replace_number_in_head, _remove, _repeat, _overwrite, _splice]
        if data.startswith(PNG_SIGNATURE):
            ways += [_png_chunk_changed] * 8
        if data[:4] in (b"II*\0", b"MM\0*"):
            ways += [_tiff_entry_changed] * 8
        if data.startswith(b"\xff\xd8"):
            ways += [_jpeg_segment_changed] * 4
        if data.startswith(b"RIFF"):
            ways += [_riff_chunk_changed] * 4
        data = random.choice(ways)(data, others, random) or b"\0"
    return data


def _number(random):
    return random.choice((random.choice(_EDGES), random.choice(_LARGE), random.randrange(2**32)))


def _flip_bits(data, others, random):
    changed = bytearray(data)
    for _ in range(random.choice((1, 2, 8, 64))):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _truncate(data, others, random):
    return data[: random.randrange(len(data))]


def _put(data, at, value, size, order):
    return data[:at] + (value % 2 ** (8 * size)).to_bytes(size, order) + data[at + size :]


def _replace_number(data, others, random, within=None):
    size = random.choice((1, 2, 3, 4, 8))
    at = random.randrange(min(len(data), within or len(data)))
    return _put(data, at, _number(random), size, random.choice(("little", "big")))


def _replace_number_in_head(data, others, random):
    return _replace_number(data, others, random, within=64)


def _span(data, random):
    start = random.randrange(len(data))
    return start, start + random.choice((1, 4, 16, 256, len(data)))


def _remove(data, others, random):
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _repeat(data, others, random):
    start, end = _span(data, random)
    return data[:end] + data[start:end] * random.choice((1, 3, 100)) + data[end:]


def _overwrite(data, others, random):
    start, end = _span(data, random)
    end = min(end, len(data))
    filling = random.choice((b"\0", b"\xff", None))
    return data[:start] + (random.randbytes(end - start) if filling is None else filling * (end - start)) + data[end:]


def _splice(data, others, random):
    other = random.choice(others)
    return data[: random.randrange(len(data))] + other[random.randrange(len(other)) :]


def _changed_part(data, random):
    """Returns one part of a file with bits flipped, bytes cut or doubled, or a number replaced."""
    if not data:
        return random.randbytes(8)
    way = random.choice((_flip_bits, _truncate, _replace_number, _replace_number_in_head, _repeat, _overwrite))
    return way(data, (), random)


def _png_chunk_changed(data, others, random):
    """A chunk changed, doubled, moved or dropped, with a correct checksum; pixel data is changed before compression."""
    chunks, at = [], len(PNG_SIGNATURE)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    if not chunks:
        return data
    chosen = random.randrange(len(chunks))
    kind, body = chunks[chosen]
    way = random.randrange(4)
    if way == 0 and kind in (b"IDAT", b"fdAT"):
        chunks[chosen] = (kind, zlib.compress(_changed_part(_unpacked(body), random)))
    elif way <= 1:
        chunks[chosen] = (kind, _changed_part(body, random))
    elif way == 2:
        chunks.insert(random.randrange(len(chunks)), chunks[chosen])
    else:
        chunks[chosen] = (random.choice((b"IHDR", b"PLTE", b"tRNS", b"fcTL", b"fdAT", b"iCCP", b"eXIf", b"zTXt")), body)
    return PNG_SIGNATURE + b"".join(png_chunk(*chunk) for chunk in chunks)


def _unpacked(body):
    try:
        return zlib.decompressobj().decompress(body, 2**20)
    except zlib.error:
        return body


def _tiff_entry_changed(data, others, random):
    """A tag's number, type, count or value replaced in the first directory."""
    order = "<" if data.startswith(b"I") else ">"
    start = struct.unpack_from(f"{order}L", data.ljust(8, b"\0"), 4)[0]
    if start + 14 > len(data):
        return data
    count = min(struct.unpack_from(f"{order}H", data, start)[0], (len(data) - start - 2) // 12)
    if not count:
        return data
    entry = start + 2 + 12 * random.randrange(count)
    offset, size = random.choice(((0, 2), (2, 2), (4, 4), (4, 4), (8, 4), (8, 4), (8, 2)))
    value = random.choice(
        (_number(random), random.randrange(20), random.randrange(len(data)), random.randrange(254, 350))
    )
    return _put(data, entry + offset, value, size, "little" if order == "<" else "big")


def _jpeg_segment_changed(data, others, random):
    """A segment's marker, length or content changed, or the segment doubled many times."""
    starts, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        starts.append((at, at + 2 + int.from_bytes(data[at + 2 : at + 4])))
        at = starts[-1][1]
    if not starts:
        return data
    start, end = random.choice(starts)
    match random.randrange(4):
        case 0:
            return _put(data, start + 1, random.randrange(0xC0, 0xFF), 1, "big")
        case 1:
            return _put(data, start + 2, _number(random), 2, "big")
        case 2:
            body = _changed_part(data[start + 4 : end], random)[:65_000]
            return data[: start + 2] + struct.pack(">H", len(body) + 2) + body + data[end:]
        case _:
            return data[:end] + data[start:end] * random.choice((1, 50)) + data[end:]


def _riff_chunk_changed(data, others, random):
    """A chunk's size or content changed, with the sizes around it corrected or not."""
    starts, at = [], 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        starts.append((at, at + 8 + size))
        at += 8 + size + size % 2
    if not starts:
        return data
    start, end = random.choice(starts)
    if random.random() < 0.4:
        return _put(data, start + 4, _number(random), 4, "little")
    body = _changed_part(data[start + 8 : end], random)
    changed = data[: start + 4] + struct.pack("<L", len(body)) + body + b"\0" * (len(body) % 2) + data[end + end % 2 :]
    return changed[:4] + struct.pack("<L", len(changed) - 8) + changed[8:]
