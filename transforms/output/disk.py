"""Local disks below `transforms.output.storage`: whole files, created once or replaced, and their versions."""

import contextlib
import errno
import fcntl
import functools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

# A file that was written so short a time ago may change once more without a sign: clocks of disks tick.
_TICK_NS = 2 * 10**9


def read(path: str, size_bytes: int | None = None) -> bytes:
    """Returns a file, or as much of it as `size_bytes`."""
    if Path(path).exists() and not Path(path).is_file():
        raise OSError(errno.EINVAL, "not a regular file")  # Opening a FIFO would block for ever.
    with Path(path).open("rb") as source:
        return source.read(size_bytes)


def list_objects(directory: str, prefix: str, suffix: str) -> Iterator[tuple[str, float, int]]:
    """Yields (name, seconds since the epoch, bytes) of the files right in a directory."""
    # What another process writes comes and goes between the listing and the look at it.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.name.endswith(suffix):
                with contextlib.suppress(FileNotFoundError):
                    stat = entry.stat()
                    yield entry.name, stat.st_mtime, stat.st_size


def version(path: str) -> tuple[int, str | None]:
    """Returns the bytes of a file, and what changes whenever it is written; None if it was written a moment ago."""
    stat = Path(path).stat()
    is_settled = time.time_ns() - stat.st_mtime_ns > _TICK_NS
    return stat.st_size, f"{stat.st_size}-{stat.st_mtime_ns}" if is_settled else None


def create(path: Path, data: bytes) -> bool:
    """Creates a file unless there is one; returns whether it was created."""
    if path.exists():
        return False
    with _synced_file(path, _bytes_of(data)) as part:
        try:
            os.link(part, path)
        except FileExistsError:
            return False
    return True


def replace(path: Path, data: bytes) -> None:
    """Writes or replaces a file."""
    with _synced_file(path, _bytes_of(data)) as part:
        part.replace(path)


def replace_by_copy(path: Path, source: IO[bytes]) -> None:
    """Writes or replaces a file by a copy of another, from where that stands."""
    with _synced_file(path, lambda out: shutil.copyfileobj(source, out)) as part:
        part.replace(path)


def replace_seen(path: Path, data: bytes, seen: bytes | None) -> bool:
    """Replaces a file if it still has the bytes `seen`, None for no file; returns whether it did."""
    with _synced_file(path, _bytes_of(data)) as part, _locked(path.parent):
        try:
            found: bytes | None = path.read_bytes()
        except FileNotFoundError:
            found = None
        if found == seen:
            part.replace(path)
        return found == seen


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keeps apart, on one machine, what compares and then replaces; the end of a process ends its lock."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # Some file systems of networks have no locks.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _bytes_of(data: bytes) -> Callable[[IO[bytes]], object]:
    return lambda out: out.write(data)


@contextlib.contextmanager
def _synced_file(path: Path, write: Callable[[IO[bytes]], object]) -> Iterator[Path]:
    """A complete temporary file beside `path`, removed afterwards if it is still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            write(out)
            out.flush()
            os.fsync(out.fileno())
        part.chmod(0o666 & ~_umask())
        yield part
    finally:
        part.unlink(missing_ok=True)


@functools.cache
def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
