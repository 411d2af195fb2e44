"""The gallery in browsers: cells coloured by a quantity, and the best of each group marked."""

import pytest

from tests.support.gallery_page import run_ids, shown_ids, texts, wait_until
from tests.support.gallery_rows import judged_rows

FIRST_OF_CELLS = "#f.content_weight=10000&f.seed=2"


def colors(page) -> dict[str, str]:
    """The colour under each picture, by run_id."""
    return dict(
        page.eval_on_selector_all(
            ".cell:has(.tone)",
            "cells => cells.map(cell => [cell, getComputedStyle(cell.querySelector('.tone'))])"
            ".map(([cell, style]) => [cell.dataset.run, style.backgroundColor])",
        )
    )


def luminance(color: str) -> float:
    red, green, blue = (int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(","))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_measure_colours_cells_and_its_number_and_range_are_written(show, judged_page):
    page = show("#view=grid&size=100", judged_page)
    assert colors(page) == {}
    assert page.is_hidden("#legend")
    page.select_option("#color", "measure_ssim")
    wait_until(page, "document.querySelectorAll('.cell .tone').length > 0")
    rows = {row["run_id"]: row for row in judged_rows()}
    shown = colors(page)
    assert shown.keys() == set(shown_ids(page))
    by_measure = sorted(shown, key=lambda run: rows[run]["measure_ssim"])
    light = [luminance(shown[run]) for run in by_measure]
    assert light == sorted(light), "more is lighter"
    measures = [row["measure_ssim"] for row in rows.values()]
    steps = {min(int(9 * (at - min(measures)) / (max(measures) - min(measures))), 8) for at in measures}
    assert len(set(light)) == len(steps) > 2
    cell = page.locator(f"[data-run='{by_measure[0]}']")
    assert cell.locator(".figure").inner_text() == f"{rows[by_measure[0]]['measure_ssim']:g}"
    assert f"structure of the content (SSIM) {rows[by_measure[0]]['measure_ssim']:g}" in cell.get_attribute(
        "aria-label"
    )
    assert page.inner_text("#legend").split("\n") == [
        "structure of the content (SSIM)",
        f"{min(measures):g}",
        f"{max(measures):g}",
        "light is better",
    ]


def test_filters_do_not_change_a_colour(show, judged_page):
    page = show("#view=grid&color=measure_style&size=100", judged_page)
    before = colors(page)
    page.goto(page.url + "&f.seed=2")
    after = colors(page)
    assert 0 < len(after) < len(before)
    assert after == {run: before[run] for run in after}


def test_a_parameter_over_decades_colours_by_its_logarithm(show, judged_page):
    page = show("#view=grid&size=100&color=content_weight", judged_page)
    assert page.inner_text("#legend").startswith("content weight, logarithmic")
    weights = {row["run_id"]: row["config"]["content_weight"] for row in judged_rows()}
    by_weight = {weights[run]: luminance(color) for run, color in colors(page).items()}
    assert by_weight[1e3] < by_weight[1e4] < by_weight[1e5]


def best_by(rows: list[dict], group, measure: str, sign: int) -> set[str]:
    groups: dict = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    return {min(group, key=lambda row: sign * row[measure])["run_id"] for group in groups.values()}


GROUPS = {
    "row": lambda row: row["content"],
    "column": lambda row: row["style"][0]["uri"],
    "pair": lambda row: (row["content"], row["style"][0]["uri"]),
}


@pytest.mark.parametrize(("measure", "sign"), [("measure_ssim", -1), ("measure_style", 1), ("loss_tv", 1)])
def test_the_best_of_each_row_column_or_pair_is_shown_and_marked(show, judged_page, measure, sign):
    page = show("", judged_page)
    page.select_option("#best", measure)
    wait_until(page, "document.querySelectorAll('.best-mark').length > 0")
    for of, group in GROUPS.items():
        page.select_option("#best-of", of)
        marked = page.eval_on_selector_all(".cell:has(.best-mark)", "cells => cells.map(cell => cell.dataset.run)")
        assert set(marked) == best_by(judged_rows(), group, measure, sign)
        assert len(marked) == {"row": 2, "column": 3, "pair": 6}[of]
    words = page.locator(".cell:has(.best-mark)").first.get_attribute("aria-label")
    assert ", best of each pair of content and style by " in words
    assert "best of each pair of content and style by" in page.inner_text("#legend")
    assert f"best={measure}&of=pair" in page.url


def test_a_group_of_one_run_has_no_best(show, judged_page):
    page = show(f"{FIRST_OF_CELLS}&best=measure_ssim&of=pair", judged_page)
    assert page.locator(".cell .thumb").count() == 6
    assert page.locator(".cell .best-mark").count() == 0


def test_a_parameter_marks_no_best(show, judged_page):
    page = show("#best=seed", judged_page)
    assert page.input_value("#best") == "none"
    assert "seed" not in page.eval_on_selector_all("#best option", "all => all.map(option => option.value)")


def test_colours_are_those_of_the_scatters_points_too(show, judged_page):
    page = show("#view=scatter&color=measure_style", judged_page)
    assert page.inner_text("#legend").startswith("distance to the style")
    found = page.evaluate(
        """() => {
          const canvas = document.querySelector("#plot .points");
          const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
          copy.drawImage(canvas, 0, 0);
          const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
          const seen = new Set();
          for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) seen.add(data.slice(at, at + 3).join());
          return [...seen];
        }"""
    )
    assert {"72,40,120", "253,231,37"} <= set(found), "the ends of the palette"


def test_help_lists_the_keys_and_gives_the_focus_back(show, judged_page):
    page = show("", judged_page)
    page.locator(".cell").first.focus()
    page.keyboard.press("?")
    assert page.is_visible("#help")
    assert "Scatter" in texts(page, "#help h3")
    assert "go along the Pareto front" in texts(page, "#help dd")
    page.keyboard.press("Escape")
    assert page.is_hidden("#help")
    assert page.evaluate("document.activeElement.dataset.run") == run_ids(judged_rows())[0]
    page.click("#open-help")
    page.keyboard.press("?")
    assert page.is_hidden("#help")
