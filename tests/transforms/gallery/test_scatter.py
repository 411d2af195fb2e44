"""The gallery in browsers: the scatter, its front, its rectangle, by pointer, keyboard and finger."""

import itertools

import pyarrow as pa
import pytest

from pipeline.pick import Criterion, Selection, pick
from tests.support.gallery_page import PHONE, browser_of, press, run_ids, shown_ids, texts, wait_until
from tests.support.gallery_rows import grid_rows, judged_rows, metrics_row, write_output


def front_of(rows: list[dict], x: str, y: str) -> set[str]:
    """The run_ids of a Pareto front as `stylebeam pick --front` finds them: an independent reference."""
    columns = ("run_id", "status", "content", x.partition(":")[0], y.partition(":")[0])
    table = pa.table({column: [row[column] for row in rows] for column in columns})
    criteria = [Criterion(column, better == "max") for column, _, better in (x.partition(":"), y.partition(":"))]
    return set(pick(table, Selection(front=(criteria[0], criteria[1])))["run_id"].to_pylist())


def focused_run(page) -> str | None:
    return page.get_attribute("#plot", "data-run")


RING = """() => {
  const canvas = document.querySelector("#plot .over");
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const { data, width } = copy.getImageData(0, 0, canvas.width, canvas.height);
  const focus = getComputedStyle(document.documentElement).getPropertyValue("--focus").match(/[0-9a-f]{2}/gi);
  const [red, green, blue] = focus.map((digits) => Number.parseInt(digits, 16));
  let [left, top, count] = [0, 0, 0];
  for (let at = 0; at < data.length; at += 4) {
    if (data[at] !== red || data[at + 1] !== green || data[at + 2] !== blue || data[at + 3] !== 255) continue;
    left += (at / 4) % width;
    top += Math.floor(at / 4 / width);
    count += 1;
  }
  const box = canvas.getBoundingClientRect();
  return [box.left + left / count / devicePixelRatio, box.top + top / count / devicePixelRatio];
}"""


def ring(page) -> tuple[float, float]:
    """Where the point lies, in the window, that keys or pointer are at: the middle of the ring around it."""
    left, top = page.evaluate(RING)
    return left, top


def place_of(page, run: str) -> tuple[float, float]:
    """Where a point of the front lies; keys go to it."""
    page.focus("#plot")
    for _ in range(40):
        page.keyboard.press("PageDown")
        if focused_run(page) == run:
            return ring(page)
    raise AssertionError(f"{run} is not on the front")


def test_content_kept_against_style_taken_comes_first(show, judged_page):
    page = show("#view=scatter", judged_page)
    assert texts(page, "#x-title") == ["structure of the content (SSIM), better →"]
    assert texts(page, "#y-title") == ["distance to the style, better ↓"]
    assert page.input_value("#x") == "measure_ssim"
    assert page.input_value("#y") == "measure_style"
    label = page.get_attribute("#plot", "aria-label")
    assert label.startswith("36 runs by structure of the content (SSIM) and distance to the style, ")


def test_losses_stand_in_for_measures_that_are_null(show):
    page = show("#view=scatter")
    assert texts(page, "#x-title") == ["content loss, better ←"]
    assert texts(page, "#y-title") == ["style loss, better ↓"]
    expected = front_of([row for row in grid_rows() if row["status"] == "done"], "loss_content:min", "loss_style:min")
    assert set(page.eval_on_selector_all("#front [data-run]", "all => all.map(n => n.dataset.run)")) == expected


@pytest.mark.parametrize(("x", "y"), [("measure_ssim:max", "measure_style:min"), ("loss_tv:min", "measure_ssim:max")])
def test_the_front_is_that_of_pick(show, judged_page, x, y):
    page = show("#view=scatter", judged_page)
    page.select_option("#x", x.partition(":")[0])
    page.select_option("#y", y.partition(":")[0])
    listed = page.eval_on_selector_all("#front [data-run]", "all => all.map(node => node.dataset.run)")
    assert len(listed) > 1
    assert set(listed) == front_of(judged_rows(), x, y)
    assert page.inner_text("#front-words").startswith(f"{len(listed)} runs than which no other is better")


