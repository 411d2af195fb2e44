"""The gallery in browsers: sliders through a sweep and through time, in open and compared pictures."""

from pathlib import Path

import pytest
from PIL import Image

from tests.support.gallery_page import done_rows, texts, wait_until
from tests.support.gallery_rows import grid_rows, metrics_row, write_output

FRAMES = [0, 30, 150]


@pytest.fixture(scope="module")
def filmed_page(tmp_path_factory) -> Path:
    """The page of two sweeps of three weights; each run has frames, the last of other iterations."""
    rows = [
        metrics_row(number, content, config={"content_weight": weight}, frames=FRAMES if number < 5 else [10, 200])
        for number, (content, weight) in enumerate((c, w) for c in ("a.jpg", "b.jpg") for w in (1e3, 1e4, 1e5))
    ]
    directory = tmp_path_factory.mktemp("filmed")
    for row in rows:
        for iteration in row["frames"]:
            path = directory / "frames" / row["run_id"] / f"{iteration}.webp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (iteration, 0, 0)).save(path)
    return write_output(directory, rows)


def parameters(row: dict) -> tuple:
    return row["content"], row["style"][0]["uri"], row["config"]["content_weight"], row["config"]["seed"]


def run_with(content: str, style: str, weight: float, seed: int) -> str:
    return next(r["run_id"] for r in done_rows() if parameters(r) == (content, style, weight, seed))


def source_name(page, selector: str) -> str:
    return page.get_attribute(selector, "src").removeprefix("../")


def test_arrow_keys_walk_through_a_sweep_in_an_open_picture(show):
    town = ("photos/town.jpg", "scream.jpg")
    page = show(f"#run={run_with(*town, 1e4, 2)}")
    assert texts(page, "#detail .slider label") == ["content weight", "seed"]
    slider = page.get_by_role("slider", name="content weight")
    assert slider.get_attribute("aria-valuetext") == "10000"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.url.endswith(f"run={run_with(*town, 1e5, 2)}")
    focused = "document.activeElement.getAttribute('aria-valuetext')"
    assert page.evaluate(focused) == "100000", "the slider keeps the focus, and says its value"
    page.keyboard.press("ArrowRight")
    assert page.url.endswith(f"run={run_with(*town, 1e5, 2)}"), "there is nothing beyond the last"
    page.keyboard.press("Home")
    assert page.url.endswith(f"run={run_with(*town, 1e3, 2)}")
    page.get_by_role("slider", name="seed").press("ArrowLeft")
    assert page.url.endswith(f"run={run_with(*town, 1e3, 1)}")
    assert page.evaluate("document.activeElement.dataset.slider") == "seed"
    assert source_name(page, "#detail .full") == f"images/{run_with(*town, 1e3, 1)}.png"


def test_keys_choose_while_a_slider_has_the_focus(show):
    page = show(f"#run={run_with('photos/town.jpg', 'scream.jpg', 1e4, 2)}")
    page.get_by_role("slider", name="content weight").press("ArrowRight")
    page.keyboard.press("4")
    assert texts(page, "#detail .said") == ["rated 4"]
    page.keyboard.press("ArrowLeft")
    assert page.locator("#detail .rating.lit").count() == 0
    page.keyboard.press("ArrowRight")
    assert page.locator("#detail .rating.lit").count() == 4


def test_neighbours_in_a_sweep_are_loaded_ahead(show):
    page = show()
    page.evaluate(
        """() => {
          window.loaded = [];
          const Own = window.Image;
          window.Image = function () {
            const image = new Own();
            queueMicrotask(() => loaded.push(image.getAttribute("src")));
            return image;
          };
        }"""
    )
    run = run_with("photos/river.jpg", "waves.jpg", 1e4, 1)
    page.evaluate(f"location.hash = 'run={run}'")
    page.wait_for_selector("#detail[open]")
    wait_until(page, "loaded.length > 0")
    ahead = {f"../images/{run_with('photos/river.jpg', 'waves.jpg', weight, 1)}.png" for weight in (1e3, 1e5)}
    assert ahead <= set(page.evaluate("loaded"))


