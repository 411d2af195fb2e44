"""Reading, listing and writing of whole objects, on local disks and on Cloud Storage; other file systems are refused.

`write_once` is what makes everything else safe to retry: of any number of writers one wins, and readers see the whole
object or none. What reaches Cloud Storage is imported with the first gs:// URI.
"""

import contextlib
import errno
import functools
import glob
import json
import os
import posixpath
import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from stylecore.errors import UsageError, one_line

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")


class StorageError(UsageError, OSError):
    """An object that cannot be read, listed or written; the message is one line and names it."""


class NotFoundError(StorageError):
    """There is no such object."""


class ForbiddenError(StorageError):
    """There may be such an object, but not for us."""


class Found(NamedTuple):
    """An object in a directory: its name there, when it was written in seconds since the epoch, its size."""

    name: str
    updated_secs: float
    size_bytes: int


def scheme(uri: str) -> str | None:
    """Returns "gs" for gs://bucket/object, None for a local path."""
    match = _SCHEME.match(uri)
    return match.group(1).lower() if match else None


def is_local(uri: str) -> bool:
    """Returns whether `uri` is a path of this machine."""
    return scheme(uri) is None


def check_scheme(uri: str) -> None:
    """Raises ValueError unless `uri` is a local path or on gs://."""
    if scheme(uri) not in (None, "gs"):
        raise ValueError(f"{uri}: no file system for {scheme(uri)}://, use a path or gs://")


def join(base: str, *names: str) -> str:
    """Joins path elements below a directory, local or not."""
    return "/".join((base.rstrip("/") if base != "/" else "", *names))


def absolute(uri: str) -> str:
    """Returns a local path as an absolute one, and gs:// unchanged."""
    return str(Path.cwd() / uri) if is_local(uri) else uri


def resolve(directory: str, uri: str) -> str:
    """Returns `uri`, taken relative to `directory` unless it is absolute or has a scheme."""
    if not is_local(uri) or uri.startswith("/"):
        return uri
    if is_local(directory):
        return os.path.normpath(Path(directory) / uri)
    root, _, path = directory.partition("://")[2].partition("/")
    return f"{scheme(directory)}://{root}{posixpath.normpath(posixpath.join('/', path, uri))}"


def parent(uri: str) -> str:
    """Returns the directory of an object."""
    return str(Path(uri).parent) if is_local(uri) else uri.rpartition("/")[0]


def read_bytes(uri: str, limit_bytes: int | None = None) -> bytes:
    """Reads an object.

    Raises:
      NotFoundError: there is none.
      StorageError: it cannot be read, or has more than `limit_bytes`.
    """
    with _named_errors("read", uri):
        data = _read_local(uri, limit_bytes) if is_local(uri) else _gcs().download(uri, _one_more(limit_bytes))
    if limit_bytes is not None and len(data) > limit_bytes:
        raise StorageError(f"{uri}: more than {limit_bytes} bytes")
    return data


def _one_more(limit_bytes: int | None) -> int | None:
    """Returns how many bytes show that an object exceeds its limit."""
    return None if limit_bytes is None else limit_bytes + 1


def _read_local(path: str, limit_bytes: int | None) -> bytes:
    if Path(path).exists() and not Path(path).is_file():
        raise OSError(errno.EINVAL, "not a regular file")  # Opening a FIFO would block for ever.
    with Path(path).open("rb") as source:
        return source.read(_one_more(limit_bytes))


