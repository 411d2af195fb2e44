"""The direct road: lists of images and configurations in, results out."""

import functools
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from stylecore.config.style_config import StyleConfig
from stylecore.networks.precision import here
from stylecore.networks.weights.sources import Weights, load_weights
from stylecore.planning.buckets import Bucket, StepKind, default_batch_size, step_kind
from stylecore.run.engine import Engine
from stylecore.run.engine_cache import get_engine
from stylecore.run.loop import optimize
from stylecore.run.problem import Problem, Style, prepare
from stylecore.run.result import Progress, Result


def stylize(
    contents: Sequence[np.ndarray],
    styles: Sequence[Style],
    configs: Sequence[StyleConfig],
    batch_size: int | None = None,
    *,
    weights: Weights | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> list[Result]:
    """Stylises pictures, one a problem, in batches of those that can share one.

    Args:
      contents: RGB images [height, width, 3], uint8 or float32 in 0..255.
      styles: for each content one such image, or a list of (image, weight).
      configs: for each content its parameters; `image_size` is applied here.
      batch_size: problems to a batch, short batches are padded to it; None chooses by size and does not pad.
      weights: used instead of what the configurations name, if given.
      on_progress: called now and then with the state of the current batch.

    Returns:
      One result per problem, in order; `error` is set in those that failed.

    Raises:
      ValueError: lists of different lengths, or a batch size below 1.
      WeightsError: weights that cannot be had.
    """
    if not len(contents) == len(styles) == len(configs):
        raise ValueError(f"as many contents, styles and configs: got {len(contents)}, {len(styles)}, {len(configs)}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be >= 1, got {batch_size}")
    arithmetic = here()
    results: dict[int, Result] = {}
    buckets: dict[Bucket, list[tuple[int, Problem]]] = defaultdict(list)
    for index, (content, style, config) in enumerate(zip(contents, styles, configs, strict=True)):
        try:
            config = arithmetic.settle(config)
            problem = prepare(content, style, config)
            kind, engine = _engine(config, weights)
            engine.check(problem)
        except ValueError as error:
            results[index] = Result(error=error)
        else:
            buckets[Bucket(kind, *problem.content.shape[:2])].append((index, problem))
    for bucket, members in buckets.items():
        size = batch_size or default_batch_size(bucket.height, bucket.width)
        members.sort(key=lambda member: member[1].config.iterations)
        for first in range(0, len(members), size):
            indices, problems = zip(*members[first : first + size], strict=True)
            _, engine = _engine(problems[0].config, weights)
            for position, result in optimize(engine, problems, batch_size=batch_size, on_progress=on_progress):
                results[indices[position]] = result
    return [results[index] for index in range(len(contents))]


def _engine(config: StyleConfig, weights: Weights | None) -> tuple[StepKind, Engine]:
    loaded = weights or _weights(config.backbone, config.weights)
    kind = step_kind(config, loaded.fingerprint)
    return kind, get_engine(kind, lambda: loaded.network)


@functools.lru_cache(maxsize=2)
def _weights(backbone: str, weights: str) -> Weights:
    return load_weights(backbone, weights)
