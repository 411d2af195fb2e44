"""The pages of small grids, in each browser."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import browsers
from tests.support.gallery_page import DESKTOP, NOTE_SCRIPTS, PHONE, TIMEOUT_SECS, wait_until
from tests.support.gallery_rows import grid_rows, judged_rows, masked_rows, write_output

OWN = ("data:", "blob:")  # what the page itself holds: no request

browsers.warn_of_missing()


@pytest.fixture(scope="package")
def start(playwright: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Starts a browser that prefers light or dark, once; skips the test, and says so, where there is none."""
    started: dict[tuple[str, str], Any] = {}

    def start(name: str, scheme: str = "light") -> Any:
        if reason := browsers.missing(name):
            pytest.skip(f"browser tests did not run in {name}: {reason}")
        if (name, scheme) not in started:
            downloads = tmp_path_factory.mktemp("downloads")
            browser = browsers.launch(playwright, name, downloads, scheme)
            browser.downloads = downloads
            browser.trouble = browsers.trouble(browser)
            started[name, scheme] = browser
            if browser.trouble:
                warnings.warn(f"THE GALLERY'S TESTS DID NOT RUN IN {name.upper()}: {browser.trouble}", stacklevel=2)
        if trouble := started[name, scheme].trouble:
            pytest.skip(f"browser tests did not run in {name}: {trouble}")
        return started[name, scheme]

    yield start
    for browser in started.values():
        browser.close()


@pytest.fixture(scope="package", params=list(browsers.PATHS))
def browser(request: pytest.FixtureRequest, start: Callable[..., Any]) -> Any:
    """Each browser that this machine has."""
    return start(request.param)


@pytest.fixture
def show(browser, start, grid_page) -> Iterator[Callable]:
    """Opens the page at a hash; afterwards nothing may have been complained about, or requested from elsewhere."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def show(hash_: str = "", page_path: Path = grid_page, viewport: dict = DESKTOP, scheme: str = "light"):
        # Firefox takes its colours from how it was started.
        opened = browser if browser.browser_type.name == "chromium" else start(browser.browser_type.name, scheme)
        contexts.append(opened.new_context(viewport=viewport, has_touch=viewport == PHONE, color_scheme=scheme))
        if browser.browser_type.name == "firefox":
            contexts[-1].add_init_script(NOTE_SCRIPTS)
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url) if request.url[:5] not in OWN else None)
        page.set_default_timeout(1000 * TIMEOUT_SECS)
        page.goto(page_path.as_uri() + hash_)
        page.output = page_path.parent.parent.as_uri() + "/"
        page.requested = requests
        page.downloads = opened.downloads
        wait_until(page, "!document.getElementById('status').textContent.startsWith('loading')")
        return page

    yield show
    outside = [url for url in requests if not any(url.startswith(page.output) for c in contexts for page in c.pages)]
    for context in contexts:
        context.close()
    assert complaints == []
    assert outside == []


@pytest.fixture(scope="session")
def grid_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of grid_rows()."""
    return write_output(tmp_path_factory.mktemp("grid"), grid_rows())


@pytest.fixture(scope="session")
def judged_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of judged_rows()."""
    return write_output(tmp_path_factory.mktemp("judged"), judged_rows())


@pytest.fixture(scope="session")
def masked_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of masked_rows()."""
    return write_output(tmp_path_factory.mktemp("masked"), masked_rows())
