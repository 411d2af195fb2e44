"""The browsers that the page is tested in: Debian's Chromium and Firefox, both driven by Playwright.

Playwright drives a Firefox that it did not patch by WebDriver BiDi. Media cannot be emulated over it: a dark page is
that of a Firefox which prefers dark. Playwright 1.65 asks each page for a command that Firefox 153 does not know.
"""

import functools
import importlib.util
import os
import re
import subprocess
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
# Playwright does not start Firefox 140, which lacks network.addDataCollector.
OLDEST_FIREFOX = 153
# Of Firefox's setting for the content's colours.
_SCHEMES = {"dark": 0, "light": 1}


@functools.cache
def missing(name: str) -> str | None:
    """Returns why a browser cannot be had, None if it can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    variable = f"STYLEBEAM_{name.upper()}"
    if not Path(PATHS[name]).exists():
        return f"there is no {PATHS[name]} (set {variable})"
    if name == "firefox" and (version := _major_version(PATHS[name])) < OLDEST_FIREFOX:
        return f"{PATHS[name]} is version {version}, and at least {OLDEST_FIREFOX} is needed (set {variable})"
    return None


def _major_version(program: str) -> int:
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    found = re.search(r"\d+", said)
    return int(found.group()) if found else 0


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
