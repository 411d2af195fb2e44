"""The gallery in browsers: one run in full, and several beside or over each other."""

from tests.support.gallery_page import asked_for, done_rows, run_ids, texts, wait_until
from tests.support.gallery_rows import CONFIG


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
    assert page.evaluate("typeof Plotly") == "undefined"
    assert not any("plotly" in url or "details" in url for url in asked_for(page))
    page.locator(".cell").first.click()
    page.wait_for_selector("#detail .main-svg")
    assert sum("plotly" in url for url in asked_for(page)) == 1


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
