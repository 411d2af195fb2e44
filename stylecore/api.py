"""stylize, the call without files or Beam: lists of images and configurations in, results out."""

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from stylecore.config.style_config import StyleConfig
from stylecore.images.style import AnyStyle, Image
from stylecore.networks.precision import device_arithmetic
from stylecore.networks.weights.sources import Weights, load_weights
from stylecore.planning.buckets import Bucket, bucket_of, default_batch_size
from stylecore.planning.room import Room, machine_memory_bytes
from stylecore.run.devices import device_name
from stylecore.run.engine import Engine
from stylecore.run.engine_cache import get_engine
from stylecore.run.loop import optimize
from stylecore.run.problem import Problem, prepare
from stylecore.run.result import Progress, Result


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

    Args:
      contents: RGB images [height, width, 3] of any sizes, uint8 or float32, in 0..255.
      styles: for each content one such image or Style, or a list of Style or (image, weight) with finite weights >= 0,
        used as given.
      configs: for each content its parameters; images are resized here, as `image_size` and `style_fit` say.
      batch_size: pictures in every batch, >= 1, short batches padded, so that no picture depends on its neighbours;
        None chooses by picture size and does not pad.
      initials: for each content the image to start from, like `contents`, where its configuration has `init: image`,
        else None; None: no configuration has.
      weights: the backbone's weights, from `load_weights`; None loads those that each configuration names.
      memory_bytes: memory that pictures are to stay within: a larger one is computed in tiles, see docs/performance.md;
        None takes this machine's, on a GPU no bound.
      tile_px: computes pictures larger than this in tiles of at most this side, in pixels.
      on_progress: called with the state of the current batch after each call into TensorFlow.

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
    room = Room(memory_bytes or _memory_bytes(), tile_px)
    arithmetic = device_arithmetic()
    results: dict[int, Result] = {}
    buckets: dict[Bucket, list[tuple[int, Problem]]] = defaultdict(list)
    for index, (content, style, config, initial) in enumerate(zip(contents, styles, configs, starts, strict=True)):
        try:
            config = arithmetic.settle(config)
            problem = prepare(content, style, config, initial)
            bucket, engine = _bucket_and_engine(problem, weights, room)
            engine.check(problem)
        except ValueError as error:
            results[index] = Result(error=error)
        else:
            buckets[bucket].append((index, problem))
    for bucket, members in buckets.items():
        size = batch_size or default_batch_size(bucket.height, bucket.width)
        members.sort(key=lambda member: member[1].config.iterations)
        for first in range(0, len(members), size):
            indices, problems = zip(*members[first : first + size], strict=True)
            _, engine = _bucket_and_engine(problems[0], weights, room)
            for position, result in optimize(engine, problems, batch_size=batch_size, on_progress=on_progress):
                results[indices[position]] = result
    return [results[index] for index in range(len(contents))]


def _memory_bytes() -> int | None:
    return machine_memory_bytes() if device_name() == "CPU" else None


def _bucket_and_engine(problem: Problem, weights: Weights | None, room: Room) -> tuple[Bucket, Engine]:
    loaded = weights or _weights(problem.config.backbone, problem.config.weights)
    height, width = problem.content.shape[:2]
    bucket = bucket_of(problem.config, loaded.fingerprint, height, width, problem.has_regions)
    return bucket, get_engine(bucket.kind, lambda: loaded.network, room=room)


@functools.lru_cache(maxsize=2)
def _weights(backbone: str, weights: str) -> Weights:
    return load_weights(backbone, weights)
