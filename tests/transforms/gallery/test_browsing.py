"""The gallery in browsers: matrix, grid, filters, order, keys, address, failures."""

import pytest

from tests.support.gallery_page import done_rows, run_ids, shown_ids, texts, tick, wait_for_ids, wait_until
from tests.support.gallery_rows import failed_row, grid_rows, masked_rows, metrics_row, write_output


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


def test_order_by_any_loss(show):
    page = show("#view=grid&size=100")
    for loss in ("loss_total", "loss_content", "loss_style", "loss_tv"):
        page.select_option("#sort", loss)
        expected = sorted(done_rows(), key=lambda row: row[loss])
        wait_for_ids(page, run_ids(expected))
        page.click("#direction")
        wait_for_ids(page, run_ids(expected[::-1]))
        page.click("#direction")


def test_order_puts_the_best_of_each_cell_first(show):
    page = show("#sort=loss_style")
    best = min((row for row in done_rows()), key=lambda row: row["loss_style"])
    assert best["run_id"] in shown_ids(page)
    assert f"{best['loss_style']:g}" in texts(page, ".cell .caption")


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


def test_details_show_masks_initial_picture_and_notes(show, masked_page):
    rows = masked_rows()
    page = show(f"#run={rows[-1]['run_id']}", page_path=masked_page)
    page.wait_for_selector("dialog .main-svg")
    assert [text.split("\n") for text in texts(page, ".source figcaption")] == [
        ["content", "photos/town.jpg"],
        ["style × 1", "starry.jpg"],
        ["content mask", "masks/ground.png"],
        ["style × 0.5", "scream.jpg"],
        ["initial picture", "drafts/town.png"],
    ]
    assert page.locator(".source img").count() == 5
    assert rows[-1]["notes"][0] in page.inner_text(".facts")
