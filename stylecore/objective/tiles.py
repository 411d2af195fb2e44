"""The objective of pictures larger than memory: shallow layers tile by tile, the same losses and gradients.

An evaluation goes over the tiles twice. The first pass adds up each shallow layer's sums over positions and assembles
the activations behind which the network is cut; from them the deep layers, the losses and the gradients to the sums and
the assembled activations are computed whole. The second pass computes each tile once more and takes the gradient to its
pixels, and where halos overlap the gradients add up. `stylecore.planning.tiles` says why this is exact.

References:
  Chen, Xu, Zhang, Guestrin: Training Deep Nets with Sublinear Memory Cost. arXiv:1604.06174, for the second pass.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from stylecore.networks.features import FeatureExtractor
from stylecore.objective import losses
from stylecore.objective.feature_map import map_features
from stylecore.objective.objective import Losses, LossWeights, Objective, Targets, projected
from stylecore.objective.style_losses.base import Draw, Statistics, StyleLoss, SummedStyleLoss
from stylecore.objective.style_losses.guides import Guides, dense_guides, dense_roots
from stylecore.planning.tiles import Cut, tile_count, tile_start
from stylecore.tensors import Features, Gradients, Images, PerPicture, Tensor

Compile = Callable[[Callable[..., Any]], Callable[..., Any]]


class _Tile(NamedTuple):
    """A tile's place: rows and columns, int32 [2]; ends are exclusive.

    Attributes:
      size: the picture's.
      begin, end: its own pixels.
      first, behind: its pixels with its halo.
    """

    size: Tensor
    begin: Tensor
    end: Tensor
    first: Tensor
    behind: Tensor


class _Compared(NamedTuple):
    """What a tile is compared with, for all tiles together; () where there is none.

    Attributes:
      content: targets of the content layers of the front.
      roots: square roots of the weights of all positions in each region, [batch, regions, height, width, 1] float32,
        for each style layer of the front.
      weights: of the losses.
    """

    content: tuple[Features, ...] = ()
    roots: tuple[Tensor, ...] = ()
    weights: LossWeights | tuple[()] = ()


class _Part(NamedTuple):
    """What one tile gives, or several of them together.

    Attributes:
      sums: a nest of sums over positions, which add up.
      maps: activations of some layers in float32, which lie side by side.
    """

    sums: Any
    maps: tuple[Features, ...]


class TiledObjective(Objective):
    """An Objective that computes the layers in front of a cut in tiles; implements the same interface.

    Args:
      features: extracts at least the content and style layers.
      content_layers, style_layers: Keras' names, sorted.
      content_loss: "l2" or "l1".
      style_loss: a name in STYLE_LOSSES; unless the picture is one tile, its statistics are means over positions.
      normalize_gradients: of each loss layer; only where the picture is one tile.
      feature_map: what the losses see of the features, see `map_features`; "none" unless the picture is one tile.
      cut: where the network is cut.
      side_px: as in `Tiles`.
      compiled: makes each of the functions that compute layers one operation of the graph. Memory is bounded because
        these follow one another.
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
        *,
        cut: Cut,
        side_px: int,
        compiled: Compile,
    ) -> None:
        super().__init__(features, content_layers, style_layers, content_loss, style_loss, normalize_gradients)
        self._summed = self.style_loss if isinstance(self.style_loss, SummedStyleLoss) else _OneTile(self.style_loss)
        self._feature_map = feature_map
        self._cut = cut
        self._side_px = side_px
        wanted = {*content_layers, *style_layers}
        self._front_content = [name for name in self._content_layers if name in cut.front]
        self._front_style = [name for name in self._style_layers if name in cut.front]
        self._bridge = [cut.last] if cut.last else []
        self._front = features.with_layers(sorted({*self._front_content, *self._front_style, *self._bridge}))
        self._back = features.behind(cut.last, sorted(wanted & {*cut.back})) if cut.last else None
        self._part = compiled(self._part_of_tile)
        self._maps = compiled(self._maps_of_tile)
        self._gradient = compiled(self._gradient_of_tile)
        self._joined = compiled(self._losses_and_upstream)

    def content_targets(self, images: Images) -> tuple[Features, ...]:
        """Returns the images' content features, one tensor a layer."""
        names = [*self._front_content, *self._bridge]
        whole = self._together(images, names, lambda pixels, tile: _Part((), self._maps(pixels, tile)))
        front = whole.maps[: len(self._front_content)]
        features = dict(zip(self._front_content, front, strict=True)) | self._deep_features(whole)
        return tuple(tf.cast(features[name], tf.float32) for name in self._content_layers)

    def style_statistics(self, images: Images, guides: tuple[Guides, ...] = ()) -> tuple[Statistics, ...]:
        """Returns the images' style statistics, a nest a layer; with guides, of each of their regions."""
        compared = _Compared(roots=self._roots(images, guides))
        whole = self._first_pass(images, compared)
        return tuple(self._joined_statistics(whole, tf.shape(images)[1:3], self._deep_features(whole), guides))

    def __call__(self, images: Images, targets: Targets, weights: LossWeights, draws: tuple[Draw, ...] = ()) -> Losses:
        """Returns the images' losses."""
        whole = self._first_pass(images, self._compared(images, targets, weights))
        return self._joined_losses(
            whole, losses.total_variation(images), tf.shape(images)[1:3], targets, weights, draws
        )

    def value_and_gradient(
        self, images: Images, targets: Targets, weights: LossWeights, draws: tuple[Draw, ...] = ()
    ) -> tuple[Losses, Gradients]:
        """Returns the images' losses and the gradients of their total losses, see `Objective`."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            variation = losses.total_variation(images)
            weighted = weights.tv * variation
        gradient = tape.gradient(weighted, images)
        compared = self._compared(images, targets, weights)
        whole = self._first_pass(images, compared)
        terms, upstream = self._joined(whole, variation, tf.shape(images)[1:3], targets, weights, draws)

        def add(index: Tensor, gradient: Gradients) -> tuple[Tensor, Gradients]:
            tile = self._tile(images, index)
            found = self._gradient(_cropped(images, tile.first, tile.behind), compared, tile, upstream)
            before = _cropped(gradient, tile.first, tile.behind)
            return index + 1, _placed(gradient, before + found, tile.first)

        return terms, projected(self._over_tiles(images, 0, add, gradient), weights)

    def _first_pass(self, images: Images, compared: _Compared) -> _Part:
        return self._together(images, self._bridge, lambda pixels, tile: self._part(pixels, compared, tile))

    def _compared(self, images: Images, targets: Targets, weights: LossWeights) -> _Compared:
        content = zip(self._content_layers, targets.content, strict=True)
        front = tuple(target for name, target in content if name in self._front_content)
        return _Compared(front, self._roots(images, targets.guides), weights)

    def _roots(self, images: Images, guides: tuple[Guides, ...]) -> tuple[Tensor, ...]:
        size = tf.shape(images)[1:3]
        named = zip(self._style_layers if guides else (), guides, strict=True)
        return tuple(
            dense_roots(guide, self._cut.length(name, size)) for name, guide in named if name in self._front_style
        )

    def _together(self, images: Images, names: Sequence[str], part: Callable[[Images, _Tile], _Part]) -> _Part:
        """Returns what all tiles give together; `names` are the layers of the maps."""

        def at(index: Tensor) -> tuple[_Part, list[Tensor]]:
            tile = self._tile(images, index)
            begins = [tile.begin // self._cut.strides[name] for name in names]
            return part(_cropped(images, tile.first, tile.behind), tile), begins

        def add(index: Tensor, whole: _Part) -> tuple[Tensor, _Part]:
            (sums, maps), begins = at(index)
            placed = zip(whole.maps, maps, begins, strict=True)
            return index + 1, _Part(
                tf.nest.map_structure(tf.add, whole.sums, sums), tuple(_placed(*one) for one in placed)
            )

        # The first tile tells what the others are added to.
        (sums, maps), begins = at(0)
        empty = [tf.zeros(self._shape(name, images, own)) for name, own in zip(names, maps, strict=True)]
        begun = _Part(sums, tuple(_placed(*one) for one in zip(empty, maps, begins, strict=True)))
        return self._over_tiles(images, 1, add, begun)

    def _over_tiles(self, images: Images, first: int, add: Callable[..., Any], begun: Any) -> Any:
        count = tf.reduce_prod(self._counts(tf.shape(images)[1:3]))
        _, done = tf.while_loop(lambda index, _: index < count, add, (tf.constant(first), begun), parallel_iterations=1)
        return done

    def _counts(self, size: Tensor) -> Tensor:
        return tile_count(size, self._side_px, self._cut.stride) if self._side_px else tf.ones_like(size)

    def _tile(self, images: Images, index: Tensor) -> _Tile:
        size = tf.shape(images)[1:3]
        counts = self._counts(size)
        at = tf.stack([index // counts[1], index % counts[1]])
        begin = tile_start(at, counts, size, self._cut.stride)
        end = tf.where(at + 1 < counts, tile_start(at + 1, counts, size, self._cut.stride), size)
        halo = self._cut.halo_px
        return _Tile(size, begin, end, tf.maximum(begin - halo, 0), tf.minimum(end + halo, size))

    def _shape(self, name: str, images: Images, own: Features) -> Tensor:
        shape = tf.shape(images)
        return tf.concat([shape[:1], self._cut.length(name, shape[1:3]), [own.shape[-1]]], axis=0)

    def _own(self, name: str, tile: _Tile) -> tuple[Tensor, Tensor]:
        """Returns where in the whole layer the tile's own positions begin and end."""
        stride = self._cut.strides[name]
        end = tf.where(tile.end < tile.size, tile.end // stride, self._cut.length(name, tile.size))
        return tile.begin // stride, end

    def _features_of_tile(self, pixels: Images, tile: _Tile) -> dict[str, Features]:
        """Returns the activations at the tile's own positions."""
        own = {}
        for name, activations in self._front(pixels).items():
            begin, end = self._own(name, tile)
            before = tile.first // self._cut.strides[name]
            own[name] = _cropped(activations, begin - before, end - before)
        return own

    def _part_of_tile(self, pixels: Images, compared: _Compared, tile: _Tile) -> _Part:
        """Returns the sums of the content losses, where there are targets, and of the style losses."""
        features = self._features_of_tile(pixels, tile)
        weights = compared.weights
        content = style = map_features(features, self._feature_map)
        if weights:
            content, style = (
                self._seen(content, self._content_layers, weights.content, weights.content_layers),
                self._seen(style, self._style_layers, weights.style, weights.style_layers),
            )
        lost = tuple(
            losses.content_loss(content[name], _cropped(target, *self._own(name, tile)), self._content_loss)
            for name, target in zip(self._front_content if weights else (), compared.content, strict=True)
        )
        named = zip(self._front_style if compared.roots else (), compared.roots, strict=True)
        guides: list[Any] = [dense_guides(_cropped(roots, *self._own(name, tile))) for name, roots in named]
        sums = tuple(
            self._summed.sums(style[name], guide)
            for name, guide in zip(self._front_style, guides or [None] * len(self._front_style), strict=True)
        )
        return _Part((lost, sums), _in_float32(features, self._bridge))

    def _maps_of_tile(self, pixels: Images, tile: _Tile) -> tuple[Features, ...]:
        features = self._features_of_tile(pixels, tile)
        content = map_features(features, self._feature_map)
        return (*_in_float32(content, self._front_content), *_in_float32(features, self._bridge))

    def _gradient_of_tile(self, pixels: Images, compared: _Compared, tile: _Tile, upstream: _Part) -> Gradients:
        """Returns the gradient to the tile's pixels, halo included, from those to the sums and the whole maps."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(pixels)
            part = self._part_of_tile(pixels, compared, tile)
        maps = tuple(
            _cropped(whole, *self._own(name, tile)) for name, whole in zip(self._bridge, upstream.maps, strict=True)
        )
        return tape.gradient(
            tf.nest.flatten(part), pixels, output_gradients=tf.nest.flatten(_Part(upstream.sums, maps))
        )

    def _deep_features(self, whole: _Part) -> dict[str, Features]:
        return map_features(self._back(whole.maps[-1]), self._feature_map) if self._back else {}

    def _joined_statistics(
        self, whole: _Part, size: Tensor, deep: dict[str, Features], guides: tuple[Guides, ...]
    ) -> list[Statistics]:
        """Returns the style statistics of every layer."""
        sums = dict(zip(self._front_style, whole.sums[1], strict=True))
        return [
            self._summed.normalized(sums[name], tf.reduce_prod(self._cut.length(name, size)))
            if name in sums
            else self.style_loss.statistics(deep[name], guide)
            for name, guide in zip(self._style_layers, guides or self._unguided, strict=True)
        ]

    def _joined_losses(
        self,
        whole: _Part,
        variation: PerPicture,
        size: Tensor,
        targets: Targets,
        weights: LossWeights,
        draws: tuple[Draw, ...],
    ) -> Losses:
        """Computes the deep layers and the losses."""
        deep = self._deep_features(whole)
        lost = dict(zip(self._front_content, whole.sums[0], strict=True))
        seen = self._seen(deep, self._content_layers, weights.content, weights.content_layers)
        content = [
            lost[name] if name in lost else losses.content_loss(seen[name], target, self._content_loss)
            for name, target in zip(self._content_layers, targets.content, strict=True)
        ]
        seen = self._seen(deep, self._style_layers, weights.style, weights.style_layers)
        statistics = self._joined_statistics(whole, size, seen, targets.guides)
        return self._losses(content, statistics, variation, targets, weights, draws)

    def _losses_and_upstream(self, whole: _Part, *arguments: Any) -> tuple[Losses, _Part]:
        """Returns the losses and the gradients of their totals to what the tiles gave together."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(whole)
            terms = self._joined_losses(whole, *arguments)
        return terms, tape.gradient(terms.total, whole, unconnected_gradients=tf.UnconnectedGradients.ZERO)


class _OneTile:
    """The statistics of a picture that is one tile, as sums over its only part."""

    def __init__(self, style_loss: StyleLoss) -> None:
        self.sums = style_loss.statistics

    def normalized(self, sums: Statistics, positions: Tensor) -> Statistics:
        return sums


def _in_float32(features: dict[str, Features], names: Sequence[str]) -> tuple[Features, ...]:
    return tuple(tf.cast(features[name], tf.float32) for name in names)


def _cropped(maps: Tensor, begin: Tensor, end: Tensor) -> Tensor:
    """Returns rows and columns `begin` to `end`, int32 [2], of [batch, ..., height, width, channels]."""
    ahead = [0] * (len(maps.shape) - 3)
    first = tf.concat([ahead, begin, [0]], axis=0)
    part = tf.slice(maps, first, tf.concat([[-1] * len(ahead), end - begin, [-1]], axis=0))
    return tf.ensure_shape(part, [*[None] * (len(maps.shape) - 1), maps.shape[-1]])


def _placed(whole: Tensor, part: Tensor, begin: Tensor) -> Tensor:
    """Returns [batch, height, width, channels] with a part of its rows and columns replaced, in place where it can."""
    first = tf.concat([[0], begin, [0]], axis=0)
    end = first + tf.shape(part)
    return tf.raw_ops.TensorStridedSliceUpdate(
        input=whole, begin=first, end=end, strides=tf.ones_like(first), value=part
    )
