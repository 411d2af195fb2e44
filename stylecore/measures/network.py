"""LPIPS and the style distance: what VGG16 sees of a picture, in float32, in pieces of bounded size."""

import hashlib
import threading
from typing import NamedTuple

import cachetools
import keras
import numpy as np
import tensorflow as tf

from stylecore.measures.measure import NetworkMeasures, Styles
from stylecore.measures.slices import Slices, directions, distance, quantiles
from stylecore.networks.lpips_vgg16 import HEADS, LAYERS
from stylecore.tensors import Images, Tensor

# The fifth layer has a sixteenth of the picture's side.
MIN_SIDE_PX = 16
# What torchvision's images have subtracted and are divided by, for pixels in -1..1 (Zhang 2018's code).
_SHIFT = np.array([-0.030, -0.088, -0.188], np.float32)
_SCALE = np.array([0.458, 0.448, 0.450], np.float32)
_NO_ZERO_DIVISION = 1e-10

# The deepest features depend on pixels up to 90 away. Both are multiples of 16, so that pieces pool as the whole does.
HALO_PX = 96
PIECE_PX = 512
# A piece and its halo on both sides: what one look may take.
LONGEST_WHOLE_PX = PIECE_PX + 2 * HALO_PX
# Features are sampled at up to so many rows and columns.
SAMPLES_A_SIDE = 48
_CACHED_STYLES = 64
# Nearer than this, in parts of the size of the style's features, content and style are the same.
_SAME = 1e-3


