"""The gallery in a browser: headless Chromium, the page opened from disk."""

import importlib.util
import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gallery_rows import CONFIG, failed_row, grid_rows, metrics_row, write_output

CHROMIUM = os.environ.get("STYLEBEAM_CHROMIUM", "/usr/bin/chromium")
CHROMIUM_FLAGS = [
    "--no-sandbox",  # Chromium refuses to sandbox for root, which is who runs tests in containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OWN = ("data:", "blob:")  # what the page itself holds: no request
TIMEOUT_SECS = 20  # on a machine that is busy with other tests, Plotly takes its time
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def _missing() -> str | None:
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    return None if Path(CHROMIUM).exists() else f"there is no Chromium at {CHROMIUM} (set STYLEBEAM_CHROMIUM)"


if MISSING := _missing():
    warnings.warn(f"THE GALLERY'S BROWSER TESTS DID NOT RUN: {MISSING}", stacklevel=1)
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"browser tests did not run: {MISSING}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


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


def wait_until(page, expression: str) -> None:
    """Waits for a truth in the page; Playwright's own wait_for_function needs eval, which the page forbids."""
    deadline = time.monotonic() + TIMEOUT_SECS
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(20)


def texts(page, selector: str) -> list[str]:
    return page.locator(selector).all_inner_texts()


def tick(page, label: str) -> None:
    """Lets a value through in the filter that is open."""
    page.get_by_role("checkbox", name=label, exact=True).check()


def shown_ids(page) -> list[str]:
    return page.eval_on_selector_all(".cell[data-run]", "cells => cells.map(cell => cell.dataset.run)")


def run_ids(rows: list[dict]) -> list[str]:
    return [row["run_id"] for row in rows]


def done_rows() -> list[dict]:
    return [row for row in grid_rows() if row["status"] == "done"]


def test_matrix_puts_any_two_dimensions_on_its_axes(show):
    page = show()
    assert texts(page, ".row-head") == ["town", "river"]
    assert texts(page, ".column-head") == ["starry", "scream", "waves"]
    assert page.locator(".cell .thumb").count() == 6
    assert texts(page, ".cell .count") == ["6"] * 6
    assert texts(page, "#rows option") == ["content", "style", "content weight", "seed", "nothing"]
    page.select_option("#cols", "content_weight")
    page.select_option("#rows", "seed")
    assert texts(page, ".column-head") == ["1000", "10000", "100000"]
    assert texts(page, ".row-head") == ["1", "2"]
    page.select_option("#cols", "seed")
    assert texts(page, ".row-head") == ["1000", "10000", "100000"], "an axis that is in use changes places"


def test_pictures_are_those_of_the_cells(show):
    page = show("#rows=content&cols=style&f.content_weight=10000&f.seed=2")
    expected = [row for row in done_rows() if row["config"]["content_weight"] == 1e4 and row["config"]["seed"] == 2]
    assert shown_ids(page) == run_ids(expected)
    wait_until(page, "[...document.querySelectorAll('.thumb')].every(image => image.naturalWidth > 0)")


def test_filters_leave_what_passes_all_of_them(show):
    page = show("#view=grid")
    page.click("[data-filter=style]")
    tick(page, "scream")
    tick(page, "waves")
    page.keyboard.press("Escape")
    assert page.inner_text("#status") == "24 of 36 runs"
    page.click("[data-filter=seed]")
    tick(page, "2")
    assert page.inner_text("#status") == "12 of 36 runs"
    expected = [row for row in done_rows() if row["style"][0]["uri"] != "starry.jpg" and row["config"]["seed"] == 2]
    assert shown_ids(page) == run_ids(expected)
    page.keyboard.press("Escape")
    page.click("#clear-filters")
    assert page.inner_text("#status") == "36 runs"


def test_filters_that_nothing_passes_say_so(show, tmp_path):
    rows = [metrics_row(0, "a.jpg", "s.jpg"), metrics_row(1, "b.jpg", "t.jpg")]
    page = show("#f.content=a&f.style=t", write_output(tmp_path, rows))
    assert page.inner_text("#notice") == "No run passes these filters."


@pytest.mark.parametrize("loss", ["loss_total", "loss_content", "loss_style", "loss_tv"])
def test_order_by_any_loss(show, loss):
    page = show("#view=grid&size=100")
    page.select_option("#sort", loss)
    expected = sorted(done_rows(), key=lambda row: row[loss])
    assert shown_ids(page) == run_ids(expected)
    page.click("#direction")
    assert shown_ids(page) == run_ids(expected[::-1])


def test_order_puts_the_best_of_each_cell_first(show):
    page = show("#sort=loss_style")
    best = min((row for row in done_rows()), key=lambda row: row["loss_style"])
    assert best["run_id"] in shown_ids(page)
    assert f"{best['loss_style']:g}" in texts(page, ".cell .caption")


def test_detail_shows_picture_sources_parameters_and_curves(show):
    page = show("#view=grid")
    row = done_rows()[8]
    page.click(f"[data-run='{row['run_id']}']")
    page.wait_for_selector("#detail .main-svg")
    assert page.eval_on_selector("#detail .full", "image => image.decode().then(() => image.naturalWidth)") == 40
    assert texts(page, "#detail .uri") == ["photos/town.jpg", "scream.jpg"]
    wait_until(page, "[...document.querySelectorAll('.source-thumb')].every(image => image.naturalWidth > 0)")
    section = "#detail section:has(h3:text-is('Parameters'))"
    parameters = dict(zip(texts(page, f"{section} dt"), texts(page, f"{section} dd"), strict=True))
    assert parameters.keys() == CONFIG.keys()
    assert parameters["content_weight"] == "10000"
    assert parameters["style_layers"] == "block1_conv1 0.5\nblock2_conv1 0.5"
    assert [float(text) for text in texts(page, ".losses dd")[1:]] == [
        row["loss_content"],
        row["loss_style"],
        row["loss_tv"],
    ]
    assert page.locator("#detail .scatterlayer .trace").count() == 4
    assert page.evaluate("document.querySelector('#detail .chart').layout.yaxis.type") == "log"


def test_detail_goes_to_the_neighbours_and_gives_the_focus_back(show):
    page = show("#view=grid&size=160")
    ids = run_ids(done_rows())
    page.click(f"[data-run='{ids[0]}']")
    assert page.inner_text("#detail .status") == "1 of 36"
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("ArrowRight", 2)):
        page.keyboard.press(key)
        assert page.url.endswith(f"run={ids[place]}")
    page.get_by_role("button", name="Next picture").click()
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    wait_until(page, f"document.activeElement.dataset.run === '{ids[3]}'")
    assert "run=" not in page.url


