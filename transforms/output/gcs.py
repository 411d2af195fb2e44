"""Cloud Storage below `transforms.output.storage`: the client, conditional uploads, retries, what an error means.

Transient errors (408, 429, 500, 502, 503, 504, reset connections, timeouts) are retried with growing, random pauses for
`DEADLINE_SECS` in all; an upload resumes where it was cut. See docs/cloud_storage.md.
"""

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from typing import IO, Any

from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp.gcsio import GcsIO
from google.api_core.exceptions import (
    GoogleAPICallError,
    GoogleAPIError,
    NotFound,
    RequestRangeNotSatisfiable,
    RetryError,
)
from google.api_core.retry import Retry
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import DEFAULT_POOLSIZE
from urllib3.exceptions import HTTPError

SCHEME = "gs"
DEADLINE_SECS = 300.0
CHUNK_BYTES = 4 * 2**20
_LOOKS = 10
CONNECTIONS = 64  # More threads at once than this make a connection for each request.
RETRY = DEFAULT_RETRY.with_timeout(DEADLINE_SECS)
# What the libraries raise; requests' own errors are OSErrors.
ERRORS = (GoogleAPIError, GoogleAuthError, InvalidResponse, DataCorruption, HTTPError)

# Else the library asks in the background about the bucket, for traces that nobody takes, after every 404 again.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")


@functools.cache
def client() -> Any:
    """Returns Beam's client, so that one identity reads and writes: that of the pipeline's options.

    An emulator asks for no identity, and Beam would search for one for half a minute.
    """
    if os.environ.get("STORAGE_EMULATOR_HOST"):
        made = Client.create_anonymous_client()
    else:
        made = GcsIO(pipeline_options=FileSystems._pipeline_options).client
    for adapter in made._http.adapters.values():
        adapter.init_poolmanager(DEFAULT_POOLSIZE, CONNECTIONS)
    return made


def list_objects(directory: str, prefix: str = "", suffix: str = "") -> Iterator[tuple[str, float, int]]:
    """Yields (name, seconds since the epoch, bytes) of the objects right in a directory.

    Args:
      directory: gs://BUCKET or gs://BUCKET/PREFIX.
      prefix: what the names begin with.
      suffix: what the names end with.
    """
    for name, blob in _in_directory(directory, prefix, suffix, "name,updated,size"):
        yield name, blob.updated.timestamp() if blob.updated else 0.0, blob.size or 0


def list_names(directory: str, prefix: str = "", suffix: str = "") -> Iterator[str]:
    """Yields the names that `list_objects` does, in a third of the time."""
    for name, _ in _in_directory(directory, prefix, suffix, "name"):
        yield name


def _in_directory(directory: str, prefix: str, suffix: str, fields: str) -> Iterator[tuple[str, Any]]:
    folder = _parts(directory.rstrip("/") + "/")[1]
    for blob in _listed(directory, folder + prefix, fields, delimiter="/"):
        name = blob.name.removeprefix(folder)
        if name and "/" not in name and name.endswith(suffix):
            yield name, blob


def match(pattern: str) -> list[str]:
    """Returns the URIs of the objects that a glob such as gs://BUCKET/DIR/*.parquet matches, see `storage.match`."""
    bucket, glob = _parts(pattern)
    fixed = re.split(r"[*?\[]", glob, maxsplit=1)[0]
    expression = re.compile(
        "".join(_GLOB.get(piece, re.escape(piece)) for piece in _GLOB_PIECES.findall(glob)), re.DOTALL
    )
    names = (blob.name for blob in _listed(pattern, fixed, "name"))
    return [f"{SCHEME}://{bucket}/{name}" for name in names if expression.fullmatch(name)]


# `**/` is any number of directories, `*` and `?` stay within one; anything else stands for itself.
_GLOB = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_GLOB_PIECES = re.compile(r"\*\*/|\*\*|\*|\?|[^*?]+")


def _listed(uri: str, prefix: str, fields: str, delimiter: str | None = None) -> Iterator[Any]:
    bucket, _ = _parts(uri)
    asked = f"items({fields}),nextPageToken"  # All fields together are several times as many bytes.
    yield from client().list_blobs(bucket, prefix=prefix or None, delimiter=delimiter, fields=asked, retry=RETRY)


def open_binary(uri: str) -> Any:
    """Opens an object for reading from any position; it is looked for at once."""
    blob = _blob(uri)
    blob.reload(retry=RETRY)
    return blob.open("rb", raw_download=True, retry=RETRY, chunk_size=CHUNK_BYTES)


