"""What the pictures of a batch are compared with, computed one image at a time and cached; and what is left out."""

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import cachetools
import numpy as np
import tensorflow as tf

from stylecore.images.style import FittedStyle
from stylecore.objective.objective import STYLE_LOSSES, Objective, Targets
from stylecore.objective.regions import LayerRegion, layer_masks, layer_regions, left_out, position_weights
from stylecore.objective.style_losses.base import Target
from stylecore.objective.style_losses.guides import Guides, padded_guides
from stylecore.planning.buckets import StepKind
from stylecore.run.problem import Problem
from stylecore.tensors import LayerWeightsPerPicture, Tensor

CACHE_BYTES = 512 * 2**20
# After a lack of memory nothing is cached for so long: other processes come and go on a device.
PAUSE_SECS = 600.0

# Content targets, style statistics or style targets: a nest of tensors for each layer.
Nests = tuple[Any, ...]
# The numbers of regions, rows and overlaps of one picture's guides, at each style layer.
Layout = tuple[tuple[int, ...], ...]
# The regions of one picture, at each style layer.
Plan = tuple[tuple[LayerRegion, ...], ...]


class TargetMaker:
    """Makes the targets of batches of one StepKind.

    Args:
      kind: what the compiled step fixes.
      objective: (height, width, whether a mask says where) -> what computes content targets and statistics of an image,
        and whether XLA compiles it as it compiles that of the pictures: both then round alike.
      clock: the time in seconds.
    """

    def __init__(
        self, kind: StepKind, objective: Callable[[int, int, bool], tuple[Objective, bool]], clock: Callable[[], float]
    ) -> None:
        self._kind = kind
        self._objective = objective
        self._style_loss = STYLE_LOSSES[kind.style_loss]
        self._cache = cachetools.LRUCache[Any, Nests](CACHE_BYTES, getsizeof=_bytes_of)
        self._clock = clock
        self._keeps_from = -math.inf
        self._functions: dict[Objective, _TargetFunctions] = {}

    def targets(self, problems: Sequence[Problem]) -> Targets:
        """Returns the targets of a batch."""
        content = _stack([self._cached(self._content, problem.content) for problem in problems])
        plans = [_plan(self._kind, problem) for problem in problems]
        statistics = [[self._style_statistics(style) for style in problem.styles] for problem in problems]
        pictures = list(zip(plans, problems, statistics, strict=True))
        if not self._kind.regions:
            return Targets(content, _stack([self._whole(*picture) for picture in pictures]))
        count = max(len(plan[0]) for plan in plans)
        style, weights = zip(*(self._regional(*picture, count) for picture in pictures), strict=True)
        guides = tuple(Guides(*map(tf.constant, layer)) for layer in self._guides(plans, count))
        return Targets(content, _stack(style), guides, _stack(weights))

    def counted_layers(self, problems: Sequence[Problem]) -> LayerWeightsPerPicture:
        """Returns 1 for each picture and style layer, 0 where all its styles are left out."""
        plans = (_plan(self._kind, problem) for problem in problems)
        return np.array([[any(region.styles for region in layer) for layer in plan] for plan in plans], np.float32)

    def layout(self, problem: Problem) -> Layout:
        """Returns the shapes of a picture's guides: where they differ, the last bits of neighbours in a batch may."""
        if not self._kind.regions:
            return ()
        plan = _plan(self._kind, problem)
        guides = self._guides([plan], len(plan[0]))
        return tuple((*layer.rows.shape, layer.slots.shape[1]) for layer in guides)

    def release(self) -> bool:
        """Drops what is cached, and caches nothing for ten minutes; returns whether there was anything."""
        held = self._cache.currsize > 0
        self._cache.clear()
        self._keeps_from = self._clock() + PAUSE_SECS
        return held

    def _whole(self, plan: Plan, problem: Problem, statistics: Sequence[Nests]) -> tuple[Target, ...]:
        """Returns the targets of a picture without regions: at each layer its styles' blend."""
        weights = [style.weight for style in problem.styles]
        everyone = tuple(range(len(weights)))
        return tuple(
            self._blend(region.styles or everyone, layer, statistics, weights) for layer, (region,) in enumerate(plan)
        )

    def _regional(
        self, plan: Plan, problem: Problem, statistics: Sequence[Nests], count: int
    ) -> tuple[tuple[Target, ...], tuple[Tensor, ...]]:
        """Returns the targets of a picture's regions, and the weights of their losses, for `count` regions a layer."""
        targets, weights = [], []
        for layer, regions in enumerate(plan):
            counted = [region.styles for region in regions if region.styles]
            totals = [sum(problem.styles[index].weight for index in styles) for styles in counted]
            blends = [
                self._blend(
                    styles, layer, statistics, [style.weight / total if total else 1.0 for style in problem.styles]
                )
                for styles, total in zip(counted, totals, strict=True)
            ] or [self._blend((0,), layer, statistics, [1.0])]
            blends += blends[:1] * (count - len(blends))
            targets.append(tf.nest.map_structure(_stacked, *blends))
            weights.append(tf.constant([totals + [0.0] * (count - len(totals))], tf.float32))
        return tuple(targets), tuple(weights)

    def _content(self, image: Tensor) -> Nests:
        return self._functions_for(image).content(image)

    def _statistics(self, image: Tensor) -> Nests:
        return self._functions_for(image).statistics(image)

    def _functions_for(self, image: Tensor, masked: bool = False) -> "_TargetFunctions":
        height, width = image.shape[1:3]
        objective, xla = self._objective(height, width, masked)
        if objective not in self._functions:
            self._functions[objective] = _TargetFunctions(self._kind, objective, xla)
        return self._functions[objective]

    def _blend(
        self, styles: Sequence[int], layer: int, statistics: Sequence[Nests], weights: Sequence[float]
    ) -> Target:
        return self._style_loss.blend(
            [statistics[style][layer] for style in styles], [weights[style] for style in styles]
        )

    def _guides(self, plans: Sequence[Plan], count: int) -> tuple[Guides, ...]:
        power = self._style_loss.mask_power
        layers = zip(*plans, strict=True)
        return tuple(padded_guides([_weights(regions, power) for regions in layer], count) for layer in layers)

    def _style_statistics(self, style: FittedStyle) -> Nests:
        if style.style_mask is None:
            return self._cached(self._statistics, style.image)
        return self._cached(self._masked_statistics, style.image, style.style_mask)

    def _masked_statistics(self, image: Tensor, mask: np.ndarray) -> Nests:
        """Returns the statistics of the part of one image, [1, height, width, 3], that its mask gives."""
        masks = layer_masks(self._kind, mask)
        # A layer at which the mask is empty leaves the style out.
        weights = (
            position_weights(layer if layer.any() else layer + 1, self._style_loss.mask_power) for layer in masks
        )
        guides = tuple(padded_guides([[layer]], 1) for layer in weights)
        found = self._functions_for(image, masked=True).guided_statistics(image, guides)
        return tf.nest.map_structure(lambda tensor: tensor[:, 0], found)

    def _cached(self, compute: Callable[..., Nests], image: np.ndarray, *others: np.ndarray) -> Nests:
        digest = hashlib.blake2b(b"".join(array.tobytes() for array in (image, *others))).digest()
        key = (compute, image.shape, digest)
        if (found := self._cache.get(key)) is not None:
            return found
        # Computed one image at a time, targets have the same bits in every batch.
        targets = compute(tf.constant(image[np.newaxis]), *others)
        if _bytes_of(targets) <= CACHE_BYTES and self._clock() >= self._keeps_from:
            self._cache[key] = targets
        return targets


