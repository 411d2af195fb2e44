"""The page of a small grid, in each browser."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import browsers
from tests.support.gallery_page import DESKTOP, PHONE, TIMEOUT_SECS, wait_until
from tests.support.gallery_rows import grid_rows, write_output

OWN = ("data:", "blob:")  # what the page itself holds: no request

browsers.warn_of_missing()


@pytest.fixture(scope="package")
def playwright() -> Iterator[Any]:
    """Playwright, once for all browsers."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package", params=list(browsers.PATHS))
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Each browser that this machine has."""
    if reason := browsers.missing(request.param):
        pytest.skip(f"browser tests did not run in {request.param}: {reason}")
    downloads = tmp_path_factory.mktemp("downloads")
    started = browsers.launch(request.getfixturevalue("playwright"), request.param, downloads)
    started.downloads = downloads
    if trouble := _trouble(started):
        warnings.warn(f"THE GALLERY'S TESTS DID NOT RUN IN {request.param.upper()}: {trouble}", stacklevel=1)
        pytest.skip(f"browser tests did not run in {request.param}: {trouble}")
    yield started
    started.close()


def _trouble(browser: Any) -> str | None:
    """Why no page opens: a Playwright that asks a browser for what it does not know."""
    from playwright.sync_api import Error

    try:
        browser.new_context().close()
    except Error as error:
        return str(error).splitlines()[0]
    return None


@pytest.fixture
def show(browser, grid_page) -> Iterator[Callable]:
    """Opens the page at a hash; afterwards nothing may have been complained about, or requested from elsewhere."""
    complaints: list[str] = []
    requests: list[str] = []
    contexts = []

    def show(hash_: str = "", page_path: Path = grid_page, viewport: dict = DESKTOP):
        contexts.append(browser.new_context(viewport=viewport, has_touch=viewport == PHONE))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url) if request.url[:5] not in OWN else None)
        page.set_default_timeout(1000 * TIMEOUT_SECS)
        page.goto(page_path.as_uri() + hash_)
        page.output = page_path.parent.parent.as_uri() + "/"
        page.requested = requests
        page.downloads = browser.downloads
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
