"""Chunks of the page's data, as script files: a page opened from disk can load nothing else."""

import hashlib
from collections.abc import Iterator
from typing import Any

from transforms.gallery.js_literal import js_literal


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
