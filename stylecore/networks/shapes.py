"""The layers of the backbones for one image size: shapes, convolutions, what takes what. Light: no TensorFlow."""

import dataclasses
import functools
from collections.abc import Collection, Iterator, Mapping

from stylecore.networks.layers import layer_names


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a backbone for one image size.

    Attributes:
      name: in Keras' spelling.
      inputs: the layers that it takes; "" is the picture.
      height, width, channels: of its output.
      products: multiplications for each value of the output; 0 where it is no convolution.
      rectified: a ReLU ends the layer.
    """

    name: str
    inputs: tuple[str, ...]
    height: int
    width: int
    channels: int
    products: int = 0
    rectified: bool = False

    @property
    def values(self) -> int:
        """Numbers in the output of one picture."""
        return self.height * self.width * self.channels

    @property
    def flops(self) -> int:
        """Multiplications and additions of the convolution, forward."""
        return 2 * self.products * self.values


def layers_in_use(backbone: str, wanted: Collection[str], height: int, width: int) -> Mapping[str, Layer]:
    """Returns the wanted layers and those that they need, shallow to deep.

    Args:
      backbone: a name in `layers.BACKBONES`.
      wanted: names in Keras' spelling.
      height, width: of the image, in pixels.
    """
    every = _layers(backbone, height, width)
    needed, ahead = set(), list(wanted)
    while ahead:
        name = ahead.pop()
        if name and name not in needed:
            needed.add(name)
            ahead.extend(every[name].inputs)
    return {name: layer for name, layer in every.items() if name in needed}


@functools.lru_cache(maxsize=256)
def _layers(backbone: str, height: int, width: int) -> Mapping[str, Layer]:
    found = _resnet50_layers(height, width) if backbone == "resnet50" else _vgg_layers(backbone, height, width)
    return {layer.name: layer for layer in found}


def _vgg_layers(backbone: str, height: int, width: int) -> Iterator[Layer]:
    """3x3 convolutions of 64, 128, 256, 512, 512 channels; each block ends with a pooling that halves the sides."""
    before, channels = "", 3
    for name in layer_names(backbone):
        if name.endswith("pool"):
            height, width = height // 2, width // 2
            yield Layer(name, (before,), height, width, channels)
        else:
            products, block = 9 * channels, int(name[len("block")])
            channels = min(512, 32 * 2**block)
            yield Layer(name, (before,), height, width, channels, products, rectified=True)
        before = name


def _resnet50_layers(height: int, width: int) -> Iterator[Layer]:
    """A 7x7 stem and a pooling, each of stride 2, then the blocks; all stages but the first begin with a stride."""
    height, width = _halved(height), _halved(width)
    yield Layer("conv1_conv", ("",), height, width, 64, products=7 * 7 * 3)
    yield Layer("conv1_bn", ("conv1_conv",), height, width, 64)
    yield Layer("conv1_relu", ("conv1_bn",), height, width, 64, rectified=True)
    last = Layer("pool1_pool", ("conv1_relu",), _halved(height), _halved(width), 64)
    yield last
    for prefix in (name.removesuffix("_out") for name in layer_names("resnet50") if name.endswith("_out")):
        for layer in _bottleneck(prefix, last):
            yield layer
            last = layer


def _bottleneck(prefix: str, source: Layer) -> Iterator[Layer]:
    """1x1, 3x3 and 1x1 convolutions, the last four times as wide, beside a shortcut that the first block projects."""
    stage, first = int(prefix[len("conv")]), prefix.endswith("block1")
    narrow = 2 ** (stage + 4)
    strided = first and stage > 2
    height, width = (_halved(source.height), _halved(source.width)) if strided else (source.height, source.width)

    def unit(number: int, taken: str, channels: int, products: int) -> Iterator[Layer]:
        name = f"{prefix}_{number}"
        yield Layer(f"{name}_conv", (taken,), height, width, channels, products)
        yield Layer(f"{name}_bn", (f"{name}_conv",), height, width, channels)
        if number in (1, 2):
            yield Layer(f"{name}_relu", (f"{name}_bn",), height, width, channels, rectified=True)

    yield from unit(1, source.name, narrow, source.channels)
    yield from unit(2, f"{prefix}_1_relu", narrow, 9 * narrow)
    if first:
        yield from unit(0, source.name, 4 * narrow, source.channels)
    yield from unit(3, f"{prefix}_2_relu", 4 * narrow, narrow)
    shortcut = f"{prefix}_0_bn" if first else source.name
    yield Layer(f"{prefix}_add", (shortcut, f"{prefix}_3_bn"), height, width, 4 * narrow)
    yield Layer(f"{prefix}_out", (f"{prefix}_add",), height, width, 4 * narrow, rectified=True)


def _halved(side_px: int) -> int:
    return (side_px + 1) // 2
