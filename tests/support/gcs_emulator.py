"""Cloud Storage on loopback: gcp-storage-emulator with preconditions, paged listings, threads and injected faults.

The fixture `emulator` of conftest.py starts one server for all tests of a module.

This module adds what the package lacks: it honours `if_generation_match`, also at the end of a resumable upload;
listings come in pages of 1,000 as on the real service, with the fields that were asked for; threads serve the requests.
The store keeps no journal, because it would rewrite the whole journal for every object.
"""

import contextlib
import dataclasses
import json
import logging
import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import pytest

from tests.support.paths import ROOT
from transforms.output import gcs as cloud_storage
from transforms.output import storage

PAGE = 1000
_BUCKET = re.compile(r"/b/([-.\w]+)(?:/|\?|$)")


@dataclasses.dataclass
class Faults:
    """Injects faults into requests and counts them.

    Attributes:
      kinds: a status such as 503; "reset" cuts the connection before anything happens, "lost" after the request was
        carried out, "cut" in the middle of the reply; "damaged" replaces "good" by "evil" in the bytes sent.
      share: share of the requests that fail, in 0..1, drawn at random.
      limit: greatest number of faults; None for no limit.
      only: returns whether a request may fail, from its method and path.
      count: number of faults so far by kind.
    """

    kinds: tuple[int | str, ...]
    share: float
    seed: int
    limit: int | None
    only: Callable[[str, str], bool]
    count: Counter = dataclasses.field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, method: str, path: str) -> int | str | None:
        """Returns the fault for a request, or None if it is to succeed."""
        if not self.only(method, path) or self.count.total() == self.limit or self._random.random() >= self.share:
            return None
        kind = self._random.choice(self.kinds)
        self.count[kind] += 1
        return kind


