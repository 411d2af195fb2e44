"""The keras.applications networks as feature extractors, cut at the deepest layer in use.

Pooling and the precision of the convolutions can be exchanged. The first convolution always computes in float32:
bfloat16 has 8 bits and would round the pixels to steps of up to one grey level.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from stylecore.networks.convolutions import Conv2D
from stylecore.networks.layers import LPIPS_NETWORK
from stylecore.networks.lpips_vgg16 import build_lpips_vgg16
from stylecore.tensors import Features, Images, Tensor

# ImageNet's mean in blue, green, red, as keras.applications' "caffe" preprocessing subtracts it.
IMAGENET_MEAN_BGR = (103.939, 116.779, 123.68)

# The layers that see pixels: VGG's first convolution, ResNet50's with the padding before it.
_FIRST_LAYERS = ("block1_conv1", "conv1_pad", "conv1_conv")

_APPLICATIONS = {
    "vgg19": keras.applications.VGG19,
    "vgg16": keras.applications.VGG16,
    "resnet50": keras.applications.ResNet50,
}


def build_backbone(backbone: str, weights: str | None = None) -> keras.Model:
    """Returns a whole network without its classifier, for images of any size.

    Args:
      backbone: a name in `layers.BACKBONES`, or LPIPS_NETWORK, of which Keras has no weights.
      weights: None leaves the network untrained, "imagenet" takes Keras' own download.
    """
    if backbone == LPIPS_NETWORK and weights is None:
        return with_own_convolutions(build_lpips_vgg16())
    return with_own_convolutions(
        _APPLICATIONS[backbone](include_top=False, weights=weights, input_shape=(None, None, 3))
    )


def with_own_convolutions(network: keras.Model) -> keras.Model:
    """Returns a copy of a network, weights included, that computes its convolutions as `convolutions.Conv2D` does."""

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = Conv2D if isinstance(layer, keras.layers.Conv2D) else type(layer)
        return layer if isinstance(layer, keras.layers.InputLayer) else kind.from_config(layer.get_config())

    copied = keras.models.clone_model(network, clone_function=copy)
    copied.set_weights(network.get_weights())
    return copied


def preprocess(images: Images) -> Tensor:
    """Returns what the networks were trained on: BGR minus ImageNet's mean, [batch, height, width, 3] float32."""
    # Not images[..., ::-1]: the gradient of a slice is slow.
    return tf.reverse(images, axis=[-1]) - tf.constant(IMAGENET_MEAN_BGR, images.dtype)


class _Layers:
    """The activations of some layers of a network, from its input or the output of a layer on."""

    def __init__(self, network: keras.Model, begin: Tensor, layers: Sequence[str]) -> None:
        self.layers = tuple(layers)
        # A functional model computes only what its outputs need: this is the cut at the deepest layer.
        self._model = keras.Model(begin, [network.get_layer(name).output for name in self.layers])

    def _activations(self, inputs: Tensor) -> dict[str, Features]:
        outputs = self._model(inputs, training=False)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        return dict(zip(self.layers, outputs, strict=True))


class FeatureExtractor(_Layers):
    """Activations of the named layers of a backbone, for RGB images in 0..255.

    Attributes:
      layers: the layers' names.
      channels: their channels, by name.

    Args:
      network: the whole network with its weights, from `build_backbone`; copied if pooling or precision differ.
      layers: Keras' names of the layers whose activations are wanted.
      pooling: "max" or "avg".
      precision: the arithmetic of all convolutions but the first, "float32" or "bfloat16".
    """

    def __init__(self, network: keras.Model, layers: Sequence[str], pooling: str, precision: str = "float32") -> None:
        if (pooling, precision) != ("max", "float32"):
            network = rebuilt(network, pooling, precision)
        super().__init__(network, network.inputs, layers)
        self._network = network
        self.channels = {name: network.get_layer(name).output.shape[-1] for name in self.layers}

    def __call__(self, images: Images) -> dict[str, Features]:
        """Returns the activations of each layer by its name, in its precision; BatchNorm uses its stored statistics."""
        return self._activations(preprocess(images))

    def with_layers(self, layers: Sequence[str]) -> "FeatureExtractor":
        """Returns an extractor of other layers of the same network, with the same weights in memory."""
        return FeatureExtractor(self._network, layers, "max")  # Its pooling and precision are exchanged already.

    def behind(self, layer: str, layers: Sequence[str]) -> "DeepFeatureExtractor":
        """Returns an extractor of deeper layers, which begins at the activations of a layer of the same network."""
        return DeepFeatureExtractor(self._network, layer, layers)


class DeepFeatureExtractor(_Layers):
    """Activations of the layers of a network that are deeper than one of its layers.

    Args:
      network: the network, its pooling and precision as they are to be.
      begin: the layer whose activations are given; all of `layers` depend on the picture through it alone.
      layers: Keras' names of the layers whose activations are wanted.
    """

    def __init__(self, network: keras.Model, begin: str, layers: Sequence[str]) -> None:
        self._begin = network.get_layer(begin).output
        super().__init__(network, [self._begin], layers)

    def __call__(self, activations: Features) -> dict[str, Features]:
        """Returns the activations of each layer by its name, in its precision, given those of the first one."""
        return self._activations(tf.cast(activations, self._begin.dtype))


def rebuilt(network: keras.Model, pooling: str, precision: str) -> keras.Model:
    """Returns a copy of a network, weights included, with other pooling layers and another precision.

    Args:
      network: a network with max pooling, in float32.
      pooling: "max" or "avg".
      precision: "float32" or "bfloat16". Kernels are kept in it; other variables and the first convolution, with the
        padding before it, stay float32.
    """

    def policy(layer: keras.layers.Layer) -> str:
        if layer.name in _FIRST_LAYERS:
            return "float32"
        if precision == "float32" or isinstance(layer, keras.layers.Conv2D):
            return precision  # A float32 kernel would be cast in every evaluation.
        return f"mixed_{precision}"

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = {**layer.get_config(), "dtype": policy(layer)}
        if isinstance(layer, keras.layers.MaxPooling2D) and pooling == "avg":
            return keras.layers.AveragePooling2D(**config)
        if isinstance(layer, keras.layers.InputLayer):
            return layer
        return layer.__class__.from_config(config)

    copied = keras.models.clone_model(network, clone_function=copy)
    copied.set_weights(network.get_weights())
    copied.trainable = False
    return copied
