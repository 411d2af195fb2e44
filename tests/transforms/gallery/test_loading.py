"""What of a large gallery is loaded, and when: nothing that is not looked at."""

import json
import math
from pathlib import Path

import pytest

from tests.support.gallery_page import asked_for, choice, import_choices, run_ids, shown_ids, texts, wait_until
from tests.support.gallery_rows import failed_row, metrics_row, write_output


def chunks(page, *kinds: str) -> list[str]:
    """The chunks that were asked for, without their digests."""
    names = [url.rpartition("/")[2] for url in asked_for(page) if "/data/" in url]
    return sorted({name[:-12] for name in names if not kinds or name.partition("-")[0] in kinds})


@pytest.fixture(scope="session")
def parts_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 240 runs and 12 failures in nine parts."""
    rows = [
        metrics_row(
            n, f"c{n % 4}.jpg", f"s{n // 60}.jpg", measure_ssim=math.sin(n), content_thumb=None, style_thumbs=[]
        )
        for n in range(240)
    ]
    rows += [failed_row(240 + n, "ImageError", f"picture {n}") for n in range(12)]
    return write_output(tmp_path_factory.mktemp("parts"), rows, rows_per_part=30)


def test_the_flat_grid_loads_the_runs_in_sight_alone(show, parts_page):
    page = show("#view=grid&size=420", parts_page)
    assert page.inner_text("#status") == "240 runs"
    assert chunks(page) == ["runs-00000"]
    last = metrics_row(239, "c3.jpg", "s3.jpg")["run_id"]
    page.eval_on_selector("#sheet", "sheet => sheet.scrollTo(0, 1e6)")
    page.wait_for_selector(f".cell[data-run='{last}']")
    assert chunks(page) == ["runs-00000", "runs-00007"]
    page.locator(".cell[data-run]").last.click()
    page.wait_for_selector("#detail .main-svg")
    assert chunks(page, "numbers", "details") == ["details-00007-0000", "numbers-00007"]
    assert len(chunks(page, "runs")) == 8  # the open picture's sweeps may lead to any of them


def test_the_matrix_loads_all_runs_and_no_numbers(show, parts_page):
    page = show("", parts_page)
    assert page.inner_text("#status") == "240 runs"
    assert chunks(page) == [f"runs-{number:05d}" for number in range(8)]
    assert texts(page, ".row-head") == ["c0", "c1", "c2", "c3"]
    assert texts(page, ".cell .count") == ["15"] * 16
    page.select_option("#sort", "measure_ssim")
    wait_until(page, "document.querySelectorAll('.caption').length === 16")
    wait_until(page, "!document.getElementById('status').textContent.startsWith('loading')")
    assert chunks(page, "numbers") == [f"numbers-{number:05d}" for number in range(8)]
    assert chunks(page, "details", "failures") == []


def test_an_axis_change_loads_nothing(show, parts_page):
    page = show("", parts_page)
    before = len(asked_for(page))
    page.select_option("#cols", "none")
    page.select_option("#rows", "style")
    assert texts(page, ".row-head") == ["s0", "s1", "s2", "s3"]
    assert [url for url in asked_for(page)[before:] if not url.endswith(".webp")] == []


def test_a_run_of_the_address_is_found_in_any_part(show, parts_page):
    run = metrics_row(200, "c0.jpg", "s3.jpg")["run_id"]
    page = show(f"#view=grid&run={run}", parts_page)
    page.wait_for_selector("#detail .main-svg")
    assert page.inner_text("#detail .status") == "201 of 240"
    assert chunks(page, "details") == ["details-00006-0000"]
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    wait_until(page, "document.querySelector('#detail .status')?.textContent === '211 of 240'")


def test_failures_of_the_parts_in_sight_are_loaded(show, parts_page):
    page = show("", parts_page)
    page.get_by_role("button", name="Failed 12").click()
    page.wait_for_selector(".failure-list .message")
    assert texts(page, ".failure-list .message") == [f"picture {n}" for n in range(12)]
    assert chunks(page, "failures") == ["failures-00008-0000"]


def test_choices_of_runs_that_are_not_loaded_count(show, parts_page):
    page = show("#view=grid&size=420", parts_page)
    late = metrics_row(239, "c3.jpg", "s3.jpg")["run_id"]
    assert import_choices(page, json.dumps({"version": 1, "choices": [choice(late, 4)]})) == "1 choice imported."
    page.click("#open-choices")
    page.select_option("#chosen", "chosen")
    assert page.inner_text("#status") == "1 of 240 runs"
    wait_until(page, f"document.querySelector('.cell')?.dataset.run === '{late}'")


def test_order_by_numbers_of_both_signs_with_ties_and_gaps(show, tmp_path):
    values = [0.5, -1.0, None, 0.5, -0.25, 0.0, -0.0, 3e38, None, 1e-40]
    rows = [metrics_row(n, measure_ssim=value) for n, value in enumerate(values)]
    page = show("#view=grid&size=100&sort=measure_ssim", write_output(tmp_path, rows, rows_per_part=4))
    finite = [row for row in rows if row["measure_ssim"] is not None]
    missing = [row for row in rows if row["measure_ssim"] is None]
    assert shown_ids(page) == run_ids(sorted(finite, key=lambda row: row["measure_ssim"]) + missing)
    page.click("#direction")
    assert shown_ids(page) == run_ids(sorted(finite, key=lambda row: -row["measure_ssim"]) + missing)