def test_detail_goes_through_the_runs_of_a_cell(show):
    page = show()
    page.locator(".cell").nth(1).click()
    assert page.inner_text("#detail .status") == "7 of 36"


def test_charts_are_loaded_when_the_first_is_shown(show):
    page = show()
    assert not any("plotly" in url or "details" in url for url in page.requested)
    page.locator(".cell").first.click()
    page.wait_for_selector("#detail .main-svg")
    assert sum("plotly" in url for url in page.requested) == 1


def test_compare_shows_pictures_differences_and_curves_together(show):
    page = show("#view=grid")
    ids = run_ids(done_rows())
    page.locator(".cell").first.focus()
    for number in range(3):
        page.keyboard.press("Space")
        assert page.locator(".tray-picks li").count() == number + 1
        page.keyboard.press("ArrowRight")
    page.click("#open-compare")
    page.wait_for_selector("#compare .main-svg")
    assert page.url.endswith(f"pick={','.join(ids[:3])}&compare=1")
    assert page.locator("#compare .side-by-side img").count() == 3
    assert page.locator("#compare .scatterlayer .trace").count() == 12
    assert texts(page, "#compare tbody th") == [
        "content weight",
        "seed",
        "total loss",
        "content loss",
        "style loss",
        "total variation loss",
    ]
    page.get_by_role("button", name="Remove C from the comparison").click()
    wait_until(page, "document.querySelectorAll('#compare .scatterlayer .trace').length === 8")
    page.keyboard.press("Escape")
    page.wait_for_selector("#compare", state="hidden")
    assert page.locator(".cell[aria-selected=true]").count() == 2


def visible_share(page) -> str:
    """Where the line of a wipe lies: what is cut off the left of the second picture."""
    return page.eval_on_selector(".overlaid img + img", "image => getComputedStyle(image).clipPath")


def test_two_pictures_are_wiped_with_keys_and_pointer(show):
    page = show("#pick={},{},{}&compare=1".format(*run_ids(done_rows())))
    page.get_by_role("button", name="Wipe").press("Enter")
    assert not page.is_visible(".side-by-side")
    slider = page.get_by_role("slider", name="Line between A and B, percent from the left")
    assert visible_share(page) == "inset(0px 0px 0px 50%)"
    slider.press("ArrowRight")
    assert visible_share(page) == "inset(0px 0px 0px 51%)"
    box = page.locator(".overlaid").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + 40)
    assert visible_share(page) == "inset(0px 0px 0px 25%)"
    page.get_by_label("Second picture").select_option("C")
    sources = page.eval_on_selector_all(".overlaid img", "images => images.map(image => image.src)")
    first, _, third = run_ids(done_rows())[:3]
    assert [source.rpartition("/")[2] for source in sources] == [f"{first}.png", f"{third}.png"]
    page.get_by_role("button", name="Side by side").click()
    assert page.is_visible(".side-by-side")
    assert page.locator(".overlaid").count() == 0


