"""Times a gallery of 200,000 runs, opened from disk in headless Chromium: writing, loading, reacting, memory.

    python -m benchmarks.gallery_large [--runs 200000] [--repeats 5]

Needs playwright and Chromium (its path in STYLEBEAM_CHROMIUM, else /usr/bin/chromium). The gallery is made of metrics
files as a job leaves them. All runs share one thumbnail of 256 px, so that the figures measure the page and not its
pictures. The result goes to benchmarks/results/gallery_RUNS.json: medians of the repeats, the slowest of the axes, and
the worst peaks of memory.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.figures import RESULTS, run_measured
from benchmarks.gallery_rows import AXES, run_id, write_metrics
from benchmarks.provenance import Start

CHROMIUM = os.environ.get("STYLEBEAM_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
TIMEOUT_SECS = 120
# File systems bound the number of names that a file may have.
LINKS_PER_FILE = 30_000
WRITE = "import sys; from pipeline.cli.main import main; sys.exit(main(['gallery', sys.argv[1], '--dataset', 'none']))"

# Milliseconds since the navigation began; a picture counts when it has loaded.
WATCH_LOADING = """
document.addEventListener("load", (event) => {
  if (event.target.classList?.contains("thumb")) window.firstPicture ??= performance.now();
  if (event.target.src?.includes("/data/runs-")) window.lastRuns = performance.now();
}, true);
"""
ALL_SHOWN = "window.firstPicture && !document.getElementById('status').textContent.startsWith('loading')"
# Until the change is handled, until it is painted, and until the pictures in sight are decoded.
CHANGE_COLUMNS = """async (key) => {
  const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const start = performance.now();
  const select = document.getElementById("cols");
  select.value = key;
  select.dispatchEvent(new Event("change"));
  const times = [performance.now() - start];
  await painted();
  times.push(performance.now() - start);
  const inSight = [...document.querySelectorAll(".cell .thumb")].filter((image) => {
    const box = image.getBoundingClientRect();
    return box.top < innerHeight && box.left < innerWidth;
  });
  await Promise.all(inSight.map((image) => image.decode()));
  await painted();
  times.push(performance.now() - start);
  return times;
}"""
IN_SIGHT = """(() => {
  const box = document.querySelector(%s)?.getBoundingClientRect();
  return box && box.top >= 0 && Math.floor(box.bottom) <= innerHeight;
})()"""
SCROLL = """async () => {
  const sheet = document.getElementById("sheet");
  const frames = [];
  let before = performance.now();
  for (let step = 0; step < 120; step++) {
    sheet.scrollTop += 150;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    frames.push(now - before);
    before = now;
  }
  return frames;
}"""
ORDER = """async (key) => {
  const start = performance.now();
  const select = document.getElementById("sort");
  select.value = key;
  select.dispatchEvent(new Event("change"));
  while (document.getElementById("status").textContent.startsWith("loading")) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - start;
}"""

# Until all points are painted; what a move of the pointer takes; until a rectangle of half of them is painted.
SCATTER = """async () => {
  const painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  const points = () => Number.parseInt(document.getElementById("plot").ariaLabel.replaceAll(",", ""));
  let start = performance.now();
  document.querySelector("[data-view=scatter]").click();
  while (document.getElementById("status").textContent.startsWith("loading")) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await painted();
  const opened = performance.now() - start;
  const plot = document.getElementById("plot");
  const { left, top, width, height } = plot.getBoundingClientRect();
  const moves = [];
  for (let part = 0.1; part < 0.9; part += 0.01) {
    start = performance.now();
    const place = { clientX: left + part * width, clientY: top + (1 - part) * height, bubbles: true };
    plot.dispatchEvent(new PointerEvent("pointermove", place));
    moves.push(performance.now() - start);
  }
  start = performance.now();
  const field = document.getElementById("x-from");
  field.value = document.querySelector("#front .figure")?.textContent.match(/ (\\d[^, ]*),/)[1] ?? "0";
  field.dispatchEvent(new Event("change"));
  await painted();
  return [points(), opened, Math.max(...moves), performance.now() - start];
}"""


def write_output(directory: Path, count: int) -> dict[str, Any]:
    """Writes metrics, thumbnails and the gallery; returns the seconds, files, bytes and memory of the gallery."""
    write_metrics(directory, count)
    for folder in ("thumbs", "sources", "images"):
        (directory / folder).mkdir()
    picture = Image.linear_gradient("L").resize((256, 192)).convert("RGB")
    for number in range(count):
        if number % LINKS_PER_FILE == 0:
            source = directory / "sources" / f"{run_id(number)}.webp"
            picture.save(source)
        os.link(source, directory / "thumbs" / f"{run_id(number)}.webp")
    written = run_measured([sys.executable, "-c", WRITE, str(directory)])
    again = run_measured([sys.executable, "-c", WRITE, str(directory)])
    files = [path.stat().st_size for path in (directory / "gallery").rglob("*") if path.is_file()]
    return {
        "generation_secs": written.secs,
        "generation_again_secs": again.secs,
        "generation_peak_mb": written.peak_bytes >> 20,
        "files": len(files),
        "bytes_on_disk": sum(files),
        "page_bytes": (directory / "gallery" / "index.html").stat().st_size,
    }


class Tab:
    """A page of a browser of its own, with what it has asked for and how much memory it takes."""

    def __init__(self, browser: Browser) -> None:
        self.page: Page = browser.new_page(viewport={"width": 1440, "height": 900})
        self.peak_heap_mb = self.peak_tab_mb = 0.0
        self.requested: list[str] = []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self._page_session = self.page.context.new_cdp_session(self.page)
        self._browser_session = browser.new_browser_cdp_session()
        self._page_session.send("Performance.enable")

    def note_memory(self) -> None:
        """Takes the memory of the moment: of JavaScript, and of the renderer's whole process (PSS)."""
        metrics = {
            metric["name"]: metric["value"] for metric in self._page_session.send("Performance.getMetrics")["metrics"]
        }
        self.peak_heap_mb = max(self.peak_heap_mb, metrics["JSHeapUsedSize"] / 2**20)
        processes = self._browser_session.send("SystemInfo.getProcessInfo")["processInfo"]
        renderers = [process["id"] for process in processes if process["type"] == "renderer"]
        self.peak_tab_mb = max(self.peak_tab_mb, *(pss_mb(process) for process in renderers))

    def count(self, kind: str) -> int:
        """Returns how many files of a kind were asked for."""
        return len({url for url in self.requested if f"/data/{kind}-" in url})


