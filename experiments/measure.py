"""Measures all pictures with the same features, those of VGG19 with max pooling, whatever their configuration was."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from experiments.pictures import Yardstick
from stylecore.images.recolour import LUMINANCE
from stylecore.images.resize import resize
from stylecore.networks.features import FeatureExtractor
from stylecore.networks.layers import canonical_layer_name
from stylecore.objective import losses
from stylecore.objective.style_losses.gram import Gram

# conv5_2 is the content layer of `basic`; conv4_2 is used by no experiment and so favours none.
CONTENT_LAYERS = ("conv4_2", "conv5_2")
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
_REDUCTION = 4


class Measure:
    """Compares pictures with every photograph and painting of the experiments.

    Args:
      network: the whole VGG19 with its weights.
      photographs: name -> RGB pixels [height, width, 3], uint8.
      paintings: likewise.
    """

    def __init__(
        self, network: keras.Model, photographs: Mapping[str, np.ndarray], paintings: Mapping[str, np.ndarray]
    ) -> None:
        self._layers = {name: canonical_layer_name("vgg19", name) for name in (*CONTENT_LAYERS, *STYLE_LAYERS)}
        extractor = FeatureExtractor(network, list(self._layers.values()), "max")
        images = tf.TensorSpec([None, None, None, 3], tf.float32)
        self._extractor = tf.function(extractor, input_signature=[images], autograph=False)
        self._images = {"photograph": photographs, "painting": paintings}
        self._known: dict[tuple[str, str, int, int], dict[str, tf.Tensor]] = {}

    def __call__(self, pixels: np.ndarray, photograph: str, painting: str) -> Yardstick:
        """Measures the picture [height, width, 3], uint8, made from a photograph and a painting."""
        features = self._features(pixels)
        size = pixels.shape[:2]
        own_photograph = self._input("photograph", photograph, *size)
        return Yardstick(
            content={
                name: _content(features, self._input("photograph", name, *size)) for name in self._images["photograph"]
            },
            style={name: _style(features, self._input("painting", name, *size)) for name in self._images["painting"]},
            painting_content=_content(self._input("painting", painting, *size), own_photograph),
            colour=colour_distance(pixels, resize(self._images["painting"][painting], *size)),
            frequency=mean_frequency(pixels),
            reduced=np.asarray(Image.fromarray(pixels).reduce(_REDUCTION), np.float64),
        )

    def _features(self, pixels: np.ndarray) -> dict[str, tf.Tensor]:
        found = self._extractor(tf.constant(pixels[np.newaxis], tf.float32))
        return {name: found[layer] for name, layer in self._layers.items()}

    def _input(self, kind: str, name: str, height: int, width: int) -> dict[str, tf.Tensor]:
        key = (kind, name, height, width)
        if key not in self._known:
            self._known[key] = self._features(resize(self._images[kind][name], height, width))
        return self._known[key]


def _content(features: Mapping[str, tf.Tensor], target: Mapping[str, tf.Tensor]) -> dict[str, float]:
    return {
        name: float(losses.content_loss(features[name], target[name], "l2")[0])
        * float(losses.content_mean_factor(target[name], "l2"))
        for name in CONTENT_LAYERS
    }


def _style(features: Mapping[str, tf.Tensor], target: Mapping[str, tf.Tensor]) -> dict[str, float]:
    gram, distances = Gram(), {}
    for name in STYLE_LAYERS:
        found, wanted = gram.statistics(features[name]), gram.statistics(target[name])
        distances[name] = float(gram.loss(found, wanted)[0]) * gram.mean_factor(found)
    return distances


def colour_distance(pixels: np.ndarray, target: np.ndarray) -> float:
    """Returns the 1-Wasserstein distance between the histograms in grey levels, averaged over red, green and blue.

    Args:
      pixels: [height, width, 3] in 0..255.
      target: of the same shape.
    """
    one, other = (np.sort(np.asarray(image, np.float64).reshape(-1, 3), axis=0) for image in (pixels, target))
    return float(np.abs(one - other).mean())


def mean_frequency(pixels: np.ndarray) -> float:
    """Returns the power-weighted mean spatial frequency of the luminance of [height, width, 3], in cycles per pixel."""
    luminance = pixels @ LUMINANCE
    power = np.abs(np.fft.fft2(luminance - luminance.mean())) ** 2
    vertical, horizontal = (np.fft.fftfreq(side) for side in luminance.shape)
    radius = np.hypot(vertical[:, np.newaxis], horizontal)
    return float((power * radius).sum() / max(power.sum(), 1e-30))
