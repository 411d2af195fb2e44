"""The gallery in browsers: phones, and what axe finds."""

import pytest

from tests.support.gallery_page import DESKTOP, PHONE, browser_of, done_rows, run_ids, texts
from tests.support.gallery_rows import masked_rows


def test_controls_open_on_a_phone(show):
    page = show(viewport=PHONE)
    assert not page.is_visible("#rows")
    page.get_by_role("button", name="Arrange").click()
    page.select_option("#rows", "seed")
    assert texts(page, ".row-head") == ["1", "2"]


SMALL_TARGETS = """() => {
  const shown = [...document.querySelectorAll("button, select, input, [role=application], [tabindex='0']")].filter(
    (node) => node.checkVisibility({ visibilityProperty: true }) && !node.matches(".unseen")
  );
  return shown
    .map((node) => [node, (node.closest("label") ?? node).getBoundingClientRect()])
    .filter(([, box]) => Math.min(box.width, box.height) < 23.9)
    .map(([node, box]) => `${node.outerHTML.slice(0, 80)} ${box.width} x ${box.height}`);
}"""


WIDER_THAN_THE_SCREEN = """() =>
  [document.documentElement, ...document.querySelectorAll("dialog[open], dialog[open] > div, main > div")]
    .filter((node) => node.scrollWidth > innerWidth)
    .map((node) => node.className)"""


@pytest.mark.parametrize(
    "hash_",
    [
        "#color=loss_tv&best=loss_style",
        "#view=grid&pick={0}",
        "#view=scatter&brush=120,any,any,any",
        "#view=failed",
        "#run={0}",
        "#pick={0},{5},{30}&compare=1",
    ],
)
def test_on_a_phone_nothing_is_too_wide_and_no_target_smaller_than_24_pixels(show, hash_):
    page = show(hash_.format(*run_ids(done_rows())), viewport=PHONE)
    has_dialog = "run=" in hash_ or "compare" in hash_
    if has_dialog:
        page.wait_for_selector("dialog .main-svg")
    assert page.evaluate(WIDER_THAN_THE_SCREEN) == []
    if not has_dialog and "failed" not in hash_:
        page.get_by_role("button", name="Arrange").click()
    assert page.evaluate(SMALL_TARGETS) == []


VIEWS_TO_CHECK = {
    "matrix": ("", DESKTOP),
    "grid": ("#view=grid&sort=loss_style", DESKTOP),
    "marked matrix": ("#color=loss_style&best=loss_content&of=pair", DESKTOP),
    "marked grid": ("#view=grid&color=content_weight&best=loss_tv", PHONE),
    "help": ("", DESKTOP),
    "scatter": ("#view=scatter&brush=120,any,any,40", DESKTOP),
    "failed": ("#view=failed", DESKTOP),
    "detail": ("#run={0}", DESKTOP),
    "compare": ("#pick={0},{1},{2}&compare=1", DESKTOP),
    "wipe": ("#pick={0},{1},{2}&compare=1", DESKTOP),
    "choices": ("#view=grid", DESKTOP),
    "phone": ("#pick={0}", PHONE),
    "scatter on a phone": ("#view=scatter", PHONE),
}


def bring_up(page, view: str) -> None:
    """Opens what the address alone does not."""
    if view in ("detail", "compare", "wipe"):
        page.wait_for_selector("dialog .main-svg")
    if view == "help":
        page.keyboard.press("?")
    if view == "wipe":
        page.get_by_role("button", name="Wipe").click()
    if view == "choices":
        page.locator(".cell").first.focus()
        for key in ("4", "ArrowRight", "x"):
            page.keyboard.press(key)
        page.click("#open-choices")
    if view == "phone":
        page.get_by_role("button", name="Arrange").click()
        page.click("[data-filter=style]")
    if view == "scatter":
        page.focus("#plot")
        page.keyboard.press("ArrowRight")


def in_both_schemes(show, hash_: str, viewport: dict, view: str):
    """The page in light and in dark; Chromium's changes its colours while it is open."""
    page = show(hash_, viewport=viewport)
    bring_up(page, view)
    yield page
    if browser_of(page) == "chromium":
        page.emulate_media(color_scheme="dark")
    else:
        page = show(hash_, viewport=viewport, scheme="dark")
        bring_up(page, view)
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    yield page


# What axe reads, names, roles and colours, is what the page says, in any browser.
@pytest.mark.parametrize(
    ("browser", "view"),
    [*(("chromium", view) for view in VIEWS_TO_CHECK), ("firefox", "matrix"), ("firefox", "detail")],
    indirect=["browser"],
)
def test_axe_finds_nothing(show, view):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core did not run: no carrier")
    hash_, viewport = VIEWS_TO_CHECK[view]
    for page in in_both_schemes(show, hash_.format(*run_ids(done_rows())), viewport, view):
        violations = axe.Axe().run(page).response["violations"]
        assert [(rule["id"], rule["impact"], rule["nodes"]) for rule in violations] == []


@pytest.mark.parametrize("browser", ["chromium"], indirect=True)
def test_axe_finds_nothing_in_details_with_masks(show, masked_page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core did not run: no carrier")
    page = show(f"#run={run_ids(masked_rows())[-1]}", page_path=masked_page)
    bring_up(page, "detail")
    assert axe.Axe().run(page).response["violations"] == []
    wide = "[...document.querySelectorAll('dialog[open] *')].filter(node => node.scrollWidth > innerWidth).length"
    assert page.evaluate(wide) == 0
