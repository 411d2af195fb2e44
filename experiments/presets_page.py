"""Writes docs/presets.md: every preset, the fields that it changes, and a picture."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.drawing import LARGEST_CELL_PX, WEBP_QUALITY
from experiments.results import Results
from experiments.sections import PRESETS_GRID
from experiments.sizes import Size
from stylecore.config.presets import PRESETS

ABOUT: Mapping[str, str] = {
    "basic": "The paper's section 4.1, and the default: Adam from white noise, content from conv5_2.",
    "two_content_layers": "The paper's VGG19 (2): content from two layers.",
    "gatys": "The settings that Gatys, Ecker and Bethge released: L-BFGS from the photograph.",
    "fast": "The objective of `gatys`, coarse to fine, in the arithmetic that the device is good at.",
    "resnet50": "The paper's ResNet50, eight style layers.",
}
_MISSING = "no picture here: ResNet50's ImageNet weights need a network that Keras can download them from"


def write_presets_page(results: Results, size: Size, page: Path, folder: Path) -> None:
    """Writes the page, and its pictures into `folder`, which lies below the folder of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    finished = {row["config"]["preset"]: row for row in results.rows.get(PRESETS_GRID, ()) if row["status"] == "done"}
    lines = [
        "# Presets",
        "",
        "`preset` names a configuration that the other fields start from. Written by `make reproduce`, with",
        f"[presets.yaml](../experiments/presets.yaml): {size.described()}.",
        "",
        "| preset | picture | fields that differ from `basic` |",
        "|---|---|---|",
    ]
    for name, fields in PRESETS.items():
        row = finished.get(name)
        shown = _picture(name, results.pixels[row["run_id"]], page, folder) if row else _MISSING
        lines.append(f"| `{name}`<br>{ABOUT[name]} | {shown} | {_fields(fields)} |")
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _picture(name: str, pixels: np.ndarray, page: Path, folder: Path) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((LARGEST_CELL_PX, LARGEST_CELL_PX), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=WEBP_QUALITY, method=6)
    path = folder / f"preset_{name}.webp"
    path.write_bytes(out.getvalue())
    return f"![A photograph stylised with the preset {name}]({path.relative_to(page.parent).as_posix()})"


def _fields(fields: Mapping[str, Any]) -> str:
    return "<br>".join(f"`{name}: {_value(value)}`" for name, value in fields.items()) or "none"


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
