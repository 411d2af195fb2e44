"""The gallery in browsers: rating, tagging, rejecting; choices.json out and in."""

import json

from tests.support.gallery_page import (
    PHONE,
    choice,
    done_rows,
    downloaded,
    import_choices,
    press,
    run_ids,
    shown_ids,
    texts,
    wait_until,
)


def exported(page) -> dict:
    """What the page exports as choices.json."""
    page.click("#open-choices")
    content = downloaded(page, "#export", "choices.json")
    page.keyboard.press("Escape")
    return json.loads(content)


def test_choices_by_keys_alone_and_their_export(show):
    page = show("#view=grid")
    ids = run_ids(done_rows())
    page.locator(".cell").first.focus()
    for key in ("4", "ArrowRight", "x", "ArrowRight", "2", "2", "ArrowRight", "5", "0", "3"):
        page.keyboard.press(key)
    page.keyboard.press("t")
    page.wait_for_selector("#detail[open]")
    page.keyboard.type("sky, quiet, sky")
    page.keyboard.press("Enter")
    assert texts(page, "#detail .said") == ["rated 3, tagged sky, quiet"]
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    assert texts(page, ".badge") == ["★ 4", "✕", "★ 3 #sky #quiet"]
    assert page.locator(".cell").nth(3).get_attribute("aria-label").endswith(", rated 3, tagged sky, quiet")
    assert exported(page) == {
        "version": 1,
        "choices": [
            choice(ids[0], 4),
            choice(ids[1], rejected=True),
            choice(ids[3], 3, ("sky", "quiet")),
        ],
    }


def test_choices_are_undone_step_by_step(show):
    page = show("#view=grid")
    page.locator(".cell").first.focus()
    seen = []
    for key in ("4", "x", "5", "u", "Control+z", "u", "u"):
        page.keyboard.press(key)
        seen.append(texts(page, ".badge"))
    assert seen == [["★ 4"], ["✕ ★ 4"], ["✕ ★ 5"], ["✕ ★ 4"], ["★ 4"], [], []]
    assert page.inner_text("#said") == "There is nothing to undo."


def test_choices_survive_a_reload_and_filter_the_view(show):
    page = show("#view=grid")
    ids = run_ids(done_rows())
    page.locator(".cell").first.focus()
    for key in ("4", "ArrowRight", "x", "ArrowRight", "1"):
        page.keyboard.press(key)
    page.reload()
    wait_until(page, "document.querySelectorAll('.badge').length === 3")
    page.click("#open-choices")
    for chosen, expected in (
        ("chosen", [ids[0], ids[2]]),
        ("rejected", [ids[1]]),
        ("kept", [ids[0], *ids[2:]]),
        ("open", ids[3:]),
    ):
        page.select_option("#chosen", chosen)
        assert page.inner_text("#status") == f"{len(expected)} of 36 runs"
        assert shown_ids(page) == expected[: len(shown_ids(page))]
    assert page.url.endswith("chosen=open")


def test_run_ids_of_chosen_runs_are_copied(show):
    page = show("#view=grid")
    page.evaluate("navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); }")
    page.locator(".cell").first.focus()
    for key in ("4", "ArrowRight", "5", "x", "ArrowRight", "1"):
        page.keyboard.press(key)
    page.click("#open-choices")
    page.click("#copy")
    ids = run_ids(done_rows())
    assert page.evaluate("window.copied") == f"{ids[0]}\n{ids[2]}"
    assert page.inner_text("#said") == "2 run_ids copied."


def test_choices_are_imported_as_one_step(show):
    page = show("#view=grid")
    ids = run_ids(done_rows())
    page.locator(".cell").first.focus()
    page.keyboard.press("1")
    choices = {"version": 1, "choices": [choice(ids[1], 5, ("<b>sky</b>",)), choice(ids[2], rejected=True)]}
    assert import_choices(page, json.dumps(choices)) == "2 choices imported."
    assert texts(page, ".badge") == ["★ 1", "★ 5 #<b>sky</b>", "✕"]
    page.locator(".cell").first.focus()
    page.keyboard.press("u")
    assert texts(page, ".badge") == ["★ 1"]


OTHER = choice("0123456789abcdef", 5)


def _nonsense() -> dict[str, str]:
    """Files that are no choices of this gallery, with what the page says of each."""
    lacks = "this gallery lacks 1 of the 1 run that the file names, such as 0123456789abcdef"
    entries = ({"rating": 6}, {"rating": "5"}, {"tags": "sky"}, {"tags": [1]}, {"rejected": 0})
    return {
        json.dumps({"version": 1, "choices": [OTHER]}): lacks,
        json.dumps({"version": 2, "choices": []}): "this is not a choices.json of version 1",
        "no JSON": "this is not a choices.json of version 1",
        "[]": "this is not a choices.json of version 1",
        json.dumps({"version": 1, "choices": [OTHER, OTHER]}): "run 0123456789abcdef is named twice",
        **{json.dumps({"version": 1, "choices": [OTHER | change]}): "choice 1 is not" for change in entries},
    }


def test_an_import_that_makes_no_sense_changes_nothing(show):
    page = show("#view=grid")
    page.locator(".cell").first.focus()
    page.keyboard.press("3")
    for content, reason in _nonsense().items():
        said = import_choices(page, content)
        assert said.startswith(f"Nothing was imported: {reason}")
        assert "\n" not in said
        assert texts(page, ".badge") == ["★ 3"]


def test_choices_without_storage_last_as_long_as_the_page(browser, grid_page):
    context = browser.new_context()
    context.add_init_script(
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });"
    )
    page = context.new_page()
    page.goto(grid_page.as_uri() + "#view=grid")
    page.locator(".cell").first.focus()
    page.keyboard.press("4")
    assert texts(page, ".badge") == ["★ 4"]
    page.click("#open-choices")
    assert page.is_visible("#not-kept")
    context.close()


def test_choices_by_touch_on_a_phone(show):
    page = show("#view=grid", viewport=PHONE)
    press(page.locator(".cell").first)
    press(page.get_by_role("button", name="Rate 4 of 5"))
    press(page.get_by_role("button", name="Reject"))
    assert texts(page, "#detail .said") == ["rated 4, rejected"]
    assert page.get_by_role("button", name="Rate 4 of 5").get_attribute("aria-pressed") == "true"
    press(page.get_by_role("button", name="Undo"))
    assert page.get_by_role("button", name="Reject").get_attribute("aria-pressed") == "false"