def test_a_parameter_has_no_better_side_and_no_front(show, judged_page):
    page = show("#view=scatter&x=content_weight", judged_page)
    assert texts(page, "#x-title") == ["content weight, logarithmic"]
    assert page.locator("#front li").count() == 0
    assert page.inner_text("#front-words").startswith("A front needs two different numbers")


def test_seconds_are_a_number_too(show, tmp_path):
    rows = [metrics_row(number, seconds=10.0**number) for number in range(4)]
    page = show("#view=scatter&x=seconds", write_output(tmp_path, rows))
    assert texts(page, "#x-title") == ["seconds of computing, logarithmic, better ←"]
    assert page.get_attribute("#plot", "aria-label").startswith("4 runs by seconds of computing and ")


def test_keys_go_through_the_points_and_open_them(show, judged_page):
    page = show("#view=scatter", judged_page)
    rows = judged_rows()
    by_x = run_ids(sorted(rows, key=lambda row: (row["measure_ssim"], row["measure_style"])))
    by_y = run_ids(sorted(rows, key=lambda row: (row["measure_style"], row["measure_ssim"])))
    page.focus("#y")
    page.keyboard.press("Tab")
    while page.evaluate("document.activeElement.id") != "plot":
        page.keyboard.press("Tab")
    assert focused_run(page) == by_x[0]
    page.keyboard.press("ArrowRight")
    assert focused_run(page) == by_x[1]
    page.keyboard.press("End")
    assert focused_run(page) == by_x[-1]
    page.keyboard.press("ArrowDown")
    assert focused_run(page) == by_y[by_y.index(by_x[-1]) - 1]
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    best = max(rows, key=lambda row: (row["measure_ssim"], -row["measure_style"]))
    assert focused_run(page) == best["run_id"], "the front begins with the best by x"
    assert page.text_content("#point-status").endswith("on the front")
    assert f"(SSIM) {best['measure_ssim']:g}" in page.text_content("#point-status")
    assert page.get_attribute("#point-card img", "src").endswith(f"/thumbs/{best['run_id']}.webp")
    page.keyboard.press("Space")
    assert page.locator(".tray-picks li").count() == 1
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail[open]")
    assert page.url.endswith(f"run={best['run_id']}")
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    wait_until(page, f"document.activeElement.id === 'plot' && plot.dataset.run === '{best['run_id']}'")


def test_a_point_is_rated_by_key(show, judged_page):
    page = show("#view=scatter", judged_page)
    page.focus("#plot")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("4")
    assert page.inner_text("#said") == "rated 4"


def test_the_pointer_shows_a_thumbnail_and_opens_the_run(show, judged_page):
    page = show("#view=scatter", judged_page)
    run = page.get_attribute("#front [data-run]", "data-run")
    left, top = place_of(page, run)
    page.evaluate("document.activeElement.blur()")
    assert page.is_hidden("#point-card")
    page.mouse.move(left + 4, top + 3)
    assert page.is_visible("#point-card")
    assert page.get_attribute("#point-card img", "src").endswith(f"/thumbs/{run}.webp")
    wait_until(page, "document.querySelector('#point-card img').naturalWidth > 0")
    page.mouse.click(left + 4, top + 3)
    page.wait_for_selector("#detail[open]")
    assert page.url.endswith(f"run={run}")


def test_a_rectangle_drawn_over_points_filters_the_grid(show, judged_page):
    page = show("#view=scatter", judged_page)
    run = page.eval_on_selector_all("#front [data-run]", "all => all[1].dataset.run")
    left, top = place_of(page, run)
    page.mouse.move(left - 80, top - 60)
    page.mouse.down()
    page.mouse.move(left, top, steps=4)
    page.mouse.move(left + 30, top + 40, steps=4)
    page.mouse.up()
    low_x, high_x, low_y, high_y = (float(page.input_value(f"#{side}")) for side in SIDES)
    inside = [
        row["run_id"]
        for row in judged_rows()
        if low_x <= row["measure_ssim"] <= high_x and low_y <= row["measure_style"] <= high_y
    ]
    assert run in inside
    assert 1 < len(inside) < 36
    assert page.inner_text("#status") == f"{len(inside)} of 36 runs"
    page.click("#brush-grid")
    assert shown_ids(page) == inside
    page.click("#brush-filter")
    assert page.inner_text("#status") == "36 runs"
    assert "brush" not in page.url