def test_labels_do_not_keep_neighbours_apart(show, tmp_path):
    rows = [
        metrics_row(number, config={"tv_weight": float(number)}, extra=f'{{"part": "{number % 2}"}}')
        for number in range(3)
    ]
    page = show(f"#run={rows[0]['run_id']}", write_output(tmp_path, rows))
    assert page.get_attribute("#detail .slider input", "max") == "2"


def test_what_varies_together_has_no_slider(show, tmp_path):
    rows = [
        metrics_row(number, config={"tv_weight": float(number), "content_weight": 10.0**number}) for number in range(3)
    ]
    page = show(f"#run={rows[0]['run_id']}", write_output(tmp_path, rows))
    page.wait_for_selector("#detail[open]")
    assert page.locator("#detail .slider").count() == 0


def test_time_goes_through_the_frames_to_the_finished_picture(show, filmed_page):
    page = show("#view=grid", filmed_page)
    page.locator(".cell").nth(1).click()
    run = page.url.rpartition("=")[2]
    slider = page.get_by_role("slider", name="time")
    assert slider.get_attribute("aria-valuetext") == "finished"
    slider.focus()
    seen = []
    for key in ("ArrowLeft", "Home", "ArrowRight", "End"):
        page.keyboard.press(key)
        seen.append((source_name(page, "#detail .full"), slider.get_attribute("aria-valuetext")))
    assert seen == [
        (f"frames/{run}/150.webp", "iteration 150"),
        (f"frames/{run}/0.webp", "iteration 0"),
        (f"frames/{run}/30.webp", "iteration 30"),
        (f"images/{run}.png", "finished"),
    ]
    assert page.evaluate("document.activeElement.dataset.slider") == "time"
    page.keyboard.press("ArrowLeft")
    wait_until(page, "document.querySelector('#detail .full').naturalWidth > 0")
    assert not page.evaluate("document.querySelector('#detail .full').classList.contains('missing')")


def test_a_run_without_frames_has_no_time(show):
    page = show(f"#run={grid_rows()[0]['run_id']}")
    page.wait_for_selector("#detail .main-svg")
    assert page.get_by_role("slider", name="time").count() == 0


def test_compared_pictures_walk_together_in_what_they_share(show):
    picks = [run_with("photos/town.jpg", style, 1e4, 1) for style in ("starry.jpg", "waves.jpg")]
    page = show(f"#pick={','.join(picks)}&compare=1")
    assert texts(page, "#compare .slider label") == ["content weight", "seed"]
    page.get_by_role("button", name="Wipe").click()
    page.get_by_role("slider", name="content weight").press("ArrowLeft")
    after = [run_with("photos/town.jpg", style, 1e3, 1) for style in ("starry.jpg", "waves.jpg")]
    assert page.url.endswith(f"pick={','.join(after)}&compare=1")
    assert page.evaluate("document.activeElement.dataset.slider") == "content_weight"
    sources = page.eval_on_selector_all(".overlaid img", "images => images.map(image => image.getAttribute('src'))")
    assert sources == [f"../images/{run}.png" for run in after], "the pictures stay laid over each other"


def test_a_parameter_in_which_compared_pictures_differ_has_no_slider(show):
    picks = [run_with("photos/town.jpg", "starry.jpg", weight, 1) for weight in (1e3, 1e4)]
    page = show(f"#pick={','.join(picks)}&compare=1")
    assert texts(page, "#compare .slider label") == ["seed"]


def test_time_goes_through_all_compared_pictures_at_once(show, filmed_page):
    page = show("#view=grid", filmed_page)
    ids = page.eval_on_selector_all(".cell[data-run]", "cells => cells.map(cell => cell.dataset.run)")
    page.goto(filmed_page.as_uri() + f"#view=grid&pick={ids[0]},{ids[5]}&compare=1")
    page.reload()
    slider = page.get_by_role("slider", name="time")
    slider.press("Home")
    place = 0
    while slider.get_attribute("aria-valuetext") != "iteration 30":
        slider.press("ArrowRight")
        place += 1
    assert place == 2, "0, 10, 30, 150, 200, finished"
    expected = [f"../frames/{ids[0]}/30.webp", f"../frames/{ids[5]}/10.webp"]
    read = "images => images.map(image => image.getAttribute('src'))"
    assert page.eval_on_selector_all(".side-by-side img", read) == expected
    page.get_by_role("button", name="Blink").click()
    assert page.eval_on_selector_all(".overlaid img", read) == expected
