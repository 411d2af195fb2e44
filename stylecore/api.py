"""stylize, the call without files or Beam: lists of images and configurations in, results out."""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import keras
import numpy as np

from stylecore.config.style_config import StyleConfig
from stylecore.images.style import AnyStyle, Image
from stylecore.networks.features import rebuilt
from stylecore.networks.precision import device_arithmetic
from stylecore.networks.weights.sources import Weights, load_weights
from stylecore.planning.batches import FullBatch, batch_size_on
from stylecore.planning.buckets import Bucket, StepKind, bucket_of
from stylecore.planning.room import Room
from stylecore.run import devices
from stylecore.run.engine import Engine
from stylecore.run.engine_cache import get_engine
from stylecore.run.loop import Event, Optimization
from stylecore.run.problem import Problem, prepare
from stylecore.run.result import Progress, Result
from stylecore.run.spread import spread


def stylize(
    contents: Sequence[np.ndarray],
    styles: Sequence[AnyStyle],
    configs: Sequence[StyleConfig],
    batch_size: int | None = None,
    initials: Sequence[Image | None] | None = None,
    *,
    weights: Weights | None = None,
    memory_bytes: int | None = None,
    tile_px: int | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Result]:
    """Makes one picture for each content, style and configuration, in batches of those that can share one.

    Several GPUs of a machine compute a batch each at a time; batches are halved until there is one for every GPU.

    Args:
      contents: RGB images [height, width, 3] of any sizes, uint8 or float32, in 0..255.
      styles: for each content one such image or Style, or a list of Style or (image, weight) with finite weights >= 0,
        used as given.
      configs: for each content its parameters; images are resized here, as `image_size` and `style_fit` say.
      batch_size: pictures in every batch, >= 1, short batches padded, so that no picture depends on its neighbours;
        None chooses by picture size, device and memory, and does not pad.
      initials: for each content the image to start from, like `contents`, where its configuration has `init: image`,
        else None; None: no configuration has.
      weights: the backbone's weights, from `load_weights`; None loads those that each configuration names.
      memory_bytes: memory that batches are to stay within: a picture that is larger alone is computed in tiles, see
        docs/performance.md; None takes this machine's, on a GPU the GPU's.
      tile_px: computes pictures larger than this in tiles of at most this side, in pixels.
      on_progress: called with the state of a batch after each call into TensorFlow, always in the caller's thread, one
        call at a time. Several GPUs go on meanwhile. What it raises ends the work.

    Returns:
      One result per content, in their order. `error` is set where a problem fails: an illegal image, one too small for
      the layers, a precision that the device refuses, a loss that is not finite, too little memory. The others go on.

    Raises:
      ValueError: lists of different lengths, a batch size below 1, or tiles that are too small.
      WeightsError: no source has the weights of a configuration, or a file holds other weights.
    """
    if not len(contents) == len(styles) == len(configs):
        raise ValueError(
            f"contents, styles and configs must be as many, got {len(contents)}, {len(styles)} and {len(configs)}"
        )
    starts = [None] * len(contents) if initials is None else initials
    if len(starts) != len(contents):
        raise ValueError(f"contents and initials must be as many, got {len(contents)} and {len(starts)}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
    device = devices.computing_device()
    room = Room(memory_bytes or device.memory_bytes, tile_px)
    buckets, results = _prepared(zip(contents, styles, configs, starts, strict=True), weights, room)
    batches = [
        batch
        for bucket, members in buckets.items()
        for batch in _sliced(bucket, members, batch_size or _batch_size(device.full_batch, room, bucket, members))
    ]
    if batch_size is None:
        batches = _for_every_device(batches, len(devices.device_names()))

    def events(batch: _Batch, device: str) -> Iterator[Event]:
        engine = _engine(batch.bucket.kind, batch.problems[0].config, weights, room, device)
        return Optimization(engine, batch.problems, batch_size=batch_size).events()

    for batch, event in spread(events, batches):
        if isinstance(event, tuple):
            position, result = event
            results[batch.indices[position]] = result
        elif isinstance(event, Progress) and on_progress:
            on_progress(event)
    return [results[index] for index in range(len(contents))]


Member = tuple[int, Problem]


@dataclasses.dataclass(frozen=True, eq=False)
class _Batch:
    """Problems to optimise together, with the indices of their results."""

    bucket: Bucket
    indices: tuple[int, ...]
    problems: tuple[Problem, ...]

    @property
    def pixel_iterations(self) -> int:
        return sum(problem.content[..., 0].size * max(1, problem.config.iterations) for problem in self.problems)


def _prepared(
    entries: Iterable[tuple[np.ndarray, AnyStyle, StyleConfig, Image | None]], weights: Weights | None, room: Room
) -> tuple[dict[Bucket, list[Member]], dict[int, Result]]:
    """Returns the legal problems by bucket, each with its index, and the results of the others."""
    arithmetic, (first, *others) = device_arithmetic(), devices.device_names()
    results: dict[int, Result] = {}
    buckets: dict[Bucket, list[Member]] = defaultdict(list)
    for index, (content, style, config, initial) in enumerate(entries):
        try:
            config = arithmetic.settle(config)
            problem = prepare(content, style, config, initial)
            bucket = _bucket(problem, weights)
            _engine(bucket.kind, config, weights, room, first if others else "").check(problem)
        except ValueError as error:
            results[index] = Result(error=error)
        else:
            buckets[bucket].append((index, problem))
    return buckets, results


def _batch_size(full: FullBatch, room: Room, bucket: Bucket, members: Sequence[Member]) -> int:
    """Returns how many pictures of a bucket are computed together, as of those that need the most memory."""
    history_size = max(problem.config.history_size for _, problem in members)
    regions = 1 + max(len(problem.styles) for _, problem in members)
    return batch_size_on(full, room, bucket.kind, bucket.height, bucket.width, history_size, regions)


def _sliced(bucket: Bucket, members: Sequence[Member], size: int) -> Iterator[_Batch]:
    """Yields batches of like length."""
    ordered = sorted(members, key=lambda member: member[1].config.iterations)
    for first in range(0, len(ordered), size):
        indices, problems = zip(*ordered[first : first + size], strict=True)
        yield _Batch(bucket, indices, problems)


def _for_every_device(batches: Sequence[_Batch], count: int) -> list[_Batch]:
    """Halves the longest batches until there is one for every device; where there are several, the longest begin."""
    found = list(batches)
    while len(found) < count and (divisible := [batch for batch in found if len(batch.problems) > 1]):
        longest = max(divisible, key=lambda batch: batch.pixel_iterations)
        found.remove(longest)
        members = list(zip(longest.indices, longest.problems, strict=True))
        found += _sliced(longest.bucket, members, -(-len(members) // 2))
    return sorted(found, key=lambda batch: -batch.pixel_iterations) if count > 1 else found


def _bucket(problem: Problem, weights: Weights | None) -> Bucket:
    loaded = weights or _weights(problem.config.backbone, problem.config.weights)
    height, width = problem.content.shape[:2]
    return bucket_of(problem.config, loaded.fingerprint, height, width, problem.has_regions)


def _engine(kind: StepKind, config: StyleConfig, weights: Weights | None, room: Room, device: str) -> Engine:
    def load() -> keras.Model:
        network = (weights or _weights(config.backbone, config.weights)).network
        # Of several devices each has a network of its own: to read another's memory takes long.
        return rebuilt(network, "max", "float32") if device else network

    return get_engine(kind, load, device, room=room)


@functools.lru_cache(maxsize=2)
def _weights(backbone: str, weights: str) -> Weights:
    return load_weights(backbone, weights)
