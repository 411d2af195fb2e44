"""Compares the style losses on six pairs at equal evaluations: `python -m experiments.style_losses`.

Two photographs with three paintings each, 160 px, Adam from the photograph, the same layers, layer weights and content
loss. The loss of Gram matrices has the weights of the preset `gatys`, the others those of the preset `gaussian`, whose
unit is another. No picture is judged by what it was optimised for: the measures are those of the metrics, among which
the style distance is a sliced Wasserstein distance too, of another network's features (VGG16). The result goes to
experiments/style_losses.json, pictures beside it where --pictures says.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.provenance import Start
from demo.paintings import PAINTINGS
from demo.photographs import PHOTOGRAPHS
from stylecore import StyleConfig, stylize
from stylecore.images.resize import resize
from stylecore.measures.measure import measure
from stylecore.measures.network import PictureNetwork
from stylecore.networks.layers import LPIPS_NETWORK
from stylecore.networks.weights.sources import load_weights

RESULT = Path(__file__).parent / "style_losses.json"
PAIRS = [(photograph, painting) for photograph in ("chelsea", "coffee") for painting in PAINTINGS]
COMMON: dict[str, Any] = {
    "image_size": 160, "iterations": 100, "init": "content", "content_layers": ["conv4_2"], "tv_weight": 0.0,
    "learning_rate": 5.0, "average_decay": 0.9, "precision": "auto",
}  # fmt: skip
UNIT = {"content_weight": 0.015, "style_weight": 1.0}
LOSSES: dict[str, dict[str, Any]] = {
    "gram": {"content_weight": 1.0, "style_weight": 2e4},
    "gaussian": {"style_loss": "gaussian", **UNIT},
    "sliced": {"style_loss": "sliced", **UNIT},
}


def rows(pictures: Path | None) -> Iterator[dict[str, Any]]:
    """Yields the measures of each pair's picture by each loss."""
    network = PictureNetwork(load_weights(LPIPS_NETWORK, "imagenet").network)
    contents = [np.asarray(PHOTOGRAPHS[name]()) for name, _ in PAIRS]
    styles = [np.asarray(PAINTINGS[name]()) for _, name in PAIRS]
    for loss, fields in LOSSES.items():
        config = StyleConfig.from_dict({**COMMON, **fields})
        made = stylize(contents, styles, [config] * len(PAIRS))
        for (photograph, painting), content, style, result in zip(PAIRS, contents, styles, made, strict=True):
            if result.image is None or result.error is not None:
                raise RuntimeError(f"{photograph} with {painting} failed: {result.error}")
            height, width = result.image.shape[:2]
            given, taken = (resize(image, height, width) for image in (content, style))
            if pictures:
                Image.fromarray(result.image).save(pictures / f"{photograph}_{painting}_{loss}.png")
            found = measure(result.image, given, [(taken, 1.0)], network)
            yield {"photograph": photograph, "painting": painting, "style_loss": loss, "secs": result.seconds, **found}


def means(found: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Returns the mean of each measure, and of the seconds, over the pairs, by loss."""
    numbers = [name for name in found[0] if name == "secs" or name.startswith("measure_")]
    return {
        loss: {
            name: float(np.mean([row[name] for row in found if row["style_loss"] == loss])).__round__(4)
            for name in numbers
        }
        for loss in LOSSES
    }


def main() -> None:
    """Makes the pictures, measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="folder for the pictures (default: none are kept)")
    pictures = parser.parse_args().pictures
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    start = Start()
    found = list(rows(pictures))
    result = {"config": COMMON, "losses": LOSSES, "means": means(found), "rows": found}
    RESULT.write_text(json.dumps({**result, "provenance": start.provenance()}, indent=1) + "\n")
    print(json.dumps(result["means"], indent=1))


if __name__ == "__main__":
    main()
