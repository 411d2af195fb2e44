"""Writes docs/presets.md: every preset, the fields that it changes, and a picture.

    python -m experiments.presets_page [--image_size 192]

Every preset makes the iterations that it has: at 192 px that takes about fifteen minutes on two cores.
"""

import argparse
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.drawing import LARGEST_CELL_PX, WEBP_QUALITY
from experiments.reproduce import HERE, Settings, finished, prepare
from experiments.results import Results
from experiments.sections import PRESETS_GRID
from experiments.sizes import Size
from pipeline.cli.quiet import import_tensorflow
from stylecore.config.presets import PRESETS
from stylecore.measures.measure import MEASURES

STYLE_LOSSES = Path(__file__).parent / "style_losses.json"

ABOUT: Mapping[str, str] = {
    "basic": "The paper's section 4.1, and the default: Adam from white noise, content from conv5_2.",
    "two_content_layers": "The paper's VGG19 (2): content from two layers.",
    "gatys": "The settings that Gatys, Ecker and Bethge released: L-BFGS from the photograph.",
    "fast": "The objective of `gatys`, coarse to fine, in the arithmetic that the device is good at.",
    "fine": "The objective of `gatys`, minimised further: coarse to fine, more than twice the evaluations of `fast`.",
    "gaussian": "Crowson's style-transfer-pytorch: distances of Gaussians, the mean of Adam's iterates, five sizes.",
    "resnet50": "The paper's ResNet50, eight style layers.",
    "resnet50_swag": "ResNet50 with smoothed features (Wang, Li and Vasconcelos). Unverified: nobody here saw its "
    "picture, and the weights of its losses are those of `basic`.",
}
_NO_WEIGHTS = "no picture here: ResNet50's ImageNet weights need a network that Keras can download them from"
_NOT_MADE = "no picture yet: `make presets` makes it"
IMAGE_SIZE_PX = 192

_GAUSSIAN = """
## What `gaussian` leaves out

The tool that it follows differs in what StyleBeam has no field for:

- it pads the picture by repeating its border before the first convolution, here zeros are added;
- it multiplies the output of each average pooling by 2;
- it goes through absolute sizes, from 128 px by factors of the root of 2; the preset has the scales that this gives for
  a result of 512 px;
- Adam's moments are resized from size to size; here each size begins anew;
- it adds a total variation of its own; the preset has none. Its VGG19 weights, and so the scale of its features, are
  other ones.

## ResNet50 without `softmax`

The code that came with the paper of `resnet50_swag` does not compute the softmax of its formula: it multiplies the
features of the last two stages by 0.001. Smaller weights of `style_layers` and `content_layers` do that to the losses
of plain features; `pooling: avg` replaces the only pooling that ResNet50 has. Neither was judged by pictures, for want
of weights.
"""

_STYLE_LOSSES = [
    "",
    "## Which style loss",
    "",
    "Means over two photographs with three paintings each, 160 px, 100 evaluations of Adam from the photograph, by",
    "`python -m experiments.style_losses`, each loss with the weights of its preset, `gatys` or `gaussian`:",
    "",
]

_WHICH = """
With these weights `gaussian` takes most of the painting: forms and colours are the painting's own, where `gram` leaves
patches of colours that neither image has, and least is left of the photograph. `sliced` keeps the photograph best,
faces above all. `gram` lies between them, and goes with every optimiser and with tiles. Another content weight moves
each loss along a front of its own.
"""


def make_presets_page(settings: Settings) -> int:
    """Runs every preset and writes the page; returns the exit status."""
    import_tensorflow()
    results, status = finished(settings, [(PRESETS_GRID, 1)])
    write_presets_page(results, settings.size, settings.report, settings.report.parent / "reproduction")
    return status


def write_presets_page(results: Results, size: Size, page: Path, folder: Path) -> None:
    """Writes the page, and its pictures into `folder`, which lies below the folder of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {row["config"]["preset"]: row for row in results.rows.get(PRESETS_GRID, ()) if row["status"] == "done"}
    lines = [
        "# Presets",
        "",
        "`preset` names a configuration that the other fields start from. Written by `make presets`, with",
        f"[presets.yaml](../experiments/presets.yaml): longest side {size.image_size} px, "
        "each with its own iterations.",
        "",
        "| preset | picture | fields that differ from `basic` |",
        "|---|---|---|",
    ]
    for name, fields in PRESETS.items():
        row = rows.get(name)
        shown = _picture(name, results.pixels[row["run_id"]], page, folder) if row else _missing(fields)
        lines.append(f"| `{name}`<br>{ABOUT[name]} | {shown} | {_fields(fields)} |")
    page.write_text("\n".join(lines) + "\n" + _GAUSSIAN + style_losses_section(), encoding="utf-8")


def style_losses_section() -> str:
    """Returns the comparison of the style losses, from the figures of `python -m experiments.style_losses`."""
    if not STYLE_LOSSES.exists():
        return "\nThe style losses are not compared yet: `python -m experiments.style_losses` does it on six pairs.\n"
    found = json.loads(STYLE_LOSSES.read_text())
    rows = [
        f"| `{loss}` | " + " | ".join(f"{means[measure.key]:.3f}" for measure in MEASURES) + " |"
        for loss, means in found["means"].items()
    ]
    heads = " | ".join(measure.label for measure in MEASURES)
    table = [f"| `style_loss` | {heads} |", "|---" * (len(MEASURES) + 1) + "|", *rows]
    return "\n".join([*_STYLE_LOSSES, *table, _WHICH])


def _missing(fields: Mapping[str, Any]) -> str:
    return _NO_WEIGHTS if fields.get("backbone") == "resnet50" else _NOT_MADE


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


def main() -> int:
    """Parses the command line and makes the page."""
    parser = argparse.ArgumentParser(prog="python -m experiments.presets_page", description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=int, default=IMAGE_SIZE_PX, metavar="PX", help="longest side")
    parser.add_argument("--output", type=Path, default=HERE / "output" / "presets", metavar="DIR")
    known = parser.parse_args()
    prepare(known.output)
    page = HERE.parent / "docs" / "presets.md"
    return make_presets_page(Settings(Size(known.image_size, None), known.output, page, run_options=()))


if __name__ == "__main__":
    raise SystemExit(main())
