"""The page's data as script files, in which no value can end the script; a page from disk loads nothing else."""

import hashlib
import json
import math
from collections.abc import Iterator
from typing import Any

_MAX_EXACT_INT = 2**53
# "<" could end the script or open a comment; U+2028 and U+2029 end a line in old JavaScript.
_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def js_literal(value: Any) -> str:
    """Returns compact JSON in ASCII, which may stand in a script as a literal and in a script element as its content.

    Numbers that JSON cannot hold (NaN, infinities) become null; whole numbers beyond 2**53, which JavaScript cannot
    hold exactly, become text.
    """
    return json.dumps(_plain(value), allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def significant(value: float | None, digits: int) -> float | int | None:
    """Returns the value rounded to `digits` significant digits, whole numbers as int; None if it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


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


class ChunkWriter:
    """Collects records and yields a script file whenever `max_bytes` of them are collected.

    Args:
      kind: begins the name of each chunk.
      max_bytes: ends a chunk as soon as it is reached; None leaves that to `flush`.

    Attributes:
      names: the paths of the chunks yielded so far.
      starts: the number of the first record of each of these chunks.
    """

    def __init__(self, kind: str, max_bytes: int | None = None):
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
        if self._max_bytes is not None and self._size_bytes >= self._max_bytes:
            yield from self.flush()

    def flush(self) -> Iterator[tuple[str, bytes]]:
        """Yields the collected records as a chunk, if there are any."""
        if not self._records:
            return
        key = f"{self._kind}-{len(self.names):05d}"
        records = ",\n".join(self._records)
        content = f'styleBeamGallery.receive("{key}",[\n{records}\n]);\n'.encode("ascii")
        self.names.append(f"data/{key}-{hashlib.sha256(content).hexdigest()[:8]}.js")
        self.starts.append(self._count)
        self._count += len(self._records)
        self._records, self._size_bytes = [], 0
        yield self.names[-1], content
