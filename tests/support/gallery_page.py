"""What the tests of the gallery's page do with it: waiting, reading, ticking."""

import time
from pathlib import Path

from tests.support.gallery_rows import grid_rows

TIMEOUT_SECS = 20  # on a machine that is busy with other tests, Plotly takes its time
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


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


def wait_for_ids(page, ids: list[str]) -> None:
    """Waits until these runs are shown in this order: what a new order needs may be loaded first."""
    deadline = time.monotonic() + TIMEOUT_SECS
    while (shown := shown_ids(page)) != ids:
        assert time.monotonic() < deadline, shown
        page.wait_for_timeout(20)


def run_ids(rows: list[dict]) -> list[str]:
    return [row["run_id"] for row in rows]


def done_rows() -> list[dict]:
    return [row for row in grid_rows() if row["status"] == "done"]


def browser_of(page) -> str:
    """chromium or firefox."""
    return page.context.browser.browser_type.name


# Firefox tells of no request for a file: the page itself notes the scripts that it loads.
NOTE_SCRIPTS = """
window.scripts = [];
new MutationObserver((records) => {
  for (const node of records.flatMap((record) => [...record.addedNodes])) if (node.src) scripts.push(node.src);
}).observe(document, { childList: true, subtree: true });
"""


def asked_for(page) -> list[str]:
    """The addresses that were asked for since the page was opened; of Firefox those of scripts."""
    return page.requested if browser_of(page) == "chromium" else page.evaluate("scripts")


def press(place) -> None:
    """Presses with a finger; Firefox, which has none under WebDriver BiDi, with the pointer."""
    if browser_of(place.page) == "chromium":
        place.tap()
    else:
        place.click()


def downloaded(page, selector: str, name: str) -> str:
    """The text of the file that a press on an element saves under a name."""
    if browser_of(page) == "chromium":
        with page.expect_download() as download:
            page.click(selector)
        assert download.value.suggested_filename == name
        return Path(download.value.path()).read_text()
    path = page.downloads / name
    page.click(selector)
    deadline = time.monotonic() + TIMEOUT_SECS
    while not (path.exists() and path.stat().st_size):
        assert time.monotonic() < deadline, f"{name} was not saved"
        page.wait_for_timeout(20)
    text = path.read_text()
    path.unlink()
    return text


def choice(run_id: str, rating: int | None = None, tags: tuple[str, ...] = (), rejected: bool = False) -> dict:
    return {"run_id": run_id, "rating": rating, "tags": list(tags), "rejected": rejected}


def import_choices(page, content: str) -> str:
    """Imports a file; returns what the page says."""
    page.eval_on_selector("#said", "node => node.replaceChildren()")
    file = {"name": "choices.json", "mimeType": "application/json", "buffer": content.encode()}
    page.set_input_files("#import-file", file)
    wait_until(page, "document.getElementById('said').textContent !== ''")
    return page.inner_text("#said")
