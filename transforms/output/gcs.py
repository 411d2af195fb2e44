"""Cloud Storage below `transforms.output.storage`: the client, uploads under a condition, retries, what an error means.

Transient errors (408, 429, 500, 502, 503, 504, reset connections, timeouts) are waited out with growing, random pauses,
for `DEADLINE_SECS` in all: by Beam and google-cloud-storage within a request where they can (an upload goes on where it
was cut), and here around what they do together. See docs/cloud_storage.md.
"""

import contextlib
import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

from apache_beam.io.filesystem import BeamIOError
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
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import DEFAULT_POOLSIZE
from urllib3.exceptions import HTTPError

SCHEME = "gs"
DEADLINE_SECS = 300.0
CONNECTIONS = 64  # More threads at once than this make a connection for each request.
RETRY = DEFAULT_RETRY.with_timeout(DEADLINE_SECS)
# What the libraries raise; requests' own errors are OSErrors.
ERRORS = (BeamIOError, GoogleAPIError, GoogleAuthError, InvalidResponse, DataCorruption, HTTPError)

# Else the library asks in the background about the bucket, for traces that nobody takes, after every 404 again.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

_Returned = TypeVar("_Returned")


@functools.cache
def client() -> Any:
    """Returns Beam's client, so that one identity reads and writes: that of the pipeline's options."""
    made = GcsIO(pipeline_options=FileSystems._pipeline_options).client
    for adapter in made._http.adapters.values():
        adapter.init_poolmanager(DEFAULT_POOLSIZE, CONNECTIONS)
    return made


def call(function: Callable[..., _Returned], *arguments: Any, **options: Any) -> _Returned:
    """Calls a function of Beam's FileSystems, again after transient errors.

    Raises:
      OSError, or one of ERRORS: what went wrong, taken out of Beam's error.
    """

    def unwrapped() -> _Returned:
        try:
            return function(*arguments, **options)
        except BeamIOError as error:
            raise _cause(error) from error

    try:
        result: _Returned = RETRY(unwrapped)()
    except (OSError, *ERRORS):
        raise
    except Exception as error:  # Of a library that another file system uses, and that need not be installed here.
        raise BeamIOError(str(error), {"cause": error}) from error
    return result


def exists(uri: str) -> bool:
    """Returns whether there is such an object."""
    return bool(_blob(uri).exists(retry=RETRY))


def download(uri: str, size_bytes: int | None = None) -> bytes:
    """Returns an object, or as much of it as `size_bytes`.

    FileSystems would make a client of its own for it, two more requests, and a 404 if the object is just replaced.
    """
    end = None if size_bytes is None else size_bytes - 1
    try:
        data: bytes = _blob(uri).download_as_bytes(end=end, raw_download=True, retry=RETRY)
    except RequestRangeNotSatisfiable:
        return b""  # No range of an empty object exists.
    return data


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


def _session_is_gone(error: Exception) -> bool:
    """Then an upload begins again: https://cloud.google.com/storage/docs/resumable-uploads."""
    address = getattr(getattr(error, "response", None), "url", None) or ""
    return status(error) in (404, 410) and "upload_id=" in address


def delete(uri: str) -> None:
    """Deletes an object if there is one."""
    with contextlib.suppress(NotFound):
        _blob(uri).delete(retry=RETRY)


def status(error: BaseException) -> int | None:
    """Returns the HTTP status that an error stands for, None if it stands for none."""
    if isinstance(error, BeamIOError):
        error = _cause(error)
    code = getattr(error, "code", None)
    if code is None:
        code = getattr(getattr(error, "response", None), "status_code", None)
    return int(code) if isinstance(code, int) else None


def reason(error: BaseException) -> str:
    """Returns what an error says, without addresses and bodies."""
    if isinstance(error, RetryError):
        return f"gave up after repeated attempts: {reason(error.cause) if error.cause else error}"
    if isinstance(error, BeamIOError) and _cause(error) is not error:
        return reason(_cause(error))
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = _said(error)
    return f"{status(error)}: {said}" if status(error) else said


def _said(error: BaseException) -> str:
    """The service explains itself in JSON, or in plain text where a download fails."""
    response: Any = getattr(error, "response", None)
    try:
        return str(response.json()["error"]["message"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return getattr(response, "text", "") or getattr(error, "message", "") or str(error) or type(error).__name__


def _cause(error: BeamIOError) -> Exception:
    details = error.exception_details
    causes = details.values() if isinstance(details, dict) else ()
    cause = next((cause for cause in causes if isinstance(cause, Exception)), error)
    return _cause(cause) if isinstance(cause, BeamIOError) and cause is not error else cause


def _blob(uri: str) -> Any:
    bucket, _, name = uri.removeprefix(f"{SCHEME}://").partition("/")
    return client().bucket(bucket).blob(name)
