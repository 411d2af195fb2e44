"""Reading, listing and writing of whole objects, on local disks and wherever Beam's FileSystems reach.

`write_once` is what makes everything else safe to retry: of any number of writers one wins, and readers see the whole
object or none.
"""

import contextlib
import errno
import functools
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from apache_beam.io.filesystem import BeamIOError, CompressionTypes
from apache_beam.io.filesystems import FileSystems

GCS_SCHEME = "gs"
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")


class StorageError(OSError):
    """An object that cannot be read, listed or written; the message is one line and names it."""


class NotFoundError(StorageError):
    """There is no such object."""


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
    except ValueError as error:
        raise ValueError(f"{uri}: no file system for {scheme(uri)}://, use a path or gs://") from error


def join(base: str, *names: str) -> str:
    """Joins path elements below a directory, local or not."""
    return "/".join((base.rstrip("/") if base != "/" else "", *names))


def resolve(directory: str, uri: str) -> str:
    """Returns `uri`, taken relative to `directory` unless it is absolute or has a scheme."""
    if not is_local(uri) or uri.startswith("/"):
        return uri
    return os.path.normpath(Path(directory) / uri) if is_local(directory) else join(directory, uri)


def parent(uri: str) -> str:
    """Returns the directory of an object."""
    return str(Path(uri).parent) if is_local(uri) else uri.rpartition("/")[0]


def read_bytes(uri: str, limit_bytes: int | None = None) -> bytes:
    """Reads an object.

    Raises:
      NotFoundError: there is none.
      StorageError: it cannot be read, or has more than `limit_bytes`.
    """
    with _named_errors("read", uri), _open(uri) as source:
        data: bytes = source.read(-1 if limit_bytes is None else limit_bytes + 1)
    if limit_bytes is not None and len(data) > limit_bytes:
        raise StorageError(f"{uri}: more than {limit_bytes} bytes")
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
        return Path(uri).exists() if is_local(uri) else bool(FileSystems.exists(uri))


def list_names(directory: str, suffix: str = "") -> Iterator[str]:
    """Yields the names of the objects right in a directory; nothing if there is no such directory."""
    with _named_errors("list", directory):
        if is_local(directory):
            if Path(directory).is_dir():
                yield from (entry.name for entry in os.scandir(directory) if entry.name.endswith(suffix))
            return
        for result in FileSystems.match([join(directory, f"*{suffix}")]):
            yield from (found.path.rpartition("/")[2] for found in result.metadata_list)


def match(pattern: str) -> list[str]:
    """Returns the objects that a glob matches, sorted; a local path that exists is itself, whatever is in its name."""
    if is_local(pattern) and Path(pattern).is_file():
        return [pattern]
    with _named_errors("list", pattern):
        return sorted(found.path for result in FileSystems.match([pattern]) for found in result.metadata_list)


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
        if scheme(uri) == GCS_SCHEME:
            return _upload(uri, data, content_type, if_generation_match=0)
        if FileSystems.exists(uri):  # No precondition there: two writers at once both write, and write the same.
            return False
        _write_through_beam(uri, data, content_type)
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
        elif scheme(uri) == GCS_SCHEME:
            _upload(uri, data, content_type)
        else:
            _write_through_beam(uri, data, content_type)


def delete(uri: str) -> None:
    """Deletes an object if there is one."""
    with _named_errors("delete", uri):
        if is_local(uri):
            Path(uri).unlink(missing_ok=True)
        elif FileSystems.exists(uri):
            FileSystems.delete([uri])


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


def _upload(uri: str, data: bytes, content_type: str, if_generation_match: int | None = None) -> bool:
    from google.api_core.exceptions import PreconditionFailed
    from google.cloud.storage.retry import DEFAULT_RETRY

    bucket, _, name = uri.removeprefix("gs://").partition("/")
    try:
        _gcs_client().bucket(bucket).blob(name).upload_from_string(
            data, content_type, if_generation_match=if_generation_match, checksum="crc32c", retry=DEFAULT_RETRY
        )
    except PreconditionFailed:
        return False
    return True


@functools.cache
def _gcs_client() -> Any:
    from google.cloud import storage

    return storage.Client()


def _write_through_beam(uri: str, data: bytes, content_type: str) -> None:
    with FileSystems.create(uri, content_type, CompressionTypes.UNCOMPRESSED) as out:
        out.write(data)


@contextlib.contextmanager
def _named_errors(verb: str, uri: str) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        if not isinstance(error, OSError | BeamIOError) and not type(error).__module__.startswith("google."):
            raise
        if _is_missing(error):
            raise NotFoundError(f"{uri}: not found") from error
        raise StorageError(f"{uri}: cannot {verb} it: {_reason(error)}") from error


def _is_missing(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) or getattr(error, "code", None) == 404 or "404" in str(error)[:40]


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__