class Emulator:
    """A running server; `url` is for STORAGE_EMULATOR_HOST.

    Attributes:
      bucket: gs://bucket, empty at the start of each module.
      requests: method and path of every request so far.
      latency_secs: how long each request waits before it is served; those of other threads wait at the same time.
      most_at_once: the greatest number of requests that were waiting at once.
    """

    def __init__(self) -> None:
        from gcp_storage_emulator.handlers import buckets
        from gcp_storage_emulator.storage import Storage

        self._storage = Storage(use_memory_fs=True)
        self._storage._write_config_to_file = lambda: None
        for name in ("bucket", "forbidden"):
            buckets.create_bucket(name, self._storage)
        self.bucket = "gs://bucket"
        self.requests: list[tuple[str, str]] = []
        self.latency_secs = 0.0
        self.most_at_once = 0
        self._waiting = 0
        self._faults: Faults | None = None
        self._lock = threading.Lock()
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._httpd.server_port}"
        threading.Thread(target=self._httpd.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stops the server."""
        self._httpd.shutdown()
        self._httpd.server_close()

    @contextlib.contextmanager
    def failing(
        self,
        *kinds: int | str,
        share: float = 1.0,
        seed: int = 0,
        limit: int | None = None,
        only: Callable[[str, str], bool] = lambda method, path: True,
    ) -> Iterator[Faults]:
        """Makes requests fail within the context as Faults describes; yields the Faults, which count them."""
        self._faults = Faults(kinds, share, seed, limit, only)
        try:
            yield self._faults
        finally:
            self._faults = None

    def objects(self, prefix: str = "", bucket: str = "bucket") -> dict[str, dict[str, Any]]:
        """Returns name -> resource (contentType, crc32c, size ...) of the objects whose name begins with `prefix`."""
        with self._lock:
            return {
                name: dict(o) for name, o in self._storage.objects.get(bucket, {}).items() if name.startswith(prefix)
            }

    def create(self, name: str, data: bytes = b"{}") -> None:
        """Creates gs://bucket/`name` directly in the store, without a request."""
        from gcp_storage_emulator.handlers.objects import _checksums, _make_object_resource

        resource = _make_object_resource(self.url, "bucket", name, "application/json", str(len(data)))
        self._storage.create_file("bucket", name, data, _checksums(data, resource))

    def copy(self, prefix: str, folder: Path) -> None:
        """Copies the objects below gs://bucket/`prefix` to a local folder."""
        for name in self.objects(prefix + "/"):
            path = folder / name.removeprefix(prefix + "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._storage.get_file("bucket", name))

    def command(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Starts `stylebeam` with these arguments, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments],
            cwd=ROOT,
            env={**os.environ, "STORAGE_EMULATOR_HOST": self.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def read(self, name: str) -> bytes:
        """Returns the bytes of gs://bucket/`name` directly from the store, without a request."""
        data: bytes = self._storage.get_file("bucket", name)
        return data

    def _wait(self) -> None:
        with self._lock:
            self._waiting += 1
            self.most_at_once = max(self.most_at_once, self._waiting)
        time.sleep(self.latency_secs)
        with self._lock:
            self._waiting -= 1

    def _fault(self, method: str, path: str) -> int | str | None:
        with self._lock:
            self.requests.append((method, path))
            if "/b/forbidden" in path:
                return 403
            return self._faults.draw(method, path) if self._faults else None

    def _handler(self) -> type:
        from gcp_storage_emulator.server import RequestHandler, Router

        emulator = self

        class Handler(RequestHandler):
            protocol_version = "HTTP/1.1"  # Keeps connections open, as the real service does.
            disable_nagle_algorithm = True

            rfile: IO[bytes]
            wfile: IO[bytes]

            def __init__(self, *arguments: Any) -> None:
                super().__init__(emulator._storage, *arguments)

            def _serve(self, method: str) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                emulator._wait()
                fault = emulator._fault(method, unquote(self.path))
                if isinstance(fault, int):
                    self._refuse(HTTPStatus(fault), f"injected: {HTTPStatus(fault).phrase}")
                    return
                bucket = _BUCKET.search(self.path)
                if bucket and bucket[1] not in emulator._storage.buckets:
                    self._refuse(HTTPStatus.NOT_FOUND, "The specified bucket does not exist.")
                    return
                if fault == "damaged":
                    sent, fault = sent.replace(b"good", b"evil"), None
                streams, self.rfile, self.wfile = (self.rfile, self.wfile), BytesIO(sent), BytesIO()
                if fault != "reset":
                    with emulator._lock:
                        Router(self).handle(method)
                reply = self.wfile.getvalue()
                self.rfile, self.wfile = streams
                if fault is None:
                    self.wfile.write(reply)
                    return
                if fault == "cut":
                    self.wfile.write(reply[: len(reply) * 2 // 3])
                self._reset()

            def _refuse(self, status: HTTPStatus, message: str) -> None:
                data = json.dumps({"error": {"code": status.value, "message": message}}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _reset(self) -> None:
                # Closing with a linger time of zero sends RST instead of FIN.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True

            do_GET = lambda self: self._serve("GET")  # noqa: E731, N815
            do_POST = lambda self: self._serve("POST")  # noqa: E731, N815
            do_PUT = lambda self: self._serve("PUT")  # noqa: E731, N815
            do_PATCH = lambda self: self._serve("PATCH")  # noqa: E731, N815
            do_DELETE = lambda self: self._serve("DELETE")  # noqa: E731, N815

        return Handler


@contextlib.contextmanager
def running() -> Iterator[Emulator]:
    """Yields an emulator that Beam and google-cloud-storage in this process talk to."""
    from apache_beam.internal.gcp import auth

    with pytest.MonkeyPatch.context() as patch:
        _mend(patch)
        for name in ("gcp_storage_emulator", "api.object"):
            # The emulator logs every request for a missing object as an error.
            patch.setattr(logging.getLogger(name), "level", logging.CRITICAL)
        # Otherwise Beam searches for credentials for half a minute.
        patch.setattr(auth._Credentials, "_credentials_init", True)
        patch.setattr(auth._Credentials, "_credentials", None)
        server = Emulator()
        patch.setenv("STORAGE_EMULATOR_HOST", server.url)
        cloud_storage.client.cache_clear()
        yield server
        server.stop()
        cloud_storage.client.cache_clear()


def retry_policies() -> list[Any]:
    """Returns the retry policies of Beam, google-cloud-storage and StyleBeam."""
    from apache_beam.io.gcp import gcsio_retry
    from google.cloud.storage.retry import DEFAULT_RETRY

    return [DEFAULT_RETRY, gcsio_retry.DEFAULT_RETRY_WITH_THROTTLING_COUNTER, cloud_storage.RETRY]


def put(emulator: Emulator, prefix: str, folder: Path, *names: str) -> None:
    """Uploads files of a local folder below gs://bucket/`prefix`."""
    for name in names:
        uri = storage.join(emulator.bucket, prefix, name)
        storage.write(uri, (folder / name).read_bytes(), "application/octet-stream")


def _mend(patch: pytest.MonkeyPatch) -> None:
    from gcp_storage_emulator import server
    from gcp_storage_emulator.handlers import objects

    mended = {
        objects.insert: _with_precondition(objects.insert),
        objects.upload_partial: _with_precondition(objects.upload_partial),
        objects.ls: _in_pages(objects.ls),
    }
    for _, methods in server.HANDLERS:
        for verb, handler in list(methods.items()):
            if handler in mended:
                patch.setitem(methods, verb, mended[handler])


def _with_precondition(handler: Callable[..., None]) -> Callable[..., None]:
    """Makes an upload answer 412 if the object's generation, 0 if there is none, is not `if_generation_match`.

    The address of a resumable session carries the condition on to its last request.
    """

    def checked(request: Any, response: Any, store: Any) -> None:
        (expected,) = request.query.get("ifGenerationMatch", [None])
        objects = store.objects.get(request.params["bucket_name"], {})
        found = objects.get(_target(request, store), {"generation": "0"})
        if expected in (None, found["generation"]):
            handler(request, response, store)
        else:
            response.status = HTTPStatus.PRECONDITION_FAILED

    return checked


def _target(request: Any, store: Any) -> str | None:
    if "upload_id" in request.query:
        return store.resumable.get(request.query["upload_id"][0], {}).get("name")
    data = request.data if isinstance(request.data, dict) else {}
    return request.query.get("name", [data.get("meta", data).get("name")])[0]


def _in_pages(handler: Callable[..., None]) -> Callable[..., None]:
    """Makes a listing come in pages; the later ones show what the first one saw."""
    listings: dict[str, list[dict[str, Any]]] = {}

    def paged(request: Any, response: Any, store: Any) -> None:
        name, _, start = request.query.get("pageToken", [""])[0].rpartition(":")
        items = listings.get(name)
        if items is None:
            whole = _Whole()
            handler(request, whole, store)
            response.status = whole.status
            if whole.status != HTTPStatus.OK:
                return
            items, name = whole.listing["items"], str(time.monotonic_ns())
        first = int(start or 0)
        page: dict[str, Any] = {"kind": "storage#objects", "items": _asked_for(request, items[first : first + PAGE])}
        if len(items) > first + PAGE:
            listings[name] = items
            page["nextPageToken"] = f"{name}:{first + PAGE}"
        response.json(page)

    return paged


class _Whole:
    """Takes a whole listing in place of a response, so that only a page of it becomes JSON."""

    status = HTTPStatus.OK
    listing: dict[str, Any]

    def json(self, listing: dict[str, Any]) -> None:
        self.listing = listing


def _asked_for(request: Any, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    asked = re.search(r"items\(([\w,]+)\)", request.query.get("fields", [""])[0])
    return [{name: item[name] for name in asked[1].split(",")} for item in items] if asked else items