def test_two_pictures_blink_when_asked_and_not_before(show):
    page = show("#pick={},{}&compare=1".format(*run_ids(done_rows())))
    page.get_by_role("button", name="Blink").press("Enter")
    assert page.inner_text(".shown") == "A"
    assert not page.is_visible(".overlaid img + img")
    page.get_by_role("button", name="Show the other").press("Enter")
    assert page.inner_text(".shown") == "B"
    assert page.is_visible(".overlaid img + img")
    page.get_by_label("every second").check()
    wait_until(page, "document.querySelector('.shown').textContent === 'A'")
    wait_until(page, "document.querySelector('.shown').textContent === 'B'")


def test_keyboard_alone_reaches_and_moves_through_the_matrix(show):
    page = show()
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.cell')"):
            break
    places = []
    for key in ("ArrowRight", "ArrowDown", "End", "ArrowRight", "Home", "Control+Home", "Control+End"):
        page.keyboard.press(key)
        places.append(tuple(page.evaluate("Object.values(document.activeElement.place)")))
    assert places == [(0, 1), (1, 1), (1, 2), (1, 2), (1, 0), (0, 0), (1, 2)]
    assert page.locator(".cell[tabindex='0']").count() == 1
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail[open]")


def test_the_address_is_the_view(show):
    page = show()
    page.select_option("#rows", "seed")
    page.select_option("#cols", "content_weight")
    page.select_option("#sort", "loss_tv")
    page.click("#direction")
    page.click("[data-filter=style]")
    tick(page, "waves")
    page.keyboard.press("Escape")
    page.locator(".pick").nth(2).click(force=True)
    page.locator(".cell").nth(4).click()
    page.wait_for_selector("#detail[open]")
    before = (shown_ids(page), texts(page, ".column-head"), page.inner_text("#status"), page.inner_text("h2"))
    again = show(page.url[page.url.index("#") :])
    again.wait_for_selector("#detail[open]")
    assert (
        shown_ids(again),
        texts(again, ".column-head"),
        again.inner_text("#status"),
        again.inner_text("h2"),
    ) == before
    assert again.url == page.url
    assert again.locator(".tray-picks li").count() == 1
    page.go_back()
    page.wait_for_selector("#detail", state="hidden")
    assert "run=" not in page.url


def test_addresses_change_no_faster_than_browsers_allow(show):
    page = show("#view=grid")
    page.evaluate(
        """() => {
          window.written = 0;
          const replace = history.replaceState;
          history.replaceState = (...to) => { written++; replace.apply(history, to); };
        }"""
    )
    milliseconds = page.eval_on_selector(
        "#size",
        """range => {
          const start = performance.now();
          for (range.value = 100; range.value < 400; range.stepUp()) range.dispatchEvent(new Event("input"));
          return performance.now() - start;
        }""",
    )
    assert page.evaluate("written") <= 21 + milliseconds / 150
    wait_until(page, "location.hash === '#view=grid&size=396'")


def test_size_is_changed_by_keys(show):
    page = show("#view=grid")
    page.focus("#size")
    before = page.locator(".cell").first.bounding_box()["width"]
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    assert page.locator(".cell").first.bounding_box()["width"] < before - 40


def test_chunks_that_are_missing_are_named(browser, tmp_path):
    path = write_output(tmp_path, grid_rows())
    for chunk in (path.parent / "data").glob("runs-*"):
        chunk.unlink()
    page = browser.new_page()
    page.goto(path.as_uri())
    wait_until(page, "document.getElementById('status').textContent.includes('runs-00000')")
    assert "could not be read" in page.inner_text("#status")
    page.close()


@pytest.mark.parametrize(
    "hash_", ["#rows=nothing&cols=%E0%A4%A&f.seed=9&f.x=1&view=x&run=x&pick=x,y&size=-1&compare=1", "#&&=,,"]
)
def test_an_address_that_makes_no_sense_is_the_first_view(show, hash_):
    page = show(hash_)
    assert texts(page, ".column-head") == ["starry", "scream", "waves"]
    assert page.locator("dialog[open]").count() == 0


def test_failed_rows_are_listed_with_their_reasons(show):
    page = show()
    page.get_by_role("button", name="Failed 3").click()
    assert texts(page, ".failure-list .message") == [
        "gone.jpg does not exist",
        "not a picture",
        "the total loss is not finite",
    ]
    page.get_by_role("button", name="Diverged 1").click()
    assert texts(page, ".failure-list .message") == ["the total loss is not finite"]
    assert "row 38" in page.inner_text(".failure-list")


