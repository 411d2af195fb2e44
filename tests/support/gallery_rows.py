"""Metrics rows and output directories for the tests of the gallery."""

import hashlib
import itertools
import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from transforms.gallery.files import gallery_files
from transforms.output.paths import ROWS_PER_METRICS_FILE
from transforms.output.record import metrics_schema

CONFIG = {
    "preset": "basic",
    "backbone": "vgg19",
    "weights": "imagenet",
    "content_layers": [("block5_conv2", 1.0)],
    "style_layers": [("block1_conv1", 0.5), ("block2_conv1", 0.5)],
    "content_weight": 1e5,
    "style_weight": 1e3,
    "tv_weight": 10.0,
    "learning_rate": 15.0,
    "iterations": 300,
    "seed": 30,
    "image_size": None,
    "pyramid": [],
}


def metrics_row(number: int, content: str = "photos/town.jpg", style: Any = "starry.jpg", **changes: Any) -> dict:
    """Returns a finished run's row; `config` changes fields of the configuration, other names replace columns."""
    config = {**CONFIG, **changes.pop("config", {})}
    run_id = hashlib.sha256(json.dumps([number, content, style, config]).encode()).hexdigest()[:16]
    styles: list[dict[str, Any]] = [{"uri": style, "weight": 1.0}] if isinstance(style, str) else style
    terms = {
        "content": 100.0 + number,
        "style": 10.0 + (number * 7) % 36,
        "tv": 1.0 + (number * 5) % 36,
    }
    total = sum(terms.values()) * 1e6
    row = {
        "manifest_row": number,
        "run_id": run_id,
        "status": "done",
        "content": content,
        "style": styles,
        "config": config,
        "image": f"images/{run_id}.png",
        "height": 30,
        "width": 40,
        "iterations": config["iterations"],
        "stop_reason": "iterations",
        "loss_total": total,
        **{f"loss_{term}": value for term, value in terms.items()},
        "history": [_point(iteration, terms, total) for iteration in range(0, 301, 30)],
        "seconds": 1.5,
        "device": "CPU",
        "weights_sha256": "ab" * 32,
        "stylebeam_version": "0.1.0",
        "tensorflow_version": "2.21.0",
        "error_type": None,
        "error_message": None,
        "extra": None,
        "content_thumb": _thumb(content),
        "style_thumbs": [_thumb(entry["uri"]) for entry in styles],
        "mask_thumbs": [],
        "initial": None,
        "initial_thumb": None,
        "notes": None,
    }
    return row | changes


def failed_row(number: int, error_type: str, message: str) -> dict:
    """Returns a row that failed before it became a run."""
    nothing = dict.fromkeys(metrics_row(number))
    failure = {"manifest_row": number, "status": "failed", "content": "gone.jpg", "error_type": error_type}
    return {**nothing, **failure, "style": [{"uri": "starry.jpg", "weight": 1.0}], "error_message": message}


def grid_rows() -> list[dict]:
    """Returns rows of 2 contents x 3 styles x 3 content weights x 2 seeds, and three failures."""
    contents, styles = ("photos/town.jpg", "photos/river.jpg"), ("starry.jpg", "scream.jpg", "waves.jpg")
    grid = itertools.product(contents, styles, (1e3, 1e4, 1e5), (1, 2))
    rows = [
        metrics_row(number, content, style, config={"content_weight": weight, "seed": seed})
        for number, (content, style, weight, seed) in enumerate(grid)
    ]
    failures = [failed_row(36, "ImageError", "gone.jpg does not exist"), failed_row(37, "ImageError", "not a picture")]
    return [*rows, *failures, failed_row(38, "Diverged", "the total loss is not finite")]