def exists(uri: str) -> bool:
    """Returns whether there is such an object."""
    return bool(_blob(uri).exists(retry=RETRY))


def download(uri: str, size_bytes: int | None = None, generation: int | None = None) -> bytes:
    """Returns an object, or as much of it as `size_bytes`; of one generation alone if that is given."""
    end = None if size_bytes is None else size_bytes - 1
    try:
        data: bytes = _blob(uri, generation).download_as_bytes(end=end, raw_download=True, retry=RETRY)
    except RequestRangeNotSatisfiable:
        return b""  # No range of an empty object exists.
    return data


def version(uri: str) -> tuple[int, str]:
    """Returns the bytes of an object, and its generation as text."""
    blob = _blob(uri)
    blob.reload(retry=RETRY)
    return blob.size or 0, str(blob.generation)


def look_at(uri: str, size_bytes: int | None = None) -> tuple[bytes | None, int]:
    """Returns an object, or as much of it as `size_bytes`, and the generation that it is of; (None, 0) for none."""
    for _ in range(_LOOKS):
        blob = _blob(uri)
        try:
            blob.reload(retry=RETRY)
        except NotFound:
            break
        with contextlib.suppress(NotFound):  # It was replaced in between.
            return download(uri, size_bytes, blob.generation), blob.generation
    return None, 0


def upload(uri: str, data: bytes, content_type: str, if_generation_match: int | None = None) -> bool:
    """Uploads an object, checked by crc32c; returns False if the condition does not hold.

    An attempt that was carried out, but whose reply was lost, makes the next one fail its condition: False then says
    no more than that there is an object.
    """

    def attempt() -> None:
        _blob(uri).upload_from_string(
            data, content_type, if_generation_match=if_generation_match, checksum="crc32c", retry=RETRY
        )

    try:
        Retry(predicate=_session_is_gone, timeout=DEADLINE_SECS)(attempt)()
    except (GoogleAPICallError, InvalidResponse) as error:
        # Resumable uploads, which objects over 8 MB are, may answer with an InvalidResponse.
        if status(error) != 412:
            raise
        return False
    return True


def upload_file(uri: str, source: IO[bytes], content_type: str) -> None:
    """Uploads an object from a file, in chunks, checked by crc32c."""

    size = source.seek(0, os.SEEK_END)

    def attempt() -> None:
        blob = _blob(uri)
        blob.chunk_size = CHUNK_BYTES
        blob.upload_from_file(source, rewind=True, size=size, content_type=content_type, checksum="crc32c", retry=RETRY)

    Retry(predicate=_session_is_gone, timeout=DEADLINE_SECS)(attempt)()


def _session_is_gone(error: Exception) -> bool:
    """Then an upload begins again: https://cloud.google.com/storage/docs/resumable-uploads."""
    address = getattr(getattr(error, "response", None), "url", None) or ""
    return status(error) in (404, 410) and "upload_id=" in address


def delete(uri: str) -> None:
    """Deletes an object if there is one."""
    with contextlib.suppress(NotFound):
        _blob(uri).delete(retry=RETRY)


def explained(error: BaseException) -> tuple[int | None, str]:
    """Returns the HTTP status that an error stands for, None if it stands for none, and what it says.

    Addresses and bodies are left out of what it says.
    """
    if isinstance(error, RetryError) and error.cause:
        code, said = explained(error.cause)
        return code, f"gave up after repeated attempts: {said}"
    code = status(error)
    if isinstance(error, OSError) and error.strerror:
        return code, error.strerror
    said = _said(error)
    return code, f"{code}: {said}" if code else said


def status(error: BaseException) -> int | None:
    """Returns the HTTP status that an error stands for, None if it stands for none."""
    code = getattr(error, "code", None)
    if code is None:
        code = getattr(getattr(error, "response", None), "status_code", None)
    return int(code) if isinstance(code, int) else None


def _said(error: BaseException) -> str:
    """The service explains itself in JSON, or in plain text where a download fails."""
    response: Any = getattr(error, "response", None)
    try:
        return str(response.json()["error"]["message"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return getattr(response, "text", "") or getattr(error, "message", "") or str(error) or type(error).__name__


def _blob(uri: str, generation: int | None = None) -> Any:
    bucket, name = _parts(uri)
    return client().bucket(bucket).blob(name, generation=generation)


def _parts(uri: str) -> tuple[str, str]:
    """Returns the bucket and the rest of a URI."""
    bucket, _, name = uri.partition("://")[2].partition("/")
    return bucket, name
