"""Seconds per iteration and picture of the compiled step, by size and batch, and what L-BFGS adds to Adam's.

`python benchmarks/step_time.py [--sides 64 128 256]` writes benchmarks/results/step_time.json: the seconds of this
machine, for batching.ESTIMATED_SECS_PER_PIXEL_AND_ITERATION, and ratios within one run, which travel.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from stylecore import StyleConfig
from stylecore.buckets import default_batch_size, step_kind
from stylecore.engine import Engine
from stylecore.problems import prepare
from stylecore.weights import Weights, load_weights

RESULTS = Path(__file__).parent / "results" / "step_time.json"
_MIN_SECS = 6.0


def seconds_per_step(weights: Weights, side_px: int, batch_size: int, **settings: Any) -> float:
    """Returns seconds per evaluation and picture of `basic` at side_px x side_px, without tracing."""
    config = StyleConfig(iterations=1_000_000, **settings)
    image = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), np.uint8)
    problems = [prepare(image, image[::-1].copy(), config)] * batch_size
    engine = Engine(step_kind(config, weights.fingerprint), weights.network)
    batch = engine.batch(problems)
    state, _, _ = engine.advance(engine.start(problems, batch), batch, 2)
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < _MIN_SECS:
        state, _, _ = engine.advance(state, batch, 5)
        done += 5
    return (time.perf_counter() - started) / done / batch_size


def measure(side_px: int, weights: Weights) -> dict[str, Any]:
    """Returns the figures of one size."""
    best = default_batch_size(side_px, side_px)
    alone = seconds_per_step(weights, side_px, 1)
    batched = seconds_per_step(weights, side_px, best)
    return {
        "side_px": side_px,
        "secs_alone": alone,
        "batch_size": best,
        "secs_batched": batched,
        "batched_over_alone": batched / alone,
        "lbfgs_over_adam": seconds_per_step(weights, side_px, best, optimizer="lbfgs") / batched,
        "bfloat16_over_float32": seconds_per_step(weights, side_px, best, precision="bfloat16") / batched,
    }


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128, 256])
    weights = load_weights("vgg19", "imagenet")
    results = []
    for side_px in parser.parse_args().sides:
        results.append(measure(side_px, weights))
        print(json.dumps(results[-1]), flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