def masked_rows() -> list[dict]:
    """Returns rows that differ in masks, a scale, or the initial picture alone."""
    plain: dict[str, Any] = {
        "uri": "starry.jpg",
        "weight": 1.0,
        "scale": None,
        "content_mask": None,
        "style_mask": None,
    }
    styles = [
        [plain],
        [{**plain, "scale": 0.5}],
        [{**plain, "content_mask": "masks/sky.png", "style_mask": "masks/stars.png"}],
        [{**plain, "content_mask": "masks/ground.png"}, {**plain, "uri": "scream.jpg", "weight": 0.5}],
    ]
    notes = ["content_mask of style 1 is too small at block5_conv1 of 40x30 pixels: left out there"]
    return [
        metrics_row(
            number,
            style=style,
            mask_thumbs=[
                _thumb(entry[name]) for entry in style for name in ("content_mask", "style_mask") if entry[name]
            ],
            initial=initial,
            initial_thumb=initial and _thumb(initial),
            notes=notes if style[0]["content_mask"] else None,
        )
        for number, (style, initial) in enumerate(itertools.product(styles, (None, "drafts/town.png")))
    ]


def judged_rows() -> list[dict]:
    """Returns the finished rows of grid_rows() with measures: the heavier the content, the more of it is kept."""
    rows = [row for row in grid_rows() if row["status"] == "done"]
    for number, row in enumerate(rows):
        kept = math.log10(row["config"]["content_weight"]) / 6
        row["measure_ssim"] = round(kept - 0.01 * (number % 5), 4)
        row["measure_style"] = round(0.2 + 0.9 * kept**2 + 0.02 * (number * 11 % 7), 4)
    return rows


def write_metrics(directory: Path, rows: Sequence[dict], files: int) -> None:
    """Writes metrics files of as many rows each, numbered as if each but the last were full."""
    per_file = math.ceil(len(rows) / files)
    (directory / "metrics").mkdir(exist_ok=True)
    for file in range(files):
        first = file * ROWS_PER_METRICS_FILE
        numbered = [
            {**row, "manifest_row": first + place}
            for place, row in enumerate(rows[file * per_file : (file + 1) * per_file])
        ]
        table = pa.Table.from_pylist(numbered, schema=metrics_schema())
        pq.write_table(table, directory / "metrics" / f"metrics-{file:05d}-of-{files:05d}.parquet")


def write_output(
    directory: Path,
    rows: Iterable[dict],
    title: str = "Two places, three painters",
    rows_per_part: int = 5_000,
    one_picture: bool = False,
) -> Path:
    """Writes an output directory with tiny pictures, or one thumbnail for all, and its gallery; returns its page."""
    rows = list(rows)
    for folder in ("images", "thumbs", "sources"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    for row in rows:
        if row["status"] == "done":
            if one_picture:
                _link_thumb(directory, row)
            else:
                _write_pictures(directory, row)
    for name, content in gallery_files(rows, title, rows_per_part=rows_per_part):
        path = directory / "gallery" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory / "gallery" / "index.html"


def _write_pictures(directory: Path, row: dict) -> None:
    color = tuple(bytes.fromhex(row["run_id"])[:3])
    picture = Image.new("RGB", (row["width"], row["height"]), color)
    picture.save(directory / "images" / f"{row['run_id']}.png")
    picture.save(directory / "thumbs" / f"{row['run_id']}.webp")
    for thumb in (row["content_thumb"], *row["style_thumbs"], *row["mask_thumbs"], row["initial_thumb"]):
        if thumb:
            picture.save(directory / thumb)


def _link_thumb(directory: Path, row: dict) -> None:
    shared = directory / "thumbs" / "shared.webp"
    if not shared.exists():
        Image.new("RGB", (row["width"], row["height"])).save(shared)
    os.link(shared, directory / "thumbs" / f"{row['run_id']}.webp")


def _thumb(uri: str) -> str:
    return f"sources/{hashlib.sha256(uri.encode()).hexdigest()[:16]}.webp"


def _point(iteration: int, terms: dict[str, float], total: float) -> dict:
    fall = 1 + 10 * math.exp(-iteration / 50)
    return {"iteration": iteration, "total": total * fall, **{term: value * fall for term, value in terms.items()}}
