"""The page's data as script files, in which no value can end the script; a page from disk loads nothing else."""

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

_MAX_EXACT_INT = 2**53
_LETTERS = {"uint8": "b", "uint16": "h", "uint32": "i", "float32": "f"}
# "<" could end the script or open a comment; U+2028 and U+2029 end a line in old JavaScript.
_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def js_literal(value: Any) -> str:
    """Returns compact JSON in ASCII, which may stand in a script as a literal and in a script element as its content.

    Numbers that JSON cannot hold (NaN, infinities) become null; whole numbers beyond 2**53, which JavaScript cannot
    hold exactly, become text.
    """
    return json.dumps(_plain(value), allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= _MAX_EXACT_INT else str(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return str(value)


def packed(values: np.ndarray) -> str | int | None:
    """Returns a column as the page unpacks it.

    A column of one value is that value, None if it is not finite. Otherwise: a letter for the type (b, h, i: unsigned
    of 8, 16 and 32 bits; f: float32), and the base64 of the little-endian values.

    Args:
      values: [runs], float32 or unsigned.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).any():
        return None
    if values.dtype.kind != "f" and (values == values[0]).all():
        return int(values[0])
    return packed_array(values)


def packed_array(values: np.ndarray) -> str:
    """Returns a column as `packed` does, whatever its values; what is not finite becomes NaN."""
    if values.dtype.kind == "f":
        values = np.where(np.isfinite(values), values, np.float32("nan"))
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return _LETTERS[values.dtype.name] + base64.b64encode(data).decode()


def chunk(key: str, records: Iterable[str]) -> tuple[str, bytes]:
    """Returns a script file: its path relative to OUTPUT/gallery/, with a digest of its content, and its content.

    Args:
      key: names the chunk among those of its page; lower case letters, digits and hyphens.
      records: what the page receives, each a literal.
    """
    lines = ",\n".join(records)
    content = f'styleBeamGallery.receive("{key}",[\n{lines}\n]);\n'.encode("ascii")
    return f"data/{key}-{hashlib.sha256(content).hexdigest()[:8]}.js", content


class ChunkWriter:
    """Collects records and yields a script file whenever `max_bytes` of them are collected.

    Args:
      kind: begins the name of each chunk.
      max_bytes: ends a chunk as soon as it is reached.

    Attributes:
      names: the paths of the chunks yielded so far.
      starts: the number of the first record of each of these chunks.
    """

    def __init__(self, kind: str, max_bytes: int):
        self.names: list[str] = []
        self.starts: list[int] = []
        self._kind = kind
        self._max_bytes = max_bytes
        self._records: list[str] = []
        self._size_bytes = 0
        self._count = 0

    def add(self, record: Any) -> Iterator[tuple[str, bytes]]:
        """Adds a record, and yields a chunk if the record fills it."""
        self._records.append(js_literal(record))
        self._size_bytes += len(self._records[-1])
        if self._size_bytes >= self._max_bytes:
            yield from self.flush()

    def flush(self) -> Iterator[tuple[str, bytes]]:
        """Yields the collected records as a chunk, if there are any."""
        if not self._records:
            return
        name, content = chunk(f"{self._kind}-{len(self.names):04d}", self._records)
        self.names.append(name)
        self.starts.append(self._count)
        self._count += len(self._records)
        self._records, self._size_bytes = [], 0
        yield name, content