def pss_mb(process: int) -> float:
    """Returns the proportional set size of a process: its own memory, and its share of what it shares. Linux."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    (kilobytes,) = re.findall(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE)
    return int(kilobytes) / 1024


def measure(open_browser: Callable[[], Any], page_path: Path) -> dict[str, Any]:
    """Opens the gallery in a new browser, uses it and returns the figures."""
    with contextlib.closing(open_browser()) as browser:
        tab = Tab(browser)
        figures = {
            **_open(tab, page_path),
            **_change_axes(tab),
            **_order(tab),
            **_scroll(tab),
            **_scatter(tab),
            **_open_run(tab),
        }
        return {**figures, "js_heap_peak_mb": tab.peak_heap_mb, "tab_peak_mb": tab.peak_tab_mb}


def measure_grid(open_browser: Callable[[], Any], page_path: Path, last_run_id: str) -> dict[str, Any]:
    """Opens the flat grid in a new browser, with the largest pictures, and goes to its end."""
    with contextlib.closing(open_browser()) as browser:
        tab = Tab(browser)
        tab.page.add_init_script(WATCH_LOADING)
        tab.page.goto(page_path.as_uri() + "#view=grid&size=420")
        wait_until(tab.page, ALL_SHOWN)
        first, chunks = tab.page.evaluate("firstPicture"), tab.count("runs")
        tab.page.eval_on_selector("#sheet", "sheet => sheet.scrollTo(0, sheet.scrollHeight)")
        wait_until(tab.page, IN_SIGHT % json.dumps(f"[data-run='{last_run_id}']"))
        tab.note_memory()
        return {
            "grid_first_picture_ms": first,
            "grid_chunks": chunks,
            "grid_chunks_with_its_end": tab.count("runs"),
            "grid_tab_mb": tab.peak_tab_mb,
        }


def _open(tab: Tab, page_path: Path) -> dict[str, Any]:
    tab.page.add_init_script(WATCH_LOADING)
    tab.page.goto(page_path.as_uri() + "#size=120")
    wait_until(tab.page, ALL_SHOWN)
    tab.note_memory()
    first_picture, all_runs = tab.page.evaluate("[firstPicture, lastRuns]")
    chunks = {f"{kind}_chunks_at_start": tab.count(kind) for kind in ("runs", "numbers", "details", "failures")}
    return {"first_picture_ms": first_picture, "all_runs_ms": all_runs, **chunks, **bytes_loaded(tab.requested)}


def _change_axes(tab: Tab) -> dict[str, Any]:
    times = {}
    for key in (*AXES[2:], AXES[1]):
        times[key] = tab.page.evaluate(CHANGE_COLUMNS, key)
        tab.note_memory()
    return {
        f"axis_change_{name}_ms": max(time[number] for time in times.values())
        for number, name in enumerate(("handled", "painted", "pictures"))
    }


def _order(tab: Tab) -> dict[str, Any]:
    first = tab.page.evaluate(ORDER, "loss_style")
    tab.note_memory()
    times = tab.page.evaluate(CHANGE_COLUMNS, "seed")
    tab.page.evaluate(ORDER, "order")
    return {"order_first_ms": first, "axis_change_ordered_painted_ms": times[1]}


def _scroll(tab: Tab) -> dict[str, Any]:
    tab.page.click("[data-view=grid]")
    frames = sorted(tab.page.evaluate(SCROLL))
    tab.note_memory()
    return {"scroll_median_frame_ms": frames[len(frames) // 2], "scroll_p95_frame_ms": frames[len(frames) * 95 // 100]}


def _scatter(tab: Tab) -> dict[str, Any]:
    points, opened, move, brushed = tab.page.evaluate(SCATTER)
    tab.note_memory()
    tab.page.click("#clear-filters")
    tab.page.click("[data-view=grid]")
    return {
        "scatter_points": points,
        "scatter_opened_ms": opened,
        "scatter_slowest_move_ms": move,
        "scatter_rectangle_ms": brushed,
    }


def _open_run(tab: Tab) -> dict[str, Any]:
    start = time.perf_counter()
    tab.page.locator(".cell[data-run]").first.click()
    tab.page.wait_for_selector("#detail .main-svg", timeout=1000 * TIMEOUT_SECS)
    tab.note_memory()
    return {"run_opened_ms": 1000 * (time.perf_counter() - start), "details_chunks_of_a_run": tab.count("details")}


def wait_until(page: Page, expression: str) -> None:
    """Waits until a JavaScript expression is true in the page."""
    deadline = time.monotonic() + TIMEOUT_SECS
    while not page.evaluate(expression):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true after {TIMEOUT_SECS} s: {expression}")
        page.wait_for_timeout(20)


def bytes_loaded(urls: list[str]) -> dict[str, int]:
    """Returns the sizes of the requested files, pictures left out."""
    paths = [Path(unquote(urlsplit(url).path)) for url in dict.fromkeys(urls)]
    pictures = [path for path in paths if path.suffix == ".webp"]
    page = [path for path in paths if path.suffix != ".webp"]
    return {
        "requests_at_start": len(paths),
        "page_and_data_files": len(page),
        "page_and_data_bytes": sum(path.stat().st_size for path in page),
        "thumbnails": len(pictures),
    }


@contextlib.contextmanager
def gallery_of(count: int) -> Iterator[tuple[Path, dict[str, Any]]]:
    """An output directory with its gallery, and the figures of its writing; it is deleted afterwards."""
    directory = Path(tempfile.mkdtemp())
    try:
        yield directory / "gallery" / "index.html", write_output(directory, count)
    finally:
        shutil.rmtree(directory)


def summarised(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the median of each figure; of peaks the worst."""
    return {
        key: (max if key.endswith("peak_mb") else statistics.median)([one[key] for one in measured])
        for key in measured[0]
    }


def main() -> None:
    """Generates the gallery, measures it several times, and writes and prints the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    began = Start()
    with gallery_of(arguments.runs) as (page_path, generated), sync_playwright() as playwright:

        def open_browser() -> Browser:
            return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

        repeats = range(arguments.repeats)
        measured = summarised([measure(open_browser, page_path) for _ in repeats])
        last = run_id(arguments.runs - 1)
        grid = summarised([measure_grid(open_browser, page_path, last) for _ in repeats])
    figures = {key: round(value, 1) for key, value in {**generated, **measured, **grid}.items()}
    result = {"runs": arguments.runs, "repeats": arguments.repeats, **figures, "provenance": began.provenance()}
    text = json.dumps(result, indent=1)
    (RESULTS / f"gallery_{arguments.runs}.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
