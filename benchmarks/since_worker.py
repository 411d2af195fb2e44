"""Steps of presets with the stylecore of a checkout, for benchmarks/since.py: it runs with that of several commits.

    PYTHONPATH=CHECKOUT python benchmarks/since_worker.py SIDE_PX BATCH_SIZE PRESET...

Each line that it reads, PRESET EVALUATIONS, is answered by the seconds that so many evaluations took.
"""

import dataclasses
import sys
import time

import numpy as np

from stylecore import StyleConfig
from stylecore.networks.weights.sources import load_weights
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import prepare


class Steps:
    """A batch of one preset on its way, at one size and in float32."""

    def __init__(self, preset: str, side_px: int, batch_size: int) -> None:
        weights = load_weights("vgg19", "imagenet")
        config = StyleConfig(preset=preset, precision="float32", iterations=1_000_000)
        config = dataclasses.replace(config, pyramid=())
        image = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), np.uint8)
        problems = [prepare(image, image[::-1].copy(), config)] * batch_size
        self._engine = Engine(step_kind(config, weights.fingerprint), weights.network)
        self._batch, self._state = self._engine.constants(problems), self._engine.start(problems)

    def take(self, evaluations: int) -> float:
        """Makes evaluations; returns the seconds that they took."""
        began = time.perf_counter()
        self._state, _, losses = self._engine.advance(self._state, self._batch, evaluations)
        losses.total.numpy()
        return time.perf_counter() - began


def main() -> None:
    """Answers standard input."""
    side_px, batch_size, *presets = sys.argv[1:]
    steps = {preset: Steps(preset, int(side_px), int(batch_size)) for preset in presets}
    for line in sys.stdin:
        preset, evaluations = line.split()
        print("took", steps[preset].take(int(evaluations)), flush=True)


if __name__ == "__main__":
    main()