class _TargetFunctions:
    """What of an objective is compiled for targets."""

    def __init__(self, kind: StepKind, objective: Objective, xla: bool) -> None:
        compiled = functools.partial(tf.function, autograph=False, jit_compile=xla or None)
        image = tf.TensorSpec([None, None, None, 3], tf.float32)
        self.content = compiled(objective.content_targets, input_signature=[image])
        self.statistics = compiled(objective.style_statistics, input_signature=[image])
        guides = Guides(
            tf.TensorSpec([1, 1, None], tf.int32),
            tf.TensorSpec([1, 1, None, 1], tf.float32),
            tf.TensorSpec([1, 1, None], tf.int32),
        )
        self.guided_statistics = compiled(
            objective.style_statistics, input_signature=[image, (guides,) * len(kind.style_layers)]
        )


def _plan(kind: StepKind, problem: Problem) -> Plan:
    return layer_regions(kind, problem.styles, *problem.content.shape[:2])


def _weights(regions: Sequence[LayerRegion], power: float) -> list[np.ndarray]:
    """Returns the weights of the positions in each region that counts at a layer, at least in one."""
    counted = [region.mask for region in regions if region.styles] or [np.ones_like(regions[0].mask)]
    return [position_weights(mask, power) for mask in counted if mask is not None]


def _stack(pictures: Sequence[Nests]) -> Nests:
    return tf.nest.map_structure(lambda *tensors: tf.concat(_filled_up(tensors), axis=0), *pictures)


def _stacked(*tensors: Tensor) -> Tensor:
    return tf.stack(_filled_up(tensors), axis=1)


def _filled_up(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Returns tensors of one shape: those that are shorter get zeros at their ends."""
    largest = np.max([tuple(tensor.shape) for tensor in tensors], axis=0)
    missing = [[[0, end - side] for end, side in zip(largest, tensor.shape, strict=True)] for tensor in tensors]
    return [tf.pad(tensor, ends) if np.any(ends) else tensor for tensor, ends in zip(tensors, missing, strict=True)]


def _bytes_of(targets: Nests) -> int:
    return sum(int(np.prod(tensor.shape)) * tensor.dtype.size for tensor in tf.nest.flatten(targets))


def check_masks(kind: StepKind, problem: Problem) -> None:
    """Raises ValueError if a mask is too small at every style layer of every stage, see `layer_regions`."""
    stages = [left_out(kind, stage.styles, *stage.content.shape[:2]) for stage in problem.stages]
    for (field, style), layers in stages[-1].items():
        if all(stage.get((field, style)) == kind.style_layers for stage in stages):
            raise ValueError(
                f"{field} of style {style + 1} must cover a position at a style layer, got none at {', '.join(layers)}"
            )


def mask_notes(kind: StepKind, problem: Problem) -> tuple[str, ...]:
    """Returns one line for each mask that is left out at style layers of a stage, see `layer_regions`."""
    return tuple(
        f"{field} of style {style + 1} is too small at {', '.join(layers)} of {stage.content.shape[1]}x"
        f"{stage.content.shape[0]} pixels: left out there"
        for stage in problem.stages
        for (field, style), layers in left_out(kind, stage.styles, *stage.content.shape[:2]).items()
    )
