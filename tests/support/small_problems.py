"""Small problems on a shallow network, and helpers that run and compare them in the tests of the loop."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from stylecore.config.style_config import StyleConfig
from stylecore.run.loop import Optimization
from stylecore.run.problem import prepare
from stylecore.run.result import Progress
from tests.support.pictures import gradient

SHALLOW: dict[str, Any] = {
    "weights": "random:0", "content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv2_1"], "iterations": 12,
}  # fmt: skip


def problem(image=0, height=40, width=32, **settings):
    config = StyleConfig(**{**SHALLOW, **settings})
    return prepare(gradient(height, width, image), gradient(width, height, 100 + image), config)


def under_way(engine, problems, **options):
    """Returns an optimisation in calls of one evaluation; in longer ones small problems would be done at once."""
    return Optimization(engine, problems, secs_per_call=1e-9, **options)


def run(engine, problems, on_progress=lambda progress: None, **options):
    """Returns the results in the order of the problems, after checking that each comes exactly once."""
    pairs = []
    for event in under_way(engine, problems, **options).events():
        if isinstance(event, Progress):
            on_progress(event)
        else:
            pairs.append(event)
    assert sorted(index for index, _ in pairs) == list(range(len(problems)))
    return [result for _, result in sorted(pairs, key=lambda pair: pair[0])]


def bits(result):
    """Returns the parts of a result that may depend only on the problem and the batch size."""
    return dataclasses.replace(result, image=None, seconds=0.0), result.image.tobytes()


def relative(found, wanted):
    return float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))


def assert_batch_is_each_alone(engine, problems, images, batch):
    """Compares losses and gradients of a batch at `images` with those of each problem alone."""
    together, gradient = engine.losses_and_gradient(images, batch)
    for index, single in enumerate(problems):
        alone, own = engine.losses_and_gradient(images[index : index + 1], engine.constants([single]))
        for term in alone._fields:
            wanted = float(getattr(alone, term)[0])
            assert float(getattr(together, term)[index]) == pytest.approx(wanted, rel=1e-4, abs=1e-6)
        assert relative(gradient[index].numpy(), own[0].numpy()) < 1e-4
