"""The README's picture: photograph, painting and results of a demo side by side.

`python -m demo.strip GALLERY PICTURE.webp`, after `make demo`.
"""

import argparse
from pathlib import Path

import pyarrow.parquet as pq
from PIL import Image

GAP_PX = 4


def strip(output: Path) -> Image.Image:
    """Returns one line for each content and style: the two inputs, then the results in the manifest's order."""
    rows = pq.read_table(output / "metrics").to_pylist()
    lines: dict[tuple[str, str], list[Path]] = {}
    for row in rows:
        inputs = [f"sources/{digest[:16]}.webp" for digest in (row["content_sha256"], row["style_sha256"][0])]
        line = lines.setdefault((inputs[0], inputs[1]), [output / path for path in inputs])
        line.append(output / row["image"])
    return stacked([side_by_side(line) for line in lines.values()])


def side_by_side(paths: list[Path]) -> Image.Image:
    """Returns the pictures in one line, all as high as the last one."""
    pictures = [Image.open(path).convert("RGB") for path in paths]
    height = pictures[-1].height
    fitted = [picture.resize((round(picture.width * height / picture.height), height)) for picture in pictures]
    line = Image.new("RGB", (sum(p.width for p in fitted) + GAP_PX * (len(fitted) - 1), height), "white")
    left = 0
    for picture in fitted:
        line.paste(picture, (left, 0))
        left += picture.width + GAP_PX
    return line


def stacked(lines: list[Image.Image]) -> Image.Image:
    """Returns the lines one below the other."""
    width = max(line.width for line in lines)
    page = Image.new("RGB", (width, sum(line.height for line in lines) + GAP_PX * (len(lines) - 1)), "white")
    top = 0
    for line in lines:
        page.paste(line, (0, top))
        top += line.height + GAP_PX
    return page


def main() -> None:
    """Writes the strip."""
    parser = argparse.ArgumentParser(prog="python -m demo.strip", description=__doc__)
    parser.add_argument("output", type=Path, metavar="GALLERY", help="output directory of the demo")
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="file to write")
    arguments = parser.parse_args()
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    strip(arguments.output).save(arguments.picture, quality=82)


if __name__ == "__main__":
    main()
