"""The screenshots of a gallery: `python -m demo.screenshot GALLERY FOLDER`, after `make demo`.

Writes FOLDER/gallery.webp and, beside it, one picture for each of the other views. Needs Chromium, by default Debian's;
the variable STYLEBEAM_CHROMIUM names another.
"""

import argparse
import dataclasses
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

LOADED = "[...document.images].length && [...document.images].every((image) => image.complete)"
IDS = "[...document.querySelectorAll('.cell[data-run]')].map((cell) => cell.dataset.run)"


@dataclasses.dataclass(frozen=True)
class Shot:
    """A screenshot: the view's address, `{0}`, `{1}` ... being run_ids of the grid, the window, and what is pressed.

    Attributes:
      view: the address after #.
      width_px: of the window.
      height_px: of the window.
      scheme: the colours that the reader prefers.
      act: what is done before the picture is taken.
    """

    view: str = ""
    width_px: int = 1280
    height_px: int = 900
    scheme: Literal["light", "dark"] = "light"
    act: Callable[[Page], None] = lambda page: None


def _go_to_front(page: Page) -> None:
    page.focus("#plot")
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")


def _wipe(page: Page) -> None:
    page.wait_for_selector("#compare .main-svg")
    page.get_by_role("button", name="Wipe").click()


SHOTS = {
    "gallery": Shot(),
    "gallery_colours": Shot("color=measure_ssim&best=measure_palette&of=pair"),
    "gallery_scatter": Shot("view=scatter", act=_go_to_front),
    "gallery_compare": Shot("pick={0},{1}&compare=1", act=_wipe),
    "gallery_phone": Shot("view=grid&color=measure_ssim", 390, 844),
    "gallery_dark": Shot("view=scatter&color=measure_palette", scheme="dark", act=_go_to_front),
}


def screenshots(page: Path) -> dict[str, bytes]:
    """Returns the PNGs of a gallery's page by name, as Chromium shows them from disk."""
    with sync_playwright() as playwright:
        chromium = os.environ.get("STYLEBEAM_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        ids = _grid_ids(browser, page)
        taken = {name: _taken(browser, page, shot, ids) for name, shot in SHOTS.items()}
        browser.close()
    return taken


def _grid_ids(browser: Browser, page: Path) -> list[str]:
    tab = browser.new_page()
    tab.goto(page.resolve().as_uri() + "#view=grid")
    tab.wait_for_selector(".cell[data-run]")
    ids: list[str] = tab.evaluate(IDS)
    tab.close()
    return ids


def _taken(browser: Browser, page: Path, shot: Shot, ids: list[str]) -> bytes:
    size = {"width": shot.width_px, "height": shot.height_px}
    tab = browser.new_page(viewport=size, color_scheme=shot.scheme)  # type: ignore[arg-type]
    tab.goto(f"{page.resolve().as_uri()}#{shot.view.format(*ids)}")
    shot.act(tab)
    while not tab.evaluate(LOADED):  # wait_for_function needs eval, which the page forbids
        tab.wait_for_timeout(50)
    picture: bytes = tab.screenshot()
    tab.close()
    return picture


def main() -> None:
    """Writes the screenshots."""
    parser = argparse.ArgumentParser(prog="python -m demo.screenshot", description=__doc__)
    parser.add_argument("output", type=Path, metavar="GALLERY", help="output directory of the demo")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where the pictures are written")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, png in screenshots(arguments.output / "gallery" / "index.html").items():
        Image.open(io.BytesIO(png)).convert("RGB").save(arguments.folder / f"{name}.webp", quality=82)


if __name__ == "__main__":
    main()
