"""What docs/controls.md shows: one row of pictures for each control, all from inputs that every clone can make."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

COFFEE, CHELSEA, ROCKET = (f"photographs/{name}.png" for name in ("coffee", "chelsea", "rocket"))
FLOW, FORMS, WAVES = (f"paintings/{name}.png" for name in ("flow_field_strokes", "geometric_forms", "woodcut_waves"))
CUP, TABLE = "masks/cup.png", "masks/table.png"
DRAFT = "drafts/rocket_with_suns.png"

Entry = Mapping[str, Any]

# Evaluations on two cores cost seconds: L-BFGS, most of its iterations at half the size.
_COMMON = {"preset": "fast", "image_size": 256, "iterations": 120, "content_weight": 10.0}
_LBFGS = {**_COMMON, "precondition": "spectral"}
_ADAM = {**_COMMON, "optimizer": "adam", "learning_rate": 5.0, "iterations": 200}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One picture to make.

    Attributes:
      label: stands above it.
      config: fields of its configuration.
      content: path of the photograph.
      styles: the entries of its manifest row.
      initial: path of the picture to start from.
    """

    label: str
    config: Mapping[str, Any]
    content: str = COFFEE
    styles: Sequence[Entry] = ({"uri": FLOW},)
    initial: str | None = None


@dataclasses.dataclass(frozen=True)
class Control:
    """One row of the page.

    Attributes:
      name: of its picture, docs/controls/<name>.webp.
      cells: the pictures to make, left to right.
      inputs: label -> path of the inputs that are shown before them.
      magnified: show the middle of the pictures, this many times larger.
    """

    name: str
    cells: Sequence[Cell]
    inputs: Mapping[str, str]
    magnified: int = 1


CONTROLS: Sequence[Control] = (
    Control(
        "color",
        [Cell(f"color: {value}", {**_LBFGS, "color": value}) for value in ("style", "content", "match")],
        {"photograph": COFFEE, "painting": FLOW},
    ),
    Control(
        "regions",
        [
            Cell(
                "cup and table",
                _LBFGS,
                styles=({"uri": FORMS, "content_mask": CUP}, {"uri": WAVES, "content_mask": TABLE}),
            ),
            Cell(
                "the other way round",
                _LBFGS,
                styles=({"uri": FORMS, "content_mask": TABLE}, {"uri": WAVES, "content_mask": CUP}),
            ),
            Cell(
                "both everywhere",
                _LBFGS,
                styles=({"uri": FORMS, "weight": 0.5}, {"uri": WAVES, "weight": 0.5}),
            ),
        ],
        {"photograph": COFFEE, "content_mask of the cup": CUP},
    ),
    Control(
        "scale",
        [
            Cell(
                f"scale {scale:g}",
                {**_LBFGS, "content_weight": 100.0},
                content=CHELSEA,
                styles=({"uri": FORMS, "scale": scale},),
            )
            for scale in (0.5, 1.0, 2.0)
        ],
        {"photograph": CHELSEA, "painting": FORMS},
    ),
    Control(
        "initial",
        [
            Cell("init: content", {**_LBFGS, "content_weight": 3.0}, content=ROCKET),
            Cell("init: image", {**_LBFGS, "content_weight": 3.0, "init": "image"}, content=ROCKET, initial=DRAFT),
        ],
        {"photograph": ROCKET, "painting": FLOW, "initial": DRAFT},
    ),
    Control(
        "noise_blend",
        [
            Cell(
                f"noise_blend: {share:g}",
                {**_LBFGS, "content_weight": 60.0, "noise_blend": share},
                content=ROCKET,
                styles=({"uri": FORMS},),
            )
            for share in (0.0, 0.2, 0.5, 1.0)
        ],
        {"photograph": ROCKET},
    ),
    Control(
        "average_decay",
        [
            Cell(f"average_decay: {decay:g}", {**_ADAM, "learning_rate": 15.0, "average_decay": decay}, content=CHELSEA)
            for decay in (0.0, 0.9, 0.98)
        ],
        {"photograph": CHELSEA, "painting": FLOW},
        magnified=3,
    ),
    Control(
        "normalize_gradients",
        [
            Cell("false: 10 to 20000", {**_ADAM}, content=CHELSEA, styles=({"uri": FORMS},)),
            *(
                Cell(
                    f"true: 1 to {ratio:g}",
                    {**_ADAM, "normalize_gradients": True, "content_weight": 1.0, "style_weight": ratio},
                    content=CHELSEA,
                    styles=({"uri": FORMS},),
                )
                for ratio in (0.3, 3.0, 30.0)
            ),
        ],
        {"photograph": CHELSEA},
    ),
    Control(
        "style_loss",
        [
            Cell(
                f"style_loss: {name}",
                {**_ADAM, "style_loss": name, "content_weight": content, "style_weight": style},
                content=CHELSEA,
                styles=({"uri": WAVES},),
            )
            for name, content, style in (("gram", 10.0, 2e4), ("gaussian", 0.05, 1.0), ("sliced", 0.05, 1.0))
        ],
        {"photograph": CHELSEA, "painting": WAVES},
    ),
)


def mask_images() -> dict[str, Image.Image]:
    """Returns the masks by path, grey: the cup with its saucer in `coffee`, and the table around them."""
    cup = np.maximum(_ellipse(0.465, 0.57, 0.345, 0.47), _ellipse(0.485, 0.28, 0.21, 0.27))
    return {
        path: Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.GaussianBlur(2))
        for path, mask in {CUP: cup, TABLE: 255 - cup}.items()
    }


def draft(photograph: Image.Image) -> Image.Image:
    """Returns the photograph of the rocket with three suns painted into its sky."""
    drawn = photograph.copy()
    for x, y, radius in ((0.3, 0.28, 0.11), (0.72, 0.2, 0.08), (0.14, 0.62, 0.06)):
        left, top, size = x * drawn.width, y * drawn.height, radius * drawn.width
        box = (left - size, top - size, left + size, top + size)
        ImageDraw.Draw(drawn).ellipse(box, (250, 200, 60))
    return drawn


def _ellipse(x: float, y: float, radius_x: float, radius_y: float) -> np.ndarray:
    """Returns an ellipse of white on black, [341, 512], with centre and radii in shares of the sides."""
    rows, columns = np.mgrid[0:341, 0:512]
    inside = ((columns / 512 - x) / radius_x) ** 2 + ((rows / 341 - y) / radius_y) ** 2 <= 1
    return np.where(inside, 255.0, 0.0)
