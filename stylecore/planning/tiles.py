"""Tiles: a picture's shallow layers computed part by part, its deep ones whole. Light: no TensorFlow.

The memory of an evaluation lies in the shallow layers. A tile is computed from its own pixels and a halo of real ones
around them, wide enough that the zeros which each layer pads at the halo's edge reach none of the tile's own positions;
at the picture's edge tiles end with the picture, where the whole network pads zeros too. Sums over the own positions of
all tiles are then those of the whole picture, and so are the gradients.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping

from stylecore.networks.layers import Layer, layers_in_use
from stylecore.planning.buckets import StepKind

# After these layers a network may be cut: all that is deeper depends on their output alone.
_VGG_CUTS = tuple(f"block{block}_pool" for block in range(1, 5))
_CUTS = {
    "vgg16": _VGG_CUTS,
    "vgg19": _VGG_CUTS,
    "resnet50": ("pool1_pool", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out"),
}
# Tiles that are asked for reach at least so far; shallower ones would leave most of the memory where it is.
_USUAL_CUTS = {"vgg16": "block3_pool", "vgg19": "block3_pool", "resnet50": "conv2_block3_out"}


@dataclasses.dataclass(frozen=True, order=True)
class Tiles:
    """How a picture is computed in tiles.

    Attributes:
      last: the deepest layer that is computed in tiles, one after which the network may be cut; "": all layers are.
      side_px: the side of the largest tile without its halo, in pixels; 0: the picture is one tile, whose shallow
        layers are computed for the loss and once more for the gradient, so that they are never held beside the deep
        ones.
    """

    last: str
    side_px: int


@dataclasses.dataclass(frozen=True)
class Cut:
    """A network that is cut behind a layer.

    Attributes:
      last: as in Tiles.
      front: the layers that are computed in tiles, shallow to deep.
      back: the layers that are computed whole; none where `last` is "".
      strides: pixels for one position of each layer of the front.
      halo_px: pixels around a tile that its own positions depend on, a multiple of `stride`.
      rounds_up: a side that the stride does not divide counts as longer, not as shorter.
    """

    last: str
    front: tuple[str, ...]
    back: tuple[str, ...]
    strides: Mapping[str, int]
    halo_px: int
    rounds_up: bool

    @property
    def stride(self) -> int:
        """Pixels for one position of the deepest layer of the front: tiles begin at multiples of it."""
        return max(self.strides.values())

    @property
    def field_px(self) -> int:
        """The side of the receptive field of one position of the front's deepest layer, in pixels."""
        return 2 * self.halo_px + self.stride

    def length(self, layer: str, side_px: int) -> int:
        """Returns the positions of a layer of the front along a side of the picture; works on tensors too."""
        stride = self.strides[layer]
        return (side_px + (stride - 1 if self.rounds_up else 0)) // stride


def cuts(kind: StepKind) -> tuple[Cut, ...]:
    """Returns the ways to cut the network of a step, from few layers in tiles to all of them."""
    return _cuts(kind.backbone, frozenset((*kind.content_layers, *kind.style_layers)))


def cut_after(kind: StepKind, last: str) -> Cut:
    """Returns the network of a step, cut behind a layer; see Tiles."""
    return next(cut for cut in cuts(kind) if cut.last == last)


def usual_cut(kind: StepKind) -> Cut:
    """Returns the shallowest cut for tiles that are asked for."""
    return next(cut for cut in cuts(kind) if cut.last in ("", _USUAL_CUTS[kind.backbone]))


@functools.cache
def smallest_side_px() -> int:
    """Returns the smallest legal side of tiles: the receptive field of the layers that every backbone tiles, in px."""
    usual = (_cut(layers_in_use(backbone, {last}, 224, 224), last) for backbone, last in _USUAL_CUTS.items())
    return max(cut.field_px for cut in usual)


def tile_count(length: int, side_px: int, stride: int) -> int:
    """Returns the number of tiles along a side of `length` pixels; works on tensors too."""
    return -(-length // (side_px - side_px % stride)) if side_px else 1


def tile_start(index: int, count: int, length: int, stride: int) -> int:
    """Returns the first pixel of tile `index` of `count` along a side of `length` pixels; works on tensors too.

    Tiles are as even as multiples of the stride can be; the last one takes what remains.
    """
    return -(-index * (length // stride) // count) * stride


def tile_sides(length: int, cut: Cut, side_px: int) -> Iterator[int]:
    """Yields the length of each tile with its halo along a side of `length` pixels."""
    count = tile_count(length, side_px, cut.stride)
    starts = [tile_start(index, count, length, cut.stride) for index in range(count)]
    for start, end in zip(starts, [*starts[1:], length], strict=True):
        yield min(length, end + cut.halo_px) - max(0, start - cut.halo_px)


@functools.lru_cache(maxsize=256)
def _cuts(backbone: str, wanted: frozenset[str]) -> tuple[Cut, ...]:
    layers = layers_in_use(backbone, wanted, 224, 224)  # Every size has the same strides and paddings.
    deepest = list(layers)[-1]
    return tuple(
        _cut(layers, last) for last in (*_CUTS[backbone], "") if (last in layers and last != deepest) or not last
    )


def _cut(layers: Mapping[str, Layer], last: str) -> Cut:
    names = list(layers)
    count = names.index(last) + 1 if last else len(names)
    strides, wrong = {"": 1}, {"": 0}
    for layer in list(layers.values())[:count]:
        strides[layer.name] = max(strides[name] for name in layer.inputs) * layer.stride
        # Positions at the edge of a tile that see zeros where the picture goes on.
        wrong[layer.name] = max(math.ceil((wrong[name] + layer.padding) / layer.stride) for name in layer.inputs)
    stride = max(strides.values())
    halo_px = max(strides[name] * wrong[name] for name in strides)
    return Cut(
        last=last,
        front=tuple(names[:count]),
        back=tuple(names[count:]),
        strides={name: strides[name] for name in names[:count]},
        halo_px=math.ceil(halo_px / stride) * stride,
        rounds_up=layers[names[0]].stride > 1,
    )
