"""The loss that pastiche 1.6.0 gives to any 8-bit picture, in float32: both tools are judged by it.

From pastiche.py, `_calc_loss`: content_weight * 0.01 * mean (F - P)^2 at conv4_2, plus style_weight times the sum over
conv1_1 ... conv5_1 of 10 / N^2 * mean (G - A)^2 with Gram matrices over their positions; features after the ReLU, max
pooling, no total variation. Our preset `gatys` with content_weight 0.01 and style_weight 200 is the same function.

    python -m benchmarks.peers_score CONTENT STYLE PICTURE... [--style_weight 1]
"""

import argparse
import functools
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from stylecore import StyleConfig
from stylecore.networks.features import FeatureExtractor
from stylecore.networks.weights.sources import load_weights
from stylecore.objective.style_losses.gram import gram_matrix

CONTENT_LAYER = "block4_conv2"
STYLE_LAYERS = tuple(f"block{block}_conv1" for block in range(1, 6))
CONTENT_FACTOR, STYLE_FACTOR = 0.01, 10.0


def peer_loss(picture: np.ndarray, content: np.ndarray, style: np.ndarray, style_weight: float = 1.0) -> float:
    """Returns pastiche's loss of a picture, at its content weight of 1.

    Args:
      picture: uint8 [height, width, 3].
      content: uint8, of the same shape.
      style: uint8, of any size; its Gram matrices are taken at this size.
      style_weight: pastiche's --style-weights.
    """
    made, photograph, painting = (_features(image) for image in (picture, content, style))
    loss = CONTENT_FACTOR * _mean_square(made[CONTENT_LAYER], photograph[CONTENT_LAYER])
    for name in STYLE_LAYERS:
        channels = made[name].shape[-1]
        difference = _mean_square(gram_matrix(made[name]), gram_matrix(painting[name]))
        loss += style_weight * STYLE_FACTOR / channels**2 * difference
    return loss


def equal_config_fields(style_weight: float) -> dict[str, Any]:
    """Returns the fields of our configuration that give the same objective."""
    # Our mean reduction has 1 / (4 N^2) mean (G - A)^2 for each of five layers of weight 0.2.
    style = 4 * 5 * STYLE_FACTOR * style_weight
    return {"preset": "gatys", "content_weight": CONTENT_FACTOR, "style_weight": style}


def equal_config(style_weight: float, **fields: Any) -> StyleConfig:
    """Returns our configuration with the same objective; `fields` set how it is minimised."""
    return StyleConfig(**equal_config_fields(style_weight), **fields)


def read_picture(path: Path) -> np.ndarray:
    """Returns a picture file as uint8 [height, width, 3]."""
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))


def _features(image: np.ndarray) -> dict[str, Any]:
    return _extractor()(tf.constant(image[np.newaxis], tf.float32))


def _mean_square(a: Any, b: Any) -> float:
    return float(tf.reduce_mean(tf.square(a - b)))


@functools.cache
def _extractor() -> FeatureExtractor:
    network = load_weights("vgg19", "imagenet").network
    return FeatureExtractor(network, sorted((CONTENT_LAYER, *STYLE_LAYERS)), "max")


def main() -> None:
    """Prints the loss of each picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--style_weight", type=float, default=1.0)
    arguments = parser.parse_args()
    content, style = read_picture(arguments.content), read_picture(arguments.style)
    for path in arguments.pictures:
        print(f"{peer_loss(read_picture(path), content, style, arguments.style_weight):.2f}  {path}")


if __name__ == "__main__":
    main()
