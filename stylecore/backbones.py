"""The keras.applications networks as feature extractors: cut at the deepest layer in use, pooling swapped."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from stylecore.layers import layer_names

Tensor = Any

# ImageNet's mean in blue, green, red, as keras.applications' "caffe" preprocessing subtracts it.
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)

_APPLICATIONS = {
    "vgg19": keras.applications.VGG19,
    "vgg16": keras.applications.VGG16,
    "resnet50": keras.applications.ResNet50,
}


def build_backbone(backbone: str, weights: str | None = None) -> keras.Model:
    """Returns the whole no-top network of a name in `layers.BACKBONES`, for any image size.

    Args:
      backbone: the network.
      weights: None for an untrained one, "imagenet" for Keras' own download.
    """
    return _APPLICATIONS[backbone](include_top=False, weights=weights, input_shape=(None, None, 3))


def preprocess(images: Tensor) -> Tensor:
    """RGB in 0..255 to what the networks were trained on: BGR minus ImageNet's mean (Keras' "caffe" mode).

    Args:
      images: [batch, height, width, 3], float32.
    """
    return images[..., ::-1] - tf.constant(IMAGENET_MEAN_BGR, images.dtype)


class FeatureExtractor:
    """Activations of the named layers of a backbone, for RGB images in 0..255.

    Args:
      network: the whole network with its weights, from `build_backbone`; with max pooling its variables are shared.
      layers: Keras' names of the layers whose activations are wanted.
      pooling: "max" or "avg".
    """

    def __init__(self, network: keras.Model, layers: Sequence[str], pooling: str) -> None:
        self.layers = tuple(layers)
        pooled = network if pooling == "max" else with_average_pooling(network)
        # A functional model computes only what its outputs need: this is the cut at the deepest layer.
        self._model = keras.Model(pooled.inputs, [pooled.get_layer(name).output for name in self.layers])

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Maps [batch, height, width, 3] float32 to layer name -> [batch, h, w, channels]; BatchNorm infers."""
        outputs = self._model(preprocess(images), training=False)
        return dict(zip(self.layers, outputs if isinstance(outputs, list) else [outputs], strict=True))

    def check_size(self, height: int, width: int) -> None:
        """Raises ValueError if an image of this size has no position left at one of the layers."""
        too_small = f"an image of {width}x{height} pixels is too small for the layers {', '.join(self.layers)}"
        try:
            shapes = self._model.compute_output_shape((1, height, width, 3))
        except ValueError as error:  # Some layers of Keras refuse what others let pass.
            raise ValueError(too_small) from error
        if any(min(shape[1:3]) < 1 for shape in (shapes if isinstance(shapes, list) else [shapes])):
            raise ValueError(too_small)


def with_average_pooling(network: keras.Model) -> keras.Model:
    """Returns a copy of the network, weights included, with every max pooling replaced by average pooling."""

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, keras.layers.MaxPooling2D):
            return layer.__class__.from_config(layer.get_config())
        kept = ("name", "pool_size", "strides", "padding", "data_format")
        return keras.layers.AveragePooling2D(**{key: layer.get_config()[key] for key in kept})

    averaging = keras.models.clone_model(network, clone_function=copy)
    averaging.set_weights(network.get_weights())
    averaging.trainable = False
    return averaging


def usable_layers(backbone: str, network: keras.Model) -> list[str]:
    """Returns the network's layers that `layers.layer_names` promises; the two are tested against each other."""
    promised = set(layer_names(backbone))
    return [layer.name for layer in network.layers if layer.name in promised]