def exported(page) -> dict:
    """What the page exports as choices.json."""
    page.click("#open-choices")
    with page.expect_download() as download:
        page.click("#export")
    page.keyboard.press("Escape")
    assert download.value.suggested_filename == "choices.json"
    return json.loads(Path(download.value.path()).read_text())


def choice(run_id: str, rating: int | None = None, tags: tuple[str, ...] = (), rejected: bool = False) -> dict:
    return {"run_id": run_id, "rating": rating, "tags": list(tags), "rejected": rejected}


def import_choices(page, content: str) -> str:
    """Imports a file; returns what the page says."""
    page.eval_on_selector("#said", "node => node.replaceChildren()")
    file = {"name": "choices.json", "mimeType": "application/json", "buffer": content.encode()}
    page.set_input_files("#import-file", file)
    wait_until(page, "document.getElementById('said').textContent !== ''")
    return page.inner_text("#said")


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


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            json.dumps({"version": 1, "choices": [OTHER]}),
            "this gallery lacks 1 of the 1 run that the file names, such as 0123456789abcdef",
        ),
        (json.dumps({"version": 2, "choices": []}), "this is not a choices.json of version 1"),
        ("no JSON", "this is not a choices.json of version 1"),
        ("[]", "this is not a choices.json of version 1"),
        (json.dumps({"version": 1, "choices": [OTHER, OTHER]}), "run 0123456789abcdef is named twice"),
        *(
            (json.dumps({"version": 1, "choices": [OTHER | change]}), "choice 1 is not")
            for change in ({"rating": 6}, {"rating": "5"}, {"tags": "sky"}, {"tags": [1]}, {"rejected": 0})
        ),
    ],
)
def test_an_import_that_makes_no_sense_changes_nothing(show, content, reason):
    page = show("#view=grid")
    page.locator(".cell").first.focus()
    page.keyboard.press("3")
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
    page.locator(".cell").first.tap()
    page.get_by_role("button", name="Rate 4 of 5").tap()
    page.get_by_role("button", name="Reject").tap()
    assert texts(page, "#detail .said") == ["rated 4, rejected"]
    assert page.get_by_role("button", name="Rate 4 of 5").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Undo").tap()
    assert page.get_by_role("button", name="Reject").get_attribute("aria-pressed") == "false"


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


def test_foreign_text_is_shown_as_text(show, tmp_path):
    hostile = [
        "<b>bold</b><script>hacked = 1</script>",
        "\"q\" 'q' `${q}` &amp;",
        "\u202eright\u202c \u2028 left",
        "y" * 10_000,
    ]
    rows = [
        metrics_row(number, text, text[::-1], config={"weights": text}, extra=f'{{"<i>label</i>": {number}}}')
        for number, text in enumerate(hostile)
    ]
    rows += [failed_row(9 + number, text, text) for number, text in enumerate(hostile)]
    path = write_output(tmp_path, rows, title=hostile[0])
    page = show("#rows=weights&cols=extra.%3Ci%3Elabel%3C%2Fi%3E", path)
    assert page.text_content("h1") == page.title() == hostile[0]
    assert page.locator(".row-head bdi").all_text_contents() == hostile
    page.locator(".cell[data-run]").first.click()
    page.wait_for_selector("#detail .main-svg")
    assert page.locator("#detail .uri").all_text_contents() == [hostile[0], hostile[0][::-1]]
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Failed 4").click()
    page.wait_for_selector(".failure-list .message")
    assert page.locator(".failure-list .message").all_text_contents()[:3] == hostile[:3]
    page.locator(".failure-list summary").click()
    assert len(page.locator(".failure-list .message").last.text_content().replace(" …", "")) == 10_000
    assert page.locator("b, i, body script:not([type]) ~ script").count() == 0
    assert page.evaluate("typeof hacked") == "undefined"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_of_many_runs_only_those_in_sight_exist(show, tmp_path):
    rows = [
        metrics_row(n, f"c{n % 60}.jpg", f"s{n // 60}.jpg", content_thumb=None, style_thumbs=[None])
        for n in range(2400)
    ]
    page = show("#size=120", write_output(tmp_path, rows))
    assert page.inner_text("#status") == "2,400 runs"
    assert page.locator(".cell").count() < 250
    page.eval_on_selector("#sheet", "sheet => sheet.scrollTo(1e6, 1e6)")
    last = rows[-1]["run_id"]
    wait_until(page, f"document.querySelector(\"[data-run='{last}'] img\")?.naturalWidth > 0")
    assert page.locator(".cell").count() < 250
    page.locator(f"[data-run='{last}']").click()
    page.wait_for_selector("#detail .main-svg")
    assert page.inner_text("#detail .status") == "2,400 of 2,400"


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
