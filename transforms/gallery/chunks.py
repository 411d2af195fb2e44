"""Data in chunks: script files, since a page opened from disk cannot fetch anything else."""

import hashlib
from collections.abc import Iterator
from typing import Any

from transforms.gallery.js_literal import js_literal


class ChunkWriter:
    """Collects records and yields a script file whenever `max_bytes` of them have come together.

    Attributes:
      names: paths of the chunks yielded so far.
      starts: for each of them, the number of its first record.
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
        """Takes one record; yields the chunk that it fills, if it does."""
        self._records.append(js_literal(record))
        self._size_bytes += len(self._records[-1])
        if self._max_bytes is not None and self._size_bytes >= self._max_bytes:
            yield from self.flush()

    def flush(self) -> Iterator[tuple[str, bytes]]:
        """Yields what has been collected as a chunk, if there is anything."""
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
