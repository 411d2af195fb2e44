"""Writes the demo's photographs and paintings as PNG files: `python -m demo.inputs FOLDER`."""

import argparse
from pathlib import Path

from PIL import Image

from demo.paintings import PAINTINGS
from demo.photographs import PHOTOGRAPHS

LONGEST_SIDE_PX = 512


def write_inputs(folder: Path) -> list[Path]:
    """Write `photographs/<name>.png` and `paintings/<name>.png` under `folder`; the same bytes each time.

    Photographs are reduced to a longest side of 512 pixels, never enlarged. Returns the paths, photographs first.
    """
    photographs = [
        write_png(folder / "photographs" / f"{name}.png", reduced(Image.fromarray(load())))
        for name, load in PHOTOGRAPHS.items()
    ]
    paintings = [
        write_png(folder / "paintings" / f"{name}.png", Image.fromarray(paint())) for name, paint in PAINTINGS.items()
    ]
    return photographs + paintings


def reduced(picture: Image.Image) -> Image.Image:
    """The picture with a longest side of at most 512 pixels."""
    scale = min(1.0, LONGEST_SIDE_PX / max(picture.size))
    width, height = picture.size
    return picture.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)


def write_png(path: Path, picture: Image.Image) -> Path:
    """Write the picture, making its folder; returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


def main() -> None:
    """Write the pictures into the folder named on the command line, and print their paths."""
    parser = argparse.ArgumentParser(prog="python -m demo.inputs", description="Writes the pictures of `make demo`.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="receives photographs/ and paintings/")
    for path in write_inputs(parser.parse_args().folder):
        print(path)


if __name__ == "__main__":
    main()
