"""Draws the report's labelled strips with Pillow and its curves with matplotlib, both deterministically."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from experiments.pictures import TERMS, Picture

GAP_PX, LABEL_PX = 4, 16
LARGEST_CELL_PX = 192
WEBP_QUALITY = 80
_TITLES = {"content": "L_content", "style": "L_style", "tv": "L_tv", "total": "L_total, weighted"}
# The second round of colours is dashed, so that lines can be told apart without colour too.
_DASHES = ("-", "--", ":")


def strip(lines: Sequence[Mapping[str, np.ndarray]], cell_px: int = LARGEST_CELL_PX) -> bytes:
    """Draws lines of pictures as WebP, each picture with its label above it.

    Args:
      lines: label -> RGB pixels [height, width, 3], uint8; a line is as high as its last picture.
      cell_px: the longest side of a line's last picture is at most this.
    """
    drawn = [_line(line, cell_px) for line in lines]
    width = max(line.width for line in drawn)
    page = Image.new("RGB", (width, sum(line.height for line in drawn) + GAP_PX * (len(drawn) - 1)), "white")
    top = 0
    for line in drawn:
        page.paste(line, (0, top))
        top += line.height + GAP_PX
    out = io.BytesIO()
    page.save(out, "WEBP", quality=WEBP_QUALITY, method=6)
    return out.getvalue()


def _line(pictures: Mapping[str, np.ndarray], cell_px: int) -> Image.Image:
    height, width = list(pictures.values())[-1].shape[:2]
    height = round(height * min(1.0, cell_px / max(height, width)))
    cells = [_cell(label, Image.fromarray(pixels), height) for label, pixels in pictures.items()]
    line = Image.new("RGB", (sum(cell.width for cell in cells) + GAP_PX * (len(cells) - 1), cells[0].height), "white")
    left = 0
    for cell in cells:
        line.paste(cell, (left, 0))
        left += cell.width + GAP_PX
    return line


def _cell(label: str, picture: Image.Image, height: int) -> Image.Image:
    fitted = picture.resize((max(1, round(picture.width * height / picture.height)), height), Image.Resampling.LANCZOS)
    cell = Image.new("RGB", (fitted.width, height + LABEL_PX), "white")
    ImageDraw.Draw(cell).text((0, 1), label, "black", ImageFont.load_default(11))
    cell.paste(fitted, (0, LABEL_PX))
    return cell


def curves(pictures: Sequence[Picture]) -> bytes:
    """Draws the loss terms over the iterations as PNG, a line for each label; only the first pair is drawn."""
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    panels = figure.subplots(1, len(TERMS))
    first = {picture.label: picture for picture in reversed(pictures)}
    shown = [picture for picture in pictures if first[picture.label] is picture]
    for panel, term in zip(panels, TERMS, strict=True):
        for index, picture in enumerate(shown):
            panel.plot(
                [point["iteration"] for point in picture.history],
                [point[term] for point in picture.history],
                _DASHES[index // 4 % len(_DASHES)],
                color=f"C{index % 10}",
                label=picture.label,
                linewidth=1.2,
            )
        panel.set_title(_TITLES[term], fontsize=9)
        panel.set_xlabel("iteration", fontsize=8)
        # A term is zero where the optimisation starts from the photograph.
        panel.set_yscale("log", nonpositive="mask")
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.3)
    panels[-1].legend(fontsize=7)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=80, metadata={"Software": None})
    return _small(out.getvalue())


def _small(png: bytes) -> bytes:
    """Reduces a drawing of lines to 64 colours, which look the same in a third of the bytes."""
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()
