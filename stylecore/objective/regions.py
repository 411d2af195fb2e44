"""Regions: which styles apply where in a picture, and how much each position of a layer counts there. No TensorFlow.

Styles with the same content mask form one region; those without one form the region "everywhere". The loss of a layer
is the sum over its regions of (sum of the styles' weights) x E, E taken with statistics guided by the region's mask and
with the styles' weights divided by their sum.

The paper also has guides that leave out positions whose receptive fields cross a border. Here every position counts: on
a photograph of 256 px with two paintings side by side the styles mix in a strip of about 25 px, and with positions left
out nothing would say how that strip should look.

References:
  Gatys, Ecker, Bethge, Hertzmann, Shechtman: Controlling Perceptual Factors in Neural Style Transfer. CVPR 2017.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stylecore.images.style import FittedStyle, has_regions
from stylecore.networks.layers import layers_in_use
from stylecore.planning.buckets import StepKind

# A mask of one layer or of a picture, [height, width] float32 in 0..1.
Mask = np.ndarray


class LayerRegion(NamedTuple):
    """A region at one layer.

    Attributes:
      mask: at the layer's positions; None where no style has a content mask.
      styles: the indices of the styles that count; none where the region or all its styles are left out.
      left_out: the masks that are too small here, as (name of the field, index of the style).
    """

    mask: Mask | None
    styles: tuple[int, ...]
    left_out: tuple[tuple[str, int], ...] = ()


def layer_regions(
    kind: StepKind, styles: Sequence[FittedStyle], height: int, width: int
) -> tuple[tuple[LayerRegion, ...], ...]:
    """Returns the regions of a picture at each style layer, in the same order at all of them.

    A mask is too small at a layer where no position has more than 0.5 of it, or all together have less than 1. A region
    whose content mask is too small is left out there, and so is a style whose style mask is.

    Args:
      kind: gives the backbone and the style layers.
      styles: of the picture.
      height, width: of the picture, in pixels.
    """
    members = _members(styles)
    everywhere = np.ones((height, width), np.float32) if has_regions(styles) else None
    contents = (styles[indices[0]].content_mask for indices in members)
    guides = [_at_layers(kind, everywhere if mask is None else mask) for mask in contents]
    sources = [_at_layers(kind, style.style_mask) for style in styles]
    return tuple(
        tuple(
            _layer_region(guide[layer], indices, sources, layer) for guide, indices in zip(guides, members, strict=True)
        )
        for layer in range(len(kind.style_layers))
    )


def _members(styles: Sequence[FittedStyle]) -> list[list[int]]:
    """Returns the indices of the styles of each region, in the order of their first styles."""
    members: dict[bytes | None, list[int]] = {}
    for index, style in enumerate(styles):
        key = None if style.content_mask is None else style.content_mask.tobytes()
        members.setdefault(key, []).append(index)
    return list(members.values())


def _at_layers(kind: StepKind, mask: Mask | None) -> tuple[Mask | None, ...]:
    return (None,) * len(kind.style_layers) if mask is None else layer_masks(kind, mask)


def _layer_region(
    mask: Mask | None, indices: Sequence[int], sources: Sequence[Sequence[Mask | None]], layer: int
) -> LayerRegion:
    if not _has_room(mask):
        return LayerRegion(mask, (), tuple(("content_mask", index) for index in indices))
    present = tuple(index for index in indices if _has_room(sources[index][layer]))
    return LayerRegion(mask, present, tuple(("style_mask", index) for index in indices if index not in present))


def _has_room(mask: Mask | None) -> bool:
    return mask is None or bool(mask.max() > 0.5 and mask.sum() >= 1.0)


def layer_masks(kind: StepKind, mask: Mask) -> tuple[Mask, ...]:
    """Returns a mask at the positions of each style layer.

    Each position takes the mean of the mask over the pixels that its layer's strides give it. VGG's poolings halve the
    sides and drop an odd last row or column, so that positions take cells of 2 x 2. ResNet50's strides keep every
    second position, so that each takes itself and half of its neighbours.

    Args:
      kind: gives the backbone and the style layers.
      mask: [height, width] float32 in 0..1, of the image's size.
    """
    halve = _thinned if kind.backbone == "resnet50" else _pooled
    layers = layers_in_use(kind.backbone, frozenset(kind.style_layers), *mask.shape)
    sizes = {(layers[name].height, layers[name].width) for name in kind.style_layers}
    at_size = dict(_halved(mask, halve, min(sizes)))
    return tuple(at_size[layers[name].height, layers[name].width] for name in kind.style_layers)


def _halved(
    mask: Mask, halve: Callable[[Mask, int], Mask], last: tuple[int, ...]
) -> Iterator[tuple[tuple[int, ...], Mask]]:
    """Yields a mask at its own size, at half, at a quarter, down to the last size."""
    yield mask.shape, mask
    while mask.shape != last:
        mask = halve(halve(mask, 0), 1)
        yield mask.shape, mask


def _pooled(mask: Mask, axis: int) -> Mask:
    """Returns the mean of the first two values, of the next two and so on; an odd last one is dropped."""
    pairs = np.moveaxis(mask, axis, 0)[: mask.shape[axis] // 2 * 2]
    return np.moveaxis((pairs[0::2] + pairs[1::2]) / 2, 0, axis)


def _thinned(mask: Mask, axis: int) -> Mask:
    """Returns the first value, the third and so on, each averaged with its neighbours, which count half."""
    padded = np.pad(np.moveaxis(mask, axis, 0), ((1, 1), (0, 0)), mode="edge")
    smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    return np.moveaxis(smooth[::2], 0, axis)


def position_weights(mask: Mask, power: float) -> np.ndarray:
    """Returns how much each position counts, m^p / mean(m^p), float32 [height, width], for a `mask_power` p.

    Under Gram matrices p is 2: the features are multiplied by T, the mask scaled so that mean(T^2) = 1.
    """
    weights = mask.astype(np.float64) ** power
    return (weights / weights.mean()).astype(np.float32)


def left_out(
    kind: StepKind, styles: Sequence[FittedStyle], height: int, width: int
) -> dict[tuple[str, int], tuple[str, ...]]:
    """Returns the style layers at which a mask is too small, by the mask's field and the index of its style.

    Args: see `layer_regions`.
    """
    found: dict[tuple[str, int], tuple[str, ...]] = {}
    for name, regions in zip(kind.style_layers, layer_regions(kind, styles, height, width), strict=True):
        for mask in (mask for region in regions for mask in region.left_out):
            found[mask] = (*found.get(mask, ()), name)
    return found
