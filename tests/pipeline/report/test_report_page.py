"""The report's page in browsers: light, dark and on a phone, without a fault that axe finds and without a request."""

import pytest
from PIL import Image

from pipeline.cli.main import main
from tests.support import browsers
from tests.support.gallery_page import DESKTOP, PHONE
from tests.support.gallery_rows import grid_rows
from tests.support.outputs import write_metrics

SCHEMES = ("light", "dark")

browsers.warn_of_missing()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The page of grid_rows(), with measures and thumbnails."""
    rows = grid_rows()
    measured = [
        {**row, "measure_ssim": row["manifest_row"] / 50, "measure_palette": 0.5} if row["status"] == "done" else row
        for row in rows
    ]
    folder = write_metrics(tmp_path_factory.mktemp("report") / "grid", measured)
    for row in rows[:30]:
        Image.new("RGB", (40, 30), (40, 90, 160)).save(folder / "thumbs" / f"{row['run_id']}.webp")
    assert main(["report", str(folder), "--title", "Two places, three painters"]) == 0
    return folder / "report.html"


@pytest.fixture(scope="module", params=[(name, scheme) for name in browsers.PATHS for scheme in SCHEMES], ids="-".join)
def show(request, playwright, report, tmp_path_factory):
    """Opens the page in a browser that prefers light or dark; afterwards nothing else may have been asked for."""
    name, scheme = request.param
    if reason := browsers.missing(name):
        pytest.skip(f"browser tests did not run in {name}: {reason}")
    browser = browsers.launch(playwright, name, tmp_path_factory.mktemp("downloads"), scheme)
    if trouble := browsers.trouble(browser):
        pytest.skip(f"browser tests did not run in {name}: {trouble}")
    asked: list[str] = []

    def show(viewport=DESKTOP):
        page = browser.new_context(viewport=viewport).new_page()
        if name == "chromium":
            page.emulate_media(color_scheme=scheme)
        page.on("console", lambda message: asked.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        return page, scheme

    yield show
    browser.close()
    assert [url for url in asked if url[:5] != "data:" and url != report.as_uri()] == []


def test_the_page_is_light_or_dark_as_asked(show):
    page, scheme = show()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 29)"}[scheme]
    assert page.locator("h1").inner_text() == "Two places, three painters"
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
    assert page.locator("figure img").count() > 10


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(show, viewport):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core did not run: no carrier")
    page, _ = show(viewport)
    violations = axe.Axe().run(page).response["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in violations] == []


def test_a_phone_scrolls_tables_and_not_the_page(show):
    page, _ = show(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
