"""The README's screenshot of a gallery: `python -m demo.screenshot GALLERY PICTURE.webp`, after `make demo`.

Needs Chromium, by default Debian's; the variable STYLEBEAM_CHROMIUM names another.
"""

import argparse
import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

WIDTH_PX, HEIGHT_PX = 1280, 900


def screenshot(page: Path) -> bytes:
    """Returns a PNG of a gallery page as a desktop browser shows it from disk."""
    chromium = os.environ.get("STYLEBEAM_CHROMIUM", "/usr/bin/chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page(viewport={"width": WIDTH_PX, "height": HEIGHT_PX})
        tab.goto(page.resolve().as_uri())
        tab.wait_for_function("[...document.images].length && [...document.images].every(i => i.complete)")
        picture: bytes = tab.screenshot()
        browser.close()
    return picture


def main() -> None:
    """Writes the screenshot."""
    parser = argparse.ArgumentParser(prog="python -m demo.screenshot", description=__doc__)
    parser.add_argument("output", type=Path, metavar="GALLERY", help="output directory of the demo")
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="file to write")
    arguments = parser.parse_args()
    taken = Image.open(io.BytesIO(screenshot(arguments.output / "gallery" / "index.html")))
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    taken.convert("RGB").save(arguments.picture, quality=82)


if __name__ == "__main__":
    main()
