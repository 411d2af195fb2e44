"""Reading, listing and writing of whole objects, on local disks and wherever Beam's FileSystems reach.

`write_once` is what makes everything else safe to retry: of any number of writers one wins, and readers see the whole
object or none.
"""

import contextlib
import errno
import functools
import os
import posixpath
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems

from stylecore.errors import UsageError, one_line
from transforms.output import gcs as cloud_storage

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
    """Raises ValueError if `uri` has a scheme that no file system is known for."""
    if is_local(uri):
        return
    try:
        FileSystems.get_filesystem(uri)
    except (ValueError, BeamIOError) as error:  # The second of one that lacks its settings, such as hdfs://.
        raise ValueError(f"{uri}: no file system for {scheme(uri)}://, use a path or gs://") from error


def join(base: str, *names: str) -> str:
    """Joins path elements below a directory, local or not."""
    return "/".join((base.rstrip("/") if base != "/" else "", *names))


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
    size = -1 if limit_bytes is None else limit_bytes + 1
    with _named_errors("read", uri):
        data = _read(uri, size)
    if limit_bytes is not None and len(data) > limit_bytes:
        raise StorageError(f"{uri}: more than {limit_bytes} bytes")
    return data


def _read(uri: str, size: int) -> bytes:
    if scheme(uri) == cloud_storage.SCHEME:
        return cloud_storage.download(uri, size if size >= 0 else None)
    return _read_stream(uri, size) if is_local(uri) else cloud_storage.call(_read_stream, uri, size)


def _read_stream(uri: str, size: int) -> bytes:
    with _open(uri) as source:
        data: bytes = source.read(size)
    return data


def _open(uri: str) -> Any:
    if is_local(uri):
        if Path(uri).exists() and not Path(uri).is_file():
            raise OSError(errno.EINVAL, "not a regular file")  # A FIFO would block for ever.
        return Path(uri).open("rb")
    return FileSystems.open(uri, compression_type=CompressionTypes.UNCOMPRESSED)


def exists(uri: str) -> bool:
    """Returns whether there is such an object."""
    with _named_errors("look for", uri):
        if is_local(uri):
            return Path(uri).exists()
        if scheme(uri) == cloud_storage.SCHEME:
            return cloud_storage.exists(uri)
        return cloud_storage.call(FileSystems.exists, uri)


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
        # Beam's patterns know no quoting: what could be one in the directory matches any character first.
        pattern = join(re.sub(r"[\[\]*?]", "?", directory), f"*{suffix}")
        for found in _match(pattern):
            where, _, name = found.path.rpartition("/")
            if where == directory.rstrip("/"):
                yield Found(name, found.last_updated_in_seconds or 0.0, found.size_in_bytes)


def match(pattern: str) -> list[str]:
    """Returns the objects that a glob matches, sorted; a local path that exists is itself, whatever is in its name."""
    if is_local(pattern) and Path(pattern).is_file():
        return [pattern]
    with _named_errors("list", pattern):
        return sorted(found.path for found in _match(pattern))


def _match(pattern: str) -> list[FileMetadata]:
    (result,) = cloud_storage.call(FileSystems.match, [pattern])
    return list(result.metadata_list)


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
        if scheme(uri) == cloud_storage.SCHEME:
            return cloud_storage.upload(uri, data, content_type, if_generation_match=0)
        if cloud_storage.call(
            FileSystems.exists, uri
        ):  # No precondition there: two writers at once both write, and write the same.
            return False
        cloud_storage.call(_write_through_beam, uri, data, content_type)
        return True


def write(uri: str, data: bytes, content_type: str) -> None:
    """Writes or replaces an object, whole or not at all.

    Raises:
      StorageError: it cannot be written.
    """
    with _named_errors("write", uri):
        if is_local(uri):
            with _synced_file(Path(uri), data) as part:
                part.replace(uri)
        elif scheme(uri) == cloud_storage.SCHEME:
            cloud_storage.upload(uri, data, content_type)
        else:
            cloud_storage.call(_write_through_beam, uri, data, content_type)


def delete(uri: str) -> None:
    """Deletes an object if there is one."""
    with _named_errors("delete", uri):
        if is_local(uri):
            Path(uri).unlink(missing_ok=True)
        elif scheme(uri) == cloud_storage.SCHEME:
            cloud_storage.delete(uri)
        elif cloud_storage.call(FileSystems.exists, uri):
            cloud_storage.call(FileSystems.delete, [uri])


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


def _write_through_beam(uri: str, data: bytes, content_type: str) -> None:
    with FileSystems.create(uri, content_type, CompressionTypes.UNCOMPRESSED) as out:
        out.write(data)


@contextlib.contextmanager
def _named_errors(verb: str, uri: str) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except (OSError, *cloud_storage.ERRORS) as error:
        status, reason = cloud_storage.status(error), one_line(cloud_storage.reason(error), 300)
        # Where nothing is found to list or to write to, the bucket is missing: that is worth saying.
        if verb not in ("list", "write") and (isinstance(error, FileNotFoundError) or status == 404):
            raise NotFoundError(f"{uri}: not found") from error
        forbidden = isinstance(error, PermissionError) or status in (401, 403)
        raise (ForbiddenError if forbidden else StorageError)(f"{uri}: cannot {verb} it: {reason}") from error