class PictureNetwork:
    """Measures pictures with VGG16, for any number of threads: one at a time looks at pixels.

    Args:
      network: VGG16 with the heads of LPIPS, see `stylecore.networks.lpips_vgg16`.
    """

    def __init__(self, network: keras.Model) -> None:
        self._features = keras.Model(network.inputs, [network.get_layer(name).output for name in LAYERS])
        self._heads = [network.get_layer(name).kernel for name in HEADS]
        self._directions = [directions(int(head.shape[2]), seed) for seed, head in enumerate(self._heads)]
        self._styles = cachetools.LRUCache[tuple[tuple[int, ...], bytes], Slices](_CACHED_STYLES)
        self._styles_lock, self._lock = threading.Lock(), threading.Lock()
        places = [tf.TensorSpec([None], tf.int32)] * len(LAYERS)
        specs = [tf.TensorSpec([None, None, None, 3]), tf.TensorSpec([2, 2], tf.int32), places, places]
        self._look = tf.function(self._looked_at, input_signature=specs, autograph=False)

    def compare(self, picture: np.ndarray, content: np.ndarray, styles: Styles) -> NetworkMeasures:
        """Returns LPIPS and the style distance of a picture; see `measure` for the arguments.

        LPIPS (Zhang 2018) = sum over layers of the mean over positions of head . (f - f_content)^2, where f, the
        features at a position, have length 1. The style distance is d(picture, styles) / d(content, styles), with d the
        sliced Wasserstein distance of the features; of several styles, the weighted mean of the distances.
        """
        weighted = [(image, weight) for image, weight in styles if weight > 0]
        if not _is_visible(picture):
            return NetworkMeasures(None, None)
        lpips, (of_picture, of_content) = self._seen(np.stack([picture, content], dtype=np.float32))
        if not all(_is_visible(image) for image, _ in weighted):
            return NetworkMeasures(lpips, None)
        targets = [(self._style(image), weight) for image, weight in weighted]
        before, after = (
            sum(weight * distance(slices, style) for style, weight in targets) for slices in (of_content, of_picture)
        )
        is_same = before <= _SAME * sum(weight for _, weight in targets)
        return NetworkMeasures(lpips, None if is_same else after / before)

    def _style(self, image: np.ndarray) -> Slices:
        key = image.shape, hashlib.sha256(image.tobytes()).digest()
        with self._styles_lock:
            found = self._styles.get(key)
        if found is None:
            _, (found,) = self._seen(image[np.newaxis].astype(np.float32))
            with self._styles_lock:
                self._styles[key] = found
        return found

    def _seen(self, images: np.ndarray) -> tuple[float, list[Slices]]:
        """Returns LPIPS between the first and the last of float32 [n, height, width, 3], and the slices of each."""
        height, width = images.shape[1:3]
        sums, sampled = np.zeros(len(LAYERS)), []
        for rows in spans(height):
            for columns in spans(width):
                weighed, projected = self._at(images, rows, columns)
                sums += weighed
                sampled.append(projected)
        layers = [np.concatenate(parts, axis=1) for parts in zip(*sampled, strict=True)]
        positions = [(height >> level) * (width >> level) for level in range(len(LAYERS))]
        return float(np.sum(sums / positions)), [[quantiles(layer[n]) for layer in layers] for n in range(len(images))]

    def _at(self, images: np.ndarray, rows: "Span", columns: "Span") -> tuple[np.ndarray, list[np.ndarray]]:
        """Returns what one piece adds to the sums of LPIPS, and the projections of what is sampled in it."""
        seen = images[:, rows.seen_begin : rows.seen_end, columns.seen_begin : columns.seen_end]
        counted = np.array([rows.counted, columns.counted], np.int32)
        places = [[span.sampled(level) for level in range(len(LAYERS))] for span in (rows, columns)]
        with self._lock:
            sums, projected = self._looked(seen, counted, *places)
            return np.array(sums, np.float64), [layer.numpy() for layer in projected]

    def _looked(self, *arguments: object) -> tuple[Tensor, list[Tensor]]:
        try:
            return self._look(*arguments)
        except tf.errors.ResourceExhaustedError:  # What optimises has the GPU's memory.
            with tf.device("/device:CPU:0"):
                return self._look(*arguments)

    def _looked_at(
        self, images: Images, counted: Tensor, rows: list[Tensor], columns: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        sums, projected = [], []
        found = self._features((images / 127.5 - 1 - _SHIFT) / _SCALE, training=False)
        for level, features in enumerate(found):
            unit = features / (tf.norm(features, axis=-1, keepdims=True) + _NO_ZERO_DIVISION)
            apart = tf.tensordot(tf.square(unit[0] - unit[-1]), self._heads[level][0, 0, :, 0], 1)
            (top, bottom), (left, right) = (
                tf.unstack(side) for side in tf.unstack(tf.bitwise.right_shift(counted, level))
            )
            sums.append(tf.reduce_sum(apart[top:bottom, left:right]))
            sampled = tf.gather(tf.gather(features, rows[level], axis=1), columns[level], axis=2)
            flat = tf.reshape(sampled, [tf.shape(images)[0], -1, features.shape[-1]])
            projected.append(flat @ self._directions[level])
        return tf.stack(sums), projected


class Span(NamedTuple):
    """A part of one side of a picture, in pixels: what counts, and what is looked at for it."""

    side: int
    begin: int
    end: int
    seen_begin: int
    seen_end: int

    @property
    def counted(self) -> tuple[int, int]:
        """Where what counts begins and ends in what is looked at."""
        return self.begin - self.seen_begin, self.end - self.seen_begin

    def sampled(self, level: int) -> np.ndarray:
        """Returns where the samples of a layer lie in what is looked at, int32: evenly over the whole side."""
        count = self.side >> level
        places = np.unique(np.linspace(0, count - 1, min(count, SAMPLES_A_SIDE)).round().astype(np.int32))
        here = places[(places >= self.begin >> level) & (places < self.end >> level)]
        return here - np.int32(self.seen_begin >> level)


def spans(side_px: int) -> list[Span]:
    """Returns the parts into which a side is cut: one where it is short."""
    if side_px <= LONGEST_WHOLE_PX:
        return [Span(side_px, 0, side_px, 0, side_px)]
    return [
        Span(
            side_px,
            begin,
            min(begin + PIECE_PX, side_px),
            max(0, begin - HALO_PX),
            min(begin + PIECE_PX + HALO_PX, side_px),
        )
        for begin in range(0, side_px, PIECE_PX)
    ]


def _is_visible(image: np.ndarray) -> bool:
    return min(image.shape[:2]) >= MIN_SIDE_PX