def read_json_object(uri: str, limit_bytes: int | None = None) -> dict[str, Any] | None:
    """Reads a JSON object; returns None if there is none at `uri`, or something else, or damaged JSON.

    Raises:
      StorageError: it cannot be read, or has more than `limit_bytes`.
    """
    try:
        value = json.loads(read_bytes(uri, limit_bytes))
    except (NotFoundError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def open_binary(uri: str) -> Any:
    """Opens an object for reading from any position, to be closed by the caller.

    Raises:
      StorageError: it cannot be opened.
    """
    with _named_errors("read", uri):
        return Path(uri).open("rb") if is_local(uri) else _gcs().open_binary(uri)


def exists(uri: str) -> bool:
    """Returns whether there is such an object."""
    with _named_errors("look for", uri):
        return Path(uri).exists() if is_local(uri) else _gcs().exists(uri)


def list_names(directory: str, suffix: str = "") -> Iterator[str]:
    """Yields the names of the objects right in a directory; nothing if there is no such directory."""
    if not is_local(directory):
        yield from (found.name for found in list_objects(directory, suffix))
        return
    with _named_errors("list", directory):
        if Path(directory).is_dir():
            yield from (entry.name for entry in os.scandir(directory) if entry.name.endswith(suffix))


def list_objects(directory: str, suffix: str = "") -> Iterator[Found]:
    """Yields the objects right in a directory; nothing if there is no such directory."""
    with _named_errors("list", directory):
        if is_local(directory):
            yield from _list_local(directory, suffix)
            return
        yield from (Found(*found) for found in _gcs().list_objects(directory, suffix))


def match(pattern: str) -> list[str]:
    """Returns the objects that a glob matches, sorted; a local path that exists is itself, whatever is in its name.

    `*` and `?` stay within a directory; `**` as a whole part of a path stands for any number of directories.
    """
    if is_local(pattern) and Path(pattern).is_file():
        return [pattern]
    with _named_errors("list", pattern):
        if is_local(pattern):
            found = glob.iglob(pattern, recursive=True, include_hidden=True)
            return sorted(path for path in found if Path(path).is_file())
        return sorted(_gcs().match(pattern))


def _list_local(directory: str, suffix: str) -> Iterator[Found]:
    # What another process writes comes and goes between the listing and the look at it.
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(suffix):
                with contextlib.suppress(FileNotFoundError):
                    stat = entry.stat()
                    yield Found(entry.name, stat.st_mtime, stat.st_size)


def write_once(uri: str, data: bytes, content_type: str) -> bool:
    """Creates an object unless there is one; whole or not at all.

    Returns:
      Whether it was created by this call. False says that there is one, by whomever.

    Raises:
      StorageError: it cannot be written.
    """
    with _named_errors("write", uri):
        if is_local(uri):
            return _create_local(Path(uri), data)
        return _gcs().upload(uri, data, content_type, if_generation_match=0)


def write(uri: str, data: bytes, content_type: str) -> None:
    """Writes or replaces an object, whole or not at all.

    Raises:
      StorageError: it cannot be written.
    """
    with _named_errors("write", uri):
        if is_local(uri):
            with _synced_file(Path(uri), data) as part:
                part.replace(uri)
        else:
            _gcs().upload(uri, data, content_type)


def delete(uri: str) -> None:
    """Deletes an object if there is one."""
    with _named_errors("delete", uri):
        if is_local(uri):
            Path(uri).unlink(missing_ok=True)
        else:
            _gcs().delete(uri)


def _create_local(path: Path, data: bytes) -> bool:
    if path.exists():
        return False
    with _synced_file(path, data) as part:
        try:
            os.link(part, path)
        except FileExistsError:
            return False
    return True


@contextlib.contextmanager
def _synced_file(path: Path, data: bytes) -> Iterator[Path]:
    """A complete temporary file beside `path`, removed afterwards if it is still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
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


def _gcs() -> Any:
    """Returns the module for gs://, imported late: it takes seconds, and local work needs none of it."""
    from transforms.output import gcs

    return gcs


@contextlib.contextmanager
def _named_errors(verb: str, uri: str) -> Iterator[None]:
    try:
        check_scheme(uri)
    except ValueError as error:
        raise StorageError(str(error)) from error
    expected = (OSError,) if is_local(uri) else (OSError, *_gcs().ERRORS)
    try:
        yield
    except StorageError:
        raise
    except expected as error:
        status, reason = (None, error.strerror or str(error)) if is_local(uri) else _gcs().explained(error)
        # Where nothing is found to list or to write to, the bucket is missing: that is worth saying.
        if verb not in ("list", "write") and (isinstance(error, FileNotFoundError) or status == 404):
            raise NotFoundError(f"{uri}: not found") from error
        forbidden = isinstance(error, PermissionError) or status in (401, 403)
        kind = ForbiddenError if forbidden else StorageError
        raise kind(f"{uri}: cannot {verb} it: {one_line(reason, 300)}") from error


Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(function: Callable[[Item], Result], items: Iterable[Item], ahead: int) -> Iterator[Result]:
    """Yields `function(item)` for each item, in order, and computes the next ones in threads meanwhile.

    Args:
      function: may be called in several threads at once.
      items: read one by one, as results are taken.
      ahead: at most this many results, >= 1, are computed or wait to be taken.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(ahead) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
