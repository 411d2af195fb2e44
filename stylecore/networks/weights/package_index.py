"""Fetches one known file from the package index that pip is configured with, without running anything of it.

`pip download` would run the build script of a source archive. This reads the index page of the project (PEP 503 and
691), follows the link with the file's name, and takes the file only if its sha256 is the expected one.
"""

import ast
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import url2pathname

import requests

from stylecore.errors import one_line

_INDEX = "https://pypi.org/simple"
_PAGE_TYPES = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_MAX_PAGE_BYTES = 8 * 2**20
_ANSWER_SECS = 10.0
DOWNLOAD_SECS = 300.0
_CHUNK_BYTES = 2**20


class PackageIndexError(RuntimeError):
    """A file that cannot be had from the package index; the message gives the reason of each index."""


def fetch(project: str, file_name: str, sha256: str, max_bytes: int) -> bytes:
    """Returns the content of a file of a project.

    Args:
      project: its normalised name.
      file_name: the file, as the index lists it.
      sha256: of its content, hex.
      max_bytes: the file may not be longer.

    Raises:
      PackageIndexError: no configured index has this file, or pip says that none is to be asked.
    """
    # Asking pip takes a while, and this is an answer.
    if os.environ.get("PIP_NO_INDEX") and not os.environ.get("PIP_FIND_LINKS"):
        raise PackageIndexError(f"{file_name}: pip is configured to ask no index")
    settings = pip_settings()
    reasons = []
    with _Session(settings) as session:
        for place in places(settings):
            try:
                return _fetch_from(session, place, project, file_name, sha256, max_bytes)
            except (PackageIndexError, OSError, ValueError, RecursionError) as error:
                reasons.append(f"{_named(place)}: {_reason(error)}")
    raise PackageIndexError(f"no package index has {file_name}: {'; '.join(reasons) or 'pip is to ask none'}")


def pip_settings() -> dict[str, str]:
    """Returns pip's settings for `pip download`: of its files and of the environment, which goes before.

    Raises:
      PackageIndexError: there is no pip.
    """
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageIndexError(f"pip config list: {one_line(done.stderr, 120)}")
    found: dict[str, dict[str, str]] = {"global": {}, "download": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        name, equals, value = line.partition("=")
        section, dot, key = name.rpartition(".")
        if equals and dot and section in found:
            found[section][key] = str(ast.literal_eval(value))
    return found["global"] | found["download"] | found[":env:"]


def places(settings: Mapping[str, str]) -> list[str]:
    """Returns where pip looks, each once: the folders of `find-links`, then the addresses of the package indexes."""
    folders = [link for link in settings.get("find-links", "").split() if Path(link).is_dir()]
    indexes = [settings.get("index-url") or _INDEX, *settings.get("extra-index-url", "").split()]
    asked = [] if _is_true(settings.get("no-index", "")) else [url.rstrip("/") for url in indexes]
    return list(dict.fromkeys([*folders, *asked]))


def page_links(page: bytes, content_type: str, address: str) -> Iterator[tuple[str, str]]:
    """Yields the name and the absolute address of each file that an index page lists.

    Args:
      page: the page, JSON or HTML; untrusted.
      content_type: its type, as the server gives it.
      address: the page's own address.
    """
    if "json" in content_type.partition(";")[0]:
        listed = json.loads(page)
        files = listed.get("files") if isinstance(listed, dict) else None
        links = [file.get("url") for file in files or [] if isinstance(file, dict)]
    else:
        parser = _Links()
        try:
            parser.feed(page.decode("utf-8", "replace"))
        except AssertionError as error:  # What the parser makes of damaged declarations.
            raise PackageIndexError("its page is damaged") from error
        links = parser.found
    for link in links:
        if isinstance(link, str):
            url = urljoin(address, link)
            yield unquote(urlsplit(url).path.rpartition("/")[2]), url


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs).get("href"))


class _Session(requests.Session):
    """Connections as pip is configured to make them."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__()
        self._trusted = settings.get("trusted-host", "").split()
        self.verify = settings.get("cert") or True
        self.cert = settings.get("client-cert")
        if proxy := settings.get("proxy"):
            self.proxies = {"http": proxy, "https": proxy}

    def read(self, url: str, max_bytes: int) -> tuple[bytes, str, str]:
        """Returns the content at an address, its type, and the address that it came from at last."""
        headers = {"Accept": _PAGE_TYPES}
        # The known sha256 is what makes a file trustworthy.
        verify = False if {urlsplit(url).hostname, urlsplit(url).netloc} & set(self._trusted) else None
        with self.get(url, headers=headers, stream=True, timeout=_ANSWER_SECS, verify=verify) as answer:
            if not answer.ok:
                raise PackageIndexError(f"status {answer.status_code}")
            content = _bounded(answer.iter_content(_CHUNK_BYTES), max_bytes)
            return content, answer.headers.get("Content-Type", "text/html"), answer.url


def _fetch_from(session: _Session, place: str, project: str, file_name: str, sha256: str, max_bytes: int) -> bytes:
    if Path(place).is_dir():
        return _checked(_read_path(Path(place, file_name), max_bytes), sha256)
    page, content_type, address = _read(session, f"{place}/{project}/", _MAX_PAGE_BYTES)
    for name, url in page_links(page, content_type, address):
        # A page of another machine has no say about files of this one.
        if name == file_name and (_is_file(place) or not _is_file(url)):
            return _checked(_read(session, url, max_bytes)[0], sha256)
    raise PackageIndexError("its page does not list the file")


def _checked(content: bytes, sha256: str) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise PackageIndexError(f"sha256 is {digest}, expected {sha256}")
    return content


def _read(session: _Session, url: str, max_bytes: int) -> tuple[bytes, str, str]:
    if not _is_file(url):
        return session.read(url, max_bytes)
    path = Path(url2pathname(urlsplit(url).path))
    return _read_path(path / "index.html" if path.is_dir() else path, max_bytes), "text/html", url


def _read_path(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as file:
        return _bounded(iter(lambda: file.read(_CHUNK_BYTES), b""), max_bytes)


def _bounded(chunks: Iterator[bytes], max_bytes: int) -> bytes:
    ends, content = time.monotonic() + DOWNLOAD_SECS, bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > max_bytes:
            raise PackageIndexError(f"more than {max_bytes} bytes")
        if time.monotonic() > ends:
            raise PackageIndexError(f"not done after {DOWNLOAD_SECS:.0f} seconds")
    return bytes(content)


def _is_file(url: str) -> bool:
    return urlsplit(url).scheme == "file"


def _is_true(value: str) -> bool:
    return value.lower() in ("1", "true", "yes", "on", "y", "t")


def _named(place: str) -> str:
    """Returns what names a place in a message: never its password."""
    parts = urlsplit(place)
    return parts.path if parts.scheme in ("file", "") else parts.hostname or parts.scheme


def _reason(error: Exception) -> str:
    # The messages of requests can hold the address with its password.
    if isinstance(error, requests.RequestException):
        return type(error).__name__
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return one_line(error, 200)
