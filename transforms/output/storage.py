"""Reading, listing and writing of whole objects, on local disks and on Cloud Storage; other file systems are refused.

`write_once` is what makes everything else safe to retry: of any number of writers one wins, and readers see the whole
object or none. What reaches Cloud Storage is imported with the first gs:// URI.
"""

import contextlib
import glob
import json
import os
import posixpath
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from stylecore.errors import UsageError, one_line
from transforms.output import disk

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")


class StorageError(UsageError, OSError):
    """An object that cannot be read, listed or written; the message is one line and names it."""


class NotFoundError(StorageError):
    """There is no such object."""


class TooLargeError(StorageError):
    """The object has more bytes than the caller takes."""


class ForbiddenError(StorageError):
    """There may be such an object, but not for us."""


class Found(NamedTuple):
    """An object in a directory: its name there, when it was written in seconds since the epoch, its size."""

    name: str
    updated_secs: float
    size_bytes: int


class Version(NamedTuple):
    """What an object is now: its size, and a name that changes whenever it is written; None if that is not certain."""

    size_bytes: int
    name: str | None


class Seen(NamedTuple):
    """What an object was: its bytes, None if there was none, and its generation on Cloud Storage."""

    data: bytes | None
    generation: int = 0


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
      TooLargeError: it has more than `limit_bytes`.
      StorageError: it cannot be read.
    """
    with _named_errors("read", uri):
        data = (disk.read if is_local(uri) else _gcs().download)(uri, _one_more(limit_bytes))
    if limit_bytes is not None and len(data) > limit_bytes:
        raise TooLargeError(f"{uri}: more than {limit_bytes} bytes")
    return data


def _one_more(limit_bytes: int | None) -> int | None:
    """Returns how many bytes show that an object exceeds its limit."""
    return None if limit_bytes is None else limit_bytes + 1


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


def list_names(directory: str, suffix: str = "", prefix: str = "") -> Iterator[str]:
    """Yields the names of the objects right in a directory; nothing if there is no such directory."""
    with _named_errors("list", directory):
        if not is_local(directory):
            yield from _gcs().list_names(directory, prefix, suffix)
        elif Path(directory).is_dir():
            names = (entry.name for entry in os.scandir(directory))
            yield from (name for name in names if name.startswith(prefix) and name.endswith(suffix))


def list_objects(directory: str, suffix: str = "", prefix: str = "") -> Iterator[Found]:
    """Yields the objects right in a directory; nothing if there is no such directory.

    Args:
      directory: a path or gs:// URI.
      suffix: what their names end with.
      prefix: what their names begin with.
    """
    with _named_errors("list", directory):
        found = (disk.list_objects if is_local(directory) else _gcs().list_objects)(directory, prefix, suffix)
        yield from (Found(*item) for item in found)


def hex_prefixes(directory: str) -> list[str]:
    """Returns the prefixes of names in hex by which a directory is listed in parts at once; a disk is listed whole."""
    return [""] if is_local(directory) else list("0123456789abcdef")


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


def write_once(uri: str, data: bytes, content_type: str) -> bool:
    """Creates an object unless there is one; whole or not at all.

    Returns:
      Whether it was created by this call. False says that there is one, by whomever.

    Raises:
      StorageError: it cannot be written.
    """
    with _named_errors("write", uri):
        if is_local(uri):
            return disk.create(Path(uri), data)
        return _gcs().upload(uri, data, content_type, if_generation_match=0)


def write(uri: str, data: bytes, content_type: str) -> None:
    """Writes or replaces an object, whole or not at all.

    Raises:
      StorageError: it cannot be written.
    """
    with _named_errors("write", uri):
        if is_local(uri):
            disk.replace(Path(uri), data)
        else:
            _gcs().upload(uri, data, content_type)


def write_file(uri: str, source: IO[bytes], content_type: str) -> None:
    """Writes or replaces an object by the content of an open file, whole or not at all.

    Raises:
      StorageError: it cannot be written.
    """
    source.seek(0)
    with _named_errors("write", uri):
        if is_local(uri):
            disk.replace_by_copy(Path(uri), source)
        else:
            _gcs().upload_file(uri, source, content_type)


def version_of(uri: str) -> Version:
    """Returns an object's size, and what tells this version of it from every other.

    Raises:
      NotFoundError: there is none.
      StorageError: it cannot be looked for.
    """
    with _named_errors("look for", uri):
        return Version(*(disk.version if is_local(uri) else _gcs().version)(uri))


def look_at(uri: str, limit_bytes: int) -> Seen:
    """Reads an object that is to be replaced, see `replace_seen`; there may be none.

    Raises:
      StorageError: it cannot be read, or has more than `limit_bytes`.
    """
    if not is_local(uri):
        with _named_errors("read", uri):
            seen = Seen(*_gcs().look_at(uri, _one_more(limit_bytes)))
        if len(seen.data or b"") > limit_bytes:
            raise TooLargeError(f"{uri}: more than {limit_bytes} bytes")
        return seen
    try:
        return Seen(read_bytes(uri, limit_bytes))
    except NotFoundError:
        return Seen(None)


def replace_seen(uri: str, data: bytes, content_type: str, seen: Seen) -> bool:
    """Writes an object if it is still what `look_at` saw; returns False if it is not, or may not be.

    On Cloud Storage its generation decides. If a repeated request finds the write of the one before, False is returned.

    Raises:
      StorageError: it cannot be written.
    """
    with _named_errors("write", uri):
        if is_local(uri):
            return disk.replace_seen(Path(uri), data, seen.data)
        return _gcs().upload(uri, data, content_type, if_generation_match=seen.generation)


def delete(uri: str) -> None:
    """Deletes an object if there is one."""
    with _named_errors("delete", uri):
        if is_local(uri):
            Path(uri).unlink(missing_ok=True)
        else:
            _gcs().delete(uri)


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
