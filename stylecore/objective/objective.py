"""The objective: the loss terms of each image of a batch, and the gradient to its pixels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.networks.features import FeatureExtractor
from stylecore.objective import losses
from stylecore.objective.feature_map import mapped
from stylecore.objective.normalization import with_normalized_gradient
from stylecore.objective.style_losses.base import Draw, Statistics, StyleLoss, Target
from stylecore.objective.style_losses.gaussian import Gaussian
from stylecore.objective.style_losses.gram import Gram
from stylecore.objective.style_losses.guides import Guides
from stylecore.objective.style_losses.sliced import Sliced
from stylecore.tensors import (
    Features,
    Gradients,
    Images,
    LayerWeightsPerPicture,
    PerPicture,
    Tensor,
    WeightsPerRegion,
)

STYLE_LOSSES: dict[str, StyleLoss] = {"gram": Gram(), "gaussian": Gaussian(), "sliced": Sliced()}


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
      feature_map: what the losses see of the features, see `mapped`.
    """

    def __init__(
        self,
        features: FeatureExtractor,
        content_layers: Sequence[str],
        style_layers: Sequence[str],
        content_loss: str,
        style_loss: str = "gram",
        normalize_gradients: bool = False,
        feature_map: str = "none",
    ) -> None:
        self._features = mapped(features, feature_map)
        self._content_layers = tuple(content_layers)
        self._style_layers = tuple(style_layers)
        self._content_loss = content_loss
        self.style_loss = STYLE_LOSSES[style_loss]
        self._normalize_gradients = normalize_gradients
        self._unguided = (None,) * len(self._style_layers)

    def content_targets(self, images: Images) -> tuple[Features, ...]:
        """Returns the images' content features, one tensor a layer."""
        features = self._features(images)
        return tuple(tf.cast(features[name], tf.float32) for name in self._content_layers)

    def style_statistics(self, images: Images, guides: tuple[Guides, ...] = ()) -> tuple[Statistics, ...]:
        """Returns the images' style statistics, a nest a layer; with guides, of each of their regions."""
        features = self._features(images)
        return tuple(
            self.style_loss.statistics(features[name], guide)
            for name, guide in zip(self._style_layers, guides or self._unguided, strict=True)
        )

    def __call__(self, images: Images, targets: Targets, weights: LossWeights, draws: tuple[Draw, ...] = ()) -> Losses:
        """Returns the images' losses; `draws` are a random style loss's, of each layer."""
        features = self._features(images)
        return self._losses(
            self._content_losses(features, targets.content, weights),
            self._statistics(features, targets.guides, weights),
            losses.total_variation(images),
            targets,
            weights,
            draws,
        )

    def value_and_gradient(
        self, images: Images, targets: Targets, weights: LossWeights, draws: tuple[Draw, ...] = ()
    ) -> tuple[Losses, Gradients]:
        """Returns the images' losses and, for each image, the gradient of its total loss, normalised where it is so.

        Of a grey image it is the gradient's projection onto grey images: the same in all channels.
        """
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            terms = self(images, targets, weights, draws)
        gradient = tape.gradient(terms.total, images)
        return terms, projected(gradient, weights)

    def _content_losses(
        self, features: dict[str, Features], targets: Sequence[Features], weights: LossWeights
    ) -> list[PerPicture]:
        seen = self._seen(features, self._content_layers, weights.content, weights.content_layers)
        return [
            losses.content_loss(seen[name], target, self._content_loss)
            for name, target in zip(self._content_layers, targets, strict=True)
        ]

    def _statistics(
        self, features: dict[str, Features], guides: tuple[Guides, ...], weights: LossWeights
    ) -> list[Statistics]:
        seen = self._seen(features, self._style_layers, weights.style, weights.style_layers)
        return [
            self.style_loss.statistics(seen[name], guide)
            for name, guide in zip(self._style_layers, guides or self._unguided, strict=True)
        ]

    def _seen(
        self, features: dict[str, Features], layers: Sequence[str], weight: PerPicture, shares: LayerWeightsPerPicture
    ) -> dict[str, Features]:
        """Returns what a loss sees of the features: themselves, or in float32 with their gradients normalised."""
        if not self._normalize_gradients:
            return features
        return {
            name: with_normalized_gradient(tf.cast(features[name], tf.float32), weight * shares[:, index])
            for index, name in enumerate(layers)
            if name in features
        }

    def _losses(
        self,
        content: Sequence[PerPicture],
        statistics: Sequence[Statistics],
        variation: PerPicture,
        targets: Targets,
        weights: LossWeights,
        draws: tuple[Draw, ...],
    ) -> Losses:
        """Returns the losses from each layer's content loss and style statistics, and the total variation."""
        factors = [losses.content_mean_factor(target, self._content_loss) for target in targets.content]
        style = [
            self.style_loss.loss(found, target, draws[index] if draws else None)
            for index, (found, target) in enumerate(zip(statistics, targets.style, strict=True))
        ]
        if targets.guides:
            regional = zip(style, targets.region_weights, strict=True)
            style = [tf.reduce_sum(loss * weight, axis=1) for loss, weight in regional]
        style_factors = [self.style_loss.mean_factor(found) for found in statistics]
        content_term = _over_layers(content, factors, weights.content_layers, weights.mean)
        style_term = _over_layers(style, style_factors, weights.style_layers, weights.mean)
        total = weights.content * content_term + weights.style * style_term + weights.tv * variation
        return Losses(total, content_term, style_term, variation)


def projected(gradient: Gradients, weights: LossWeights) -> Gradients:
    """Projects the gradients of grey images onto grey images: the same in all channels."""
    is_grey = weights.grey[:, tf.newaxis, tf.newaxis, tf.newaxis] > 0
    return tf.where(is_grey, tf.reduce_mean(gradient, axis=-1, keepdims=True), gradient)


def _over_layers(
    terms: Sequence[PerPicture],
    mean_factors: Sequence[Tensor | float],
    layers: LayerWeightsPerPicture,
    mean: PerPicture,
) -> PerPicture:
    """Returns the sum of the layers' terms, each weighted, and under the reduction "mean" a mean."""
    reduced = [term * tf.where(mean > 0, factor, 1.0) for term, factor in zip(terms, mean_factors, strict=True)]
    return tf.reduce_sum(tf.stack(reduced, axis=1) * layers, axis=1)