SIDES = ("x-from", "x-to", "y-from", "y-to")


def test_a_rectangle_of_numbers_is_typed_kept_by_the_address_and_cleared(show, judged_page):
    page = show("#view=scatter", judged_page)
    for side, number, key in (("x-from", "0.6", "Enter"), ("y-to", "0.7", "Tab")):
        page.focus(f"#{side}")
        page.keyboard.type(number)
        page.keyboard.press(key)
    inside = [row["run_id"] for row in judged_rows() if row["measure_ssim"] >= 0.6 and row["measure_style"] <= 0.7]
    assert page.inner_text("#brush-grid") == f"Show {len(inside)} in the grid"
    again = show(page.url[page.url.index("#") :].replace("view=scatter", "view=grid"), judged_page)
    assert shown_ids(again) == inside
    page.focus("#plot")
    page.keyboard.press("Escape")
    assert page.inner_text("#status") == "36 runs"
    assert [page.input_value(f"#{side}") for side in SIDES] == [""] * 4


def test_a_finger_shows_a_picture_first_and_opens_it_when_it_comes_again(show, judged_page):
    page = show("#view=scatter", judged_page, viewport=PHONE)
    run = page.get_attribute("#front [data-run]", "data-run")
    left, top = place_of(page, run)
    if browser_of(page) == "firefox":
        pytest.skip("WebDriver BiDi has no finger in Firefox")
    page.evaluate("document.activeElement.blur()")
    assert page.is_hidden("#point-card")
    page.touchscreen.tap(left, top)
    assert page.is_visible("#point-card")
    assert not page.is_visible("#detail")
    page.touchscreen.tap(left, top)
    page.wait_for_selector("#detail[open]")


def test_the_front_list_opens_a_run_and_gets_the_focus_back(show, judged_page):
    page = show("#view=scatter", judged_page, viewport=PHONE)
    item = page.locator("#front [data-run]").nth(1)
    run = item.get_attribute("data-run")
    press(item)
    page.wait_for_selector("#detail[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    wait_until(page, f"document.activeElement.matches('#front [data-run=\"{run}\"]')")


def test_runs_without_both_numbers_are_counted_and_not_drawn(show, tmp_path):
    rows = [metrics_row(number, measure_ssim=0.1 * number if number % 3 else None) for number in range(9)]
    page = show("#view=scatter&y=loss_style", write_output(tmp_path, rows))
    assert page.get_attribute("#plot", "aria-label").startswith("6 runs by ")
    assert page.inner_text("#front-words").endswith(" 3 runs without both numbers not shown.")


def test_numbers_over_decades_lie_on_a_logarithmic_axis(show, tmp_path):
    rows = [metrics_row(number, loss_style=10.0**number) for number in range(4)]
    page = show("#view=scatter", write_output(tmp_path, rows))
    assert texts(page, "#y-title") == ["style loss, logarithmic, better ↓"]
    page.focus("#plot")
    page.keyboard.press("Home")
    tops = []
    for _ in rows:
        tops.append(ring(page)[1])
        page.keyboard.press("ArrowUp")
    steps = [before - after for before, after in itertools.pairwise(tops)]
    assert steps == pytest.approx([steps[0]] * 3, abs=1.5)
    assert steps[0] > 50


def test_of_many_points_the_nearest_is_found(show, tmp_path):
    rows = [
        metrics_row(n, loss_content=1.0 + n % 71, loss_style=1.0 + n // 71, content_thumb=None, style_thumbs=[None])
        for n in range(71 * 71)
    ]
    page = show("#view=scatter", write_output(tmp_path, rows, one_picture=True))
    box = page.locator("#plot .over").bounding_box()
    seen = set()
    for part in (0.3, 0.5, 0.7):
        left, top = box["x"] + part * box["width"], box["y"] + part * box["height"]
        page.mouse.move(left, top)
        seen.add(focused_run(page))
        assert ring(page) == pytest.approx((left, top), abs=8)
    assert len(seen) == 3
