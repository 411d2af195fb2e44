"""The objective: the loss terms of each image of a batch, and the gradient to its pixels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.networks.features import FeatureExtractor
from stylecore.objective import losses
from stylecore.objective.normalization import with_normalized_gradient
from stylecore.objective.style_losses.base import Draw, Statistics, StyleLoss, Target
from stylecore.objective.style_losses.gram import Gram
from stylecore.objective.style_losses.guides import Guides
from stylecore.tensors import (
    Features,
    Gradients,
    Images,
    LayerWeightsPerPicture,
    PerPicture,
    Tensor,
    WeightsPerRegion,
)

STYLE_LOSSES: dict[str, StyleLoss] = {"gram": Gram()}


class Targets(NamedTuple):
    """The targets that a batch of pictures is compared with, per content layer and per style layer, in sorted order.

    Attributes:
      content: features.
      style: nests of tensors, the style loss's.
      guides: the pictures' regions at each style layer; none where the step has no regions.
      region_weights: what the loss of each region is multiplied by, likewise.
    """

    content: tuple[Features, ...]
    style: tuple[Target, ...]
    guides: tuple[Guides, ...] = ()
    region_weights: tuple[WeightsPerRegion, ...] = ()


class LossWeights(NamedTuple):
    """The loss weights of a batch, and 1 or 0 for what is so of a picture.

    Attributes:
      mean: 1 where the reduction is "mean", 0 where it is "sum".
      grey: 1 where the picture has three equal channels and keeps them.
    """

    content: PerPicture
    style: PerPicture
    tv: PerPicture
    content_layers: LayerWeightsPerPicture
    style_layers: LayerWeightsPerPicture
    mean: PerPicture
    grey: PerPicture


class Losses(NamedTuple):
    """The loss terms of a batch: `total` is weighted, the others are not."""

    total: PerPicture
    content: PerPicture
    style: PerPicture
    tv: PerPicture


def loss_weights(configs: Sequence[StyleConfig]) -> LossWeights:
    """Stacks the loss weights of a batch's configurations, as NumPy arrays."""
    rows = [
        (
            config.content_weight,
            config.style_weight,
            config.tv_weight,
            [weight for _, weight in sorted(config.content_layers)],
            [weight for _, weight in sorted(config.style_layers)],
            float(config.reduction == "mean"),
            float(config.color == "content"),
        )
        for config in configs
    ]
    return LossWeights(*(np.asarray(column, np.float32) for column in zip(*rows, strict=True)))


class Objective:
    """L_total = alpha L_content + beta L_style + gamma L_tv, for a batch in which each image has its own weights.

    Args:
      features: extracts at least the content and style layers.
      content_layers, style_layers: Keras' names, sorted.
      content_loss: "l2" or "l1".
      style_loss: a name in STYLE_LOSSES.
      normalize_gradients: of each loss layer, see `with_normalized_gradient`.
    """

    def __init__(
        self,
        features: FeatureExtractor,
        content_layers: Sequence[str],
        style_layers: Sequence[str],
        content_loss: str,
        style_loss: str = "gram",
        normalize_gradients: bool = False,
    ) -> None:
        self._features = features
        self._content_layers = tuple(content_layers)
        self._style_layers = tuple(style_layers)
        self._content_loss = content_loss
        self.style_loss = STYLE_LOSSES[style_loss]
        self._normalize_gradients = normalize_gradients
        self._unguided = (None,) * len(self._style_layers)

    def content_targets(self, images: Images) -> tuple[Features, ...]:
        """Returns the images' content features, one tensor a layer."""
        features = self._features(images)
        return tuple(features[name] for name in self._content_layers)

    def style_statistics(self, images: Images, guides: tuple[Guides, ...] = ()) -> tuple[Statistics, ...]:
        """Returns the images' style statistics, a nest a layer; with guides, of each of their regions."""
        features = self._features(images)
        return tuple(
            self.style_loss.statistics(features[name], guide)
            for name, guide in zip(self._style_layers, guides or self._unguided, strict=True)
        )

    def __call__(self, images: Images, targets: Targets, weights: LossWeights, draw: Draw | None = None) -> Losses:
        """Returns the images' losses; `draw` is for a random style loss."""
        features = self._features(images)
        seen = self._seen(features, self._content_layers, weights.content, weights.content_layers)
        content = self._content(seen, targets.content, weights)
        seen = self._seen(features, self._style_layers, weights.style, weights.style_layers)
        style = self._style(seen, targets, weights, draw)
        tv = losses.total_variation(images)
        total = weights.content * content + weights.style * style + weights.tv * tv
        return Losses(total, content, style, tv)

    def value_and_gradient(
        self, images: Images, targets: Targets, weights: LossWeights, draw: Draw | None = None
    ) -> tuple[Losses, Gradients]:
        """Returns the images' losses and, for each image, the gradient of its total loss, normalised where it is so.

        Of a grey image it is the gradient's projection onto grey images: the same in all channels.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            terms = self(images, targets, weights, draw)
        gradient = tape.gradient(terms.total, images)
        is_grey = weights.grey[:, tf.newaxis, tf.newaxis, tf.newaxis] > 0
        return terms, tf.where(is_grey, tf.reduce_mean(gradient, axis=-1, keepdims=True), gradient)

    def _seen(
        self, features: dict[str, Features], layers: Sequence[str], weight: PerPicture, shares: LayerWeightsPerPicture
    ) -> dict[str, Features]:
        """Returns what a loss sees of the features: themselves, with their gradients normalised where it is so."""
        if not self._normalize_gradients:
            return features
        return {
            name: with_normalized_gradient(features[name], weight * shares[:, index])
            for index, name in enumerate(layers)
        }

    def _content(self, features: dict[str, Features], targets: Sequence[Features], weights: LossWeights) -> PerPicture:
        layers = []
        for name, target in zip(self._content_layers, targets, strict=True):
            loss = losses.content_loss(features[name], target, self._content_loss)
            layers.append(_reduced(loss, losses.content_mean_factor(target, self._content_loss), weights.mean))
        return tf.reduce_sum(tf.stack(layers, axis=1) * weights.content_layers, axis=1)

    def _style(
        self, features: dict[str, Features], targets: Targets, weights: LossWeights, draw: Draw | None
    ) -> PerPicture:
        layers = []
        guides = targets.guides or self._unguided
        for index, (name, target, guide) in enumerate(zip(self._style_layers, targets.style, guides, strict=True)):
            statistics = self.style_loss.statistics(features[name], guide)
            loss = self.style_loss.loss(statistics, target, draw)
            if guide is not None:
                loss = tf.reduce_sum(loss * targets.region_weights[index], axis=1)
            layers.append(_reduced(loss, self.style_loss.mean_factor(statistics), weights.mean))
        return tf.reduce_sum(tf.stack(layers, axis=1) * weights.style_layers, axis=1)


def _reduced(loss: PerPicture, mean_factor: Tensor | float, mean: PerPicture) -> PerPicture:
    return loss * tf.where(mean > 0, mean_factor, 1.0)
