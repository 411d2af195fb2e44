"""The layers of the backbones, known without TensorFlow: names in both spellings, shapes and convolutions.

VGG layers have two spellings in the field, `conv5_2` (the papers') and `block5_conv2` (Keras'). Keras' is the
canonical one here.
"""

import dataclasses
import functools
import re
from collections.abc import Collection, Iterator, Mapping

from stylecore.errors import nearest

BACKBONES = ("vgg19", "vgg16", "resnet50")
# What measures pictures and optimises none, see `lpips_vgg16`; not a backbone.
LPIPS_NETWORK = "lpips_vgg16"

_VGG_CONVS_PER_BLOCK = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_RESNET50_BLOCKS_PER_STAGE = {2: 3, 3: 4, 4: 6, 5: 3}
_PAPER_SPELLING = re.compile(r"(conv|pool)([1-5])(?:_([1-9]))?")


@functools.cache
def layer_names(backbone: str) -> tuple[str, ...]:
    """Returns the layers of a backbone whose activations can be used, in Keras' spelling, shallow to deep."""
    return tuple(_layers(backbone, 224, 224))  # Every size has the same names.


def canonical_layer_name(backbone: str, name: str) -> str:
    """Returns Keras' spelling of a layer.

    Args:
      backbone: a name in `BACKBONES`.
      name: the layer, in either spelling.

    Raises:
      ValueError: the backbone has no such layer; the message names the nearest one.
    """
    known = layer_names(backbone)
    if name in known:
        return name
    spelled = name
    if match := _PAPER_SPELLING.fullmatch(name):
        kind, block, index = match.groups()
        spelled = f"block{block}_{kind}{index or ''}"
    if spelled in known:
        return spelled
    raise ValueError(f"{backbone} has no layer {name!r}, the nearest one is {nearest(spelled, known, cutoff=0)!r}")


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of a backbone, for one image size.

    Attributes:
      name: in Keras' spelling.
      inputs: names of the layers whose output it takes; "" stands for the picture.
      height, width, channels: the size of its output.
      products: multiplications for each value of the output; 0 where the layer is no convolution.
      rectified: the layer ends with a ReLU.
      stride: positions of the input for one of the output.
      padding: zeros that are put on each side of the input.
    """

    name: str
    inputs: tuple[str, ...]
    height: int
    width: int
    channels: int
    products: int = 0
    rectified: bool = False
    stride: int = 1
    padding: int = 0

    @property
    def values(self) -> int:
        """Numbers in the output for one picture."""
        return self.height * self.width * self.channels

    @property
    def flops(self) -> int:
        """Multiplications and additions of the convolution for one picture, forward."""
        return 2 * self.products * self.values


def layers_in_use(backbone: str, wanted: Collection[str], height: int, width: int) -> Mapping[str, Layer]:
    """Returns the wanted layers and those that they need, shallow to deep.

    Args:
      backbone: a name in `BACKBONES`.
      wanted: layer names in Keras' spelling.
      height: of the image, in pixels.
      width: of the image, in pixels.
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
    if backbone == "resnet50":
        layers = _resnet50_layers(height, width)
    else:
        layers = _vgg_layers(_VGG_CONVS_PER_BLOCK[backbone], height, width)
    return {layer.name: layer for layer in layers}


def _vgg_layers(convs_per_block: tuple[int, ...], height: int, width: int) -> Iterator[Layer]:
    """3x3 convolutions of 64, 128, 256, 512, 512 channels; each block ends with a pooling that halves the sides."""
    before, channels = "", 3
    for block, convs in enumerate(convs_per_block, start=1):
        for index in range(1, convs + 1):
            name, products, channels = f"block{block}_conv{index}", 9 * channels, min(512, 32 * 2**block)
            yield Layer(name, (before,), height, width, channels, products, rectified=True, padding=1)
            before = name
        height, width = height // 2, width // 2
        name = f"block{block}_pool"
        yield Layer(name, (before,), height, width, channels, stride=2)
        before = name


def _resnet50_layers(height: int, width: int) -> Iterator[Layer]:
    """A 7x7 stem and a pooling, each of stride 2, then the blocks; all stages but the first begin with a stride."""
    height, width = _halved(height), _halved(width)
    yield Layer("conv1_conv", ("",), height, width, 64, products=7 * 7 * 3, stride=2, padding=3)
    yield Layer("conv1_bn", ("conv1_conv",), height, width, 64)
    yield Layer("conv1_relu", ("conv1_bn",), height, width, 64, rectified=True)
    last = Layer("pool1_pool", ("conv1_relu",), _halved(height), _halved(width), 64, stride=2, padding=1)
    yield last
    for stage, blocks in _RESNET50_BLOCKS_PER_STAGE.items():
        for block in range(1, blocks + 1):
            for layer in _bottleneck(stage, block, last):
                yield layer
                last = layer


def _bottleneck(stage: int, block: int, source: Layer) -> Iterator[Layer]:
    """1x1, 3x3 and 1x1 convolutions, the last four times as wide, beside a shortcut that the first block projects."""
    prefix, first = f"conv{stage}_block{block}", block == 1
    narrow = 2 ** (stage + 4)
    stride = 2 if first and stage > 2 else 1
    height, width = (_halved(source.height), _halved(source.width)) if stride > 1 else (source.height, source.width)

    def unit(
        number: int, taken: str, channels: int, products: int, stride: int = 1, padding: int = 0
    ) -> Iterator[Layer]:
        name = f"{prefix}_{number}"
        yield Layer(f"{name}_conv", (taken,), height, width, channels, products, stride=stride, padding=padding)
        yield Layer(f"{name}_bn", (f"{name}_conv",), height, width, channels)
        if number in (1, 2):
            yield Layer(f"{name}_relu", (f"{name}_bn",), height, width, channels, rectified=True)

    yield from unit(1, source.name, narrow, source.channels, stride=stride)
    yield from unit(2, f"{prefix}_1_relu", narrow, 9 * narrow, padding=1)
    if first:
        yield from unit(0, source.name, 4 * narrow, source.channels, stride=stride)
    yield from unit(3, f"{prefix}_2_relu", 4 * narrow, narrow)
    shortcut = f"{prefix}_0_bn" if first else source.name
    yield Layer(f"{prefix}_add", (shortcut, f"{prefix}_3_bn"), height, width, 4 * narrow)
    yield Layer(f"{prefix}_out", (f"{prefix}_add",), height, width, 4 * narrow, rectified=True)


def _halved(side_px: int) -> int:
    return (side_px + 1) // 2
