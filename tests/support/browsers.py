"""The browsers that the page is tested in: Debian's Chromium and Firefox, both driven by Playwright.

Playwright drives a Firefox that it did not patch by WebDriver BiDi. Media cannot be emulated over it: a dark page is
that of a Firefox which prefers dark. Playwright 1.65 asks each page for a command that Firefox 153 does not know.
"""

import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any

PATHS = {
    "chromium": os.environ.get("STYLEBEAM_CHROMIUM", "/usr/bin/chromium"),
    "firefox": os.environ.get("STYLEBEAM_FIREFOX", "/usr/bin/firefox-esr"),
}
CHROMIUM_FLAGS = [
    "--no-sandbox",  # Chromium refuses to sandbox for root, which is who runs tests in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Of Firefox's setting for the content's colours.
_SCHEMES = {"dark": 0, "light": 1}


def missing(name: str) -> str | None:
    """Returns why a browser cannot be had, None if it can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    variable = f"STYLEBEAM_{name.upper()}"
    return None if Path(PATHS[name]).exists() else f"there is no {PATHS[name]} (set {variable})"


def warn_of_missing() -> None:
    """Warns of each browser whose tests do not run."""
    for name in PATHS:
        if reason := missing(name):
            warnings.warn(f"THE GALLERY'S TESTS DID NOT RUN IN {name.upper()}: {reason}", stacklevel=2)


def launch(playwright: Any, name: str, downloads: Path, scheme: str = "light") -> Any:
    """Starts a browser without a window.

    Args:
      playwright: the running Playwright.
      name: chromium or firefox.
      downloads: where it saves files.
      scheme: the colours that Firefox prefers, light or dark; Chromium's are chosen for each page.
    """
    if name == "chromium":
        return playwright.chromium.launch(executable_path=PATHS[name], args=CHROMIUM_FLAGS, downloads_path=downloads)
    settings = {"layout.css.prefers-color-scheme.content-override": _SCHEMES[scheme]}
    return playwright.firefox.launch(
        channel="moz-firefox", executable_path=PATHS[name], firefox_user_prefs=settings, downloads_path=downloads
    )


def trouble(browser: Any) -> str | None:
    """Returns why a started browser opens no page: Playwright asks it for what it does not know. None if it does."""
    from playwright.sync_api import Error

    try:
        browser.new_context().close()
    except Error as error:
        return str(error).splitlines()[0]
    return None
