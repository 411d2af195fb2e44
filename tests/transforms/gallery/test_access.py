"""The gallery in browsers: phones, and what axe finds."""

import pytest

from tests.support.gallery_page import DESKTOP, PHONE, done_rows, run_ids, texts


def test_phone_width_has_no_horizontal_overflow(show):
    ids = run_ids(done_rows())
    for hash_ in ("", "#view=grid", "#view=failed", f"#run={ids[0]}", f"#pick={ids[0]},{ids[5]},{ids[30]}&compare=1"):
        page = show(hash_, viewport=PHONE)
        if "run=" in hash_ or "compare" in hash_:
            page.wait_for_selector("dialog .main-svg")
        wide = page.evaluate(
            "[document.documentElement, ...document.querySelectorAll('dialog[open], dialog[open] > div, .failures')]"
            ".filter(node => node.scrollWidth > innerWidth).map(node => node.className)"
        )
        assert wide == [], hash_


def test_controls_open_on_a_phone(show):
    page = show(viewport=PHONE)
    assert not page.is_visible("#rows")
    page.get_by_role("button", name="Arrange").click()
    page.select_option("#rows", "seed")
    assert texts(page, ".row-head") == ["1", "2"]


VIEWS_TO_CHECK = {
    "matrix": ("", DESKTOP),
    "grid": ("#view=grid&sort=loss_style", DESKTOP),
    "failed": ("#view=failed", DESKTOP),
    "detail": ("#run={0}", DESKTOP),
    "compare": ("#pick={0},{1},{2}&compare=1", DESKTOP),
    "wipe": ("#pick={0},{1},{2}&compare=1", DESKTOP),
    "choices": ("#view=grid", DESKTOP),
    "phone": ("#pick={0}", PHONE),
}


@pytest.mark.parametrize("view", VIEWS_TO_CHECK)
def test_axe_finds_nothing_serious(show, view):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core did not run: no carrier")
    hash_, viewport = VIEWS_TO_CHECK[view]
    page = show(hash_.format(*run_ids(done_rows())), viewport=viewport)
    if view in ("detail", "compare", "wipe"):
        page.wait_for_selector("dialog .main-svg")
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
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        violations = axe.Axe().run(page).response["violations"]
        serious = [(rule["id"], rule["nodes"]) for rule in violations if rule["impact"] in ("serious", "critical")]
        assert serious == [], scheme
