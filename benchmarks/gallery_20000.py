"""Times a gallery of 20,000 runs, opened from disk in headless Chromium: loading, reacting, scrolling; prints JSON.

    python -m benchmarks.gallery_20000 [--runs 20000]

Needs playwright and Chromium (its path in STYLEBEAM_CHROMIUM, else /usr/bin/chromium). All runs share one
thumbnail of 256 px, so that the figures measure the page and not its pictures.
"""

import argparse
import itertools
import json
import math
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from transforms.gallery.files import gallery_files

CHROMIUM = os.environ.get("STYLEBEAM_CHROMIUM", "/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
CONTENTS, STYLES, CONTENT_WEIGHTS, TV_WEIGHTS = 10, 20, 5, 4
REPEATS = 5

# Milliseconds since the navigation began; a picture counts when it has loaded.
WATCH_LOADING = """
document.addEventListener("load", (event) => {
  if (event.target.classList.contains("thumb")) window.firstPicture ??= performance.now();
  if (event.target.src?.includes("/data/runs-")) window.lastRuns = performance.now();
}, true);
"""
ALL_SHOWN = "window.firstPicture && !document.getElementById('status').textContent.startsWith('loading')"
TIMEOUT_SECS = 60
CHANGE_COLUMNS = """async (key) => {
  const start = performance.now();
  const select = document.getElementById("cols");
  select.value = key;
  select.dispatchEvent(new Event("change"));
  const handled = performance.now();
  const inSight = [...document.querySelectorAll(".cell .thumb")].filter((image) => {
    const box = image.getBoundingClientRect();
    return box.top < innerHeight && box.left < innerWidth;
  });
  await Promise.all(inSight.map((image) => image.decode()));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return [handled - start, performance.now() - start];
}"""
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


def synthetic_rows(count: int) -> Iterator[dict[str, Any]]:
    """Yields metrics rows of a grid's finished runs, with histories of 60 points."""
    seeds = math.ceil(count / (CONTENTS * STYLES * CONTENT_WEIGHTS * TV_WEIGHTS))
    ranges = map(range, (CONTENTS, STYLES, CONTENT_WEIGHTS, TV_WEIGHTS, seeds))
    for number, places in enumerate(itertools.islice(itertools.product(*ranges), count)):
        yield synthetic_row(number, *places)


def synthetic_row(number: int, content: int, style: int, *parameters: int) -> dict[str, Any]:
    """Returns one metrics row."""
    run_id = f"{number:016x}"
    history = [curve_point(iteration, number) for iteration in [*range(11), *range(30, 1500, 30)]]
    return {
        "manifest_row": number,
        "run_id": run_id,
        "status": "done",
        "content": f"gs://bucket/contents/photograph_{content:03d}.jpg",
        "style": [{"uri": f"gs://bucket/styles/painting_{style:03d}.jpg", "weight": 1.0}],
        "config": synthetic_config(*parameters),
        "image": f"images/{run_id}.png",
        "height": 384,
        "width": 512,
        "iterations": 1500,
        "stop_reason": "iterations",
        **{f"loss_{term}": history[-1][term] for term in ("total", "content", "style", "tv")},
        "history": history,
        "seconds": 20.0,
        "device": "Tesla T4",
        "weights_sha256": "ab" * 32,
        "stylebeam_version": "0.1.0",
        "tensorflow_version": "2.21.0",
        "error_type": None,
        "error_message": None,
        "extra": None,
        "content_thumb": "sources/source.webp",
        "style_thumbs": ["sources/source.webp"],
    }


def synthetic_config(content_weight: int, tv_weight: int, seed: int) -> dict[str, Any]:
    """Returns a configuration with fields of every kind."""
    layers = {f"block{block}_conv1": 0.2 for block in range(1, 6)}
    fixed = {"backbone": "vgg19", "weights": "imagenet", "pooling": "max", "optimizer": "adam", "learning_rate": 15.0}
    return {
        **fixed,
        "content_layers": {"block5_conv2": 1.0},
        "style_layers": layers,
        "content_weight": 10.0**content_weight,
        "style_weight": 1e3,
        "tv_weight": 10.0 * tv_weight,
        "iterations": 1500,
        "seed": seed,
        "image_size": None,
    }


def curve_point(iteration: int, number: int) -> dict[str, float]:
    """Returns one point of a run's curves, different for each run."""
    fall = math.exp(-iteration / 100) + 0.01
    scatter = 1 + math.sin(number * 12.9898) * 0.4
    return {
        "iteration": iteration,
        "total": 1e9 * fall * scatter,
        "content": 3e4 * fall,
        "style": 1e6 * fall * scatter,
        "tv": 900 * fall,
    }


def write_output(directory: Path, count: int) -> dict[str, Any]:
    """Writes an output directory whose pictures are links to one file; returns the seconds, files, bytes and memory."""
    for folder in ("images", "thumbs", "sources", "gallery/data"):
        (directory / folder).mkdir(parents=True)
    source = directory / "sources" / "source.webp"
    Image.linear_gradient("L").resize((256, 192)).convert("RGB").save(source)
    for number in range(count):
        os.link(source, directory / "thumbs" / f"{number:016x}.webp")
    start = time.perf_counter()
    written = {
        name: (directory / "gallery" / name).write_bytes(content)
        for name, content in gallery_files(synthetic_rows(count), "20,000")
    }
    return {
        "generation_secs": round(time.perf_counter() - start, 1),
        "files": len(written),
        "bytes_on_disk": sum(written.values()),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def measure(browser: Browser, page_path: Path) -> dict[str, Any]:
    """Opens the gallery in a new page, uses it and returns the timings."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.add_init_script(WATCH_LOADING)
    page.goto(page_path.as_uri() + "#size=120")
    wait_until(page, ALL_SHOWN)
    first_picture, all_runs = page.evaluate("[firstPicture, lastRuns]")
    opened = {"first_picture_ms": first_picture, "all_runs_ms": all_runs, **bytes_loaded(requested)}
    changes = [page.evaluate(CHANGE_COLUMNS, key) for key in ("content_weight", "tv_weight", "seed", "style")]
    page.click("[data-view=grid]")
    frames = sorted(page.evaluate(SCROLL))
    page.close()
    return {
        **opened,
        "axis_change_handled_ms": max(handled for handled, _ in changes),
        "axis_change_pictures_ms": max(shown for _, shown in changes),
        "scroll_median_frame_ms": frames[len(frames) // 2],
        "scroll_p95_frame_ms": frames[len(frames) * 95 // 100],
    }


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
        "page_and_data_bytes": sum(path.stat().st_size for path in page),
        "page_and_data_files": len(page),
        "thumbnails": len(pictures),
        "thumbnail_bytes": sum(path.stat().st_size for path in pictures),
    }


def main() -> None:
    """Generates the gallery, measures it several times and prints the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        output = Path(directory, "output")
        generated = write_output(output, arguments.runs)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        measured = [measure(browser, output / "gallery" / "index.html") for _ in range(REPEATS)]
        browser.close()
    medians = {key: round(sorted(one[key] for one in measured)[REPEATS // 2], 1) for key in measured[0]}
    print(json.dumps({"runs": arguments.runs, **generated, **medians}, indent=2))


if __name__ == "__main__":
    main()
