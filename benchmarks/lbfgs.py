"""Compares L-BFGS on VGG19 problems with SciPy's L-BFGS-B in the same bounds, with Adam, and its defaults with others.

`python benchmarks/lbfgs.py [--evaluations 300] [--side_px 128] [--sweep]` writes benchmarks/results/lbfgs.json. The
problems are made of the demo's photographs and paintings. Every figure is a ratio of losses or a count of evaluations
and does not depend on the machine's speed.
"""

import argparse
import contextlib
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.optimize
import tensorflow as tf

from demo.paintings import PAINTINGS
from demo.photographs import PHOTOGRAPHS
from stylecore import StyleConfig
from stylecore.networks.weights.sources import load_weights
from stylecore.optimizers import lbfgs
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import Problem, prepare

RESULTS = Path(__file__).parent / "results" / "lbfgs.json"
PROBLEMS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("chelsea", "flow_field_strokes", {"preset": "gatys"}),
    ("coffee", "geometric_forms", {"preset": "gatys", "content_weight": 20}),
    ("rocket", "woodcut_waves", {"preset": "gatys", "init": "noise"}),
    ("chelsea", "geometric_forms", {"preset": "basic"}),
    ("coffee", "flow_field_strokes", {"preset": "basic", "init": "content", "content_weight": 1e3}),
)


class _EnoughError(Exception):
    """The evaluations are used up."""


class Bench:
    """The problems at their final size, and their engines."""

    def __init__(self, side_px: int, evaluations: int) -> None:
        self.evaluations = evaluations
        self._side_px = side_px
        self._weights = load_weights("vgg19", "imagenet")
        self._images = {name: np.asarray(load()) for name, load in {**PHOTOGRAPHS, **PAINTINGS}.items()}

    def problem(self, index: int, **settings: Any) -> tuple[Problem, Engine]:
        """Returns a problem and an engine that no other problem uses."""
        content, style, config = PROBLEMS[index]
        parsed = StyleConfig(**{**config, "image_size": self._side_px, "iterations": 1_000_000, **settings})
        engine = Engine(step_kind(parsed, self._weights.fingerprint), self._weights.network)
        return prepare(self._images[content], self._images[style], parsed), engine

    def best_totals(self, index: int, **settings: Any) -> np.ndarray:
        """Returns the lowest total loss of our optimiser after each evaluation."""
        return self._optimise(index, **settings)[0]

    def evaluations_per_iteration(self, index: int) -> float:
        """Returns the mean number of evaluations that L-BFGS needs for an iteration, which is one accepted step."""
        totals, accepted = self._optimise(index, optimizer="lbfgs")
        return len(totals) / accepted

    def _optimise(self, index: int, **settings: Any) -> tuple[np.ndarray, int]:
        problem, engine = self.problem(index, **settings)
        batch = engine.constants([problem])
        _, numbers, losses = engine.advance(engine.start([problem]), batch, self.evaluations)
        return np.minimum.accumulate(losses.total.numpy()[:, 0]), int(numbers.numpy().max())

    def scipy_total(self, index: int) -> float:
        """Returns the lowest total loss that SciPy's L-BFGS-B reaches in the same number of evaluations."""
        problem, engine = self.problem(index, optimizer="lbfgs")
        batch = engine.constants([problem])
        evaluate = tf.function(lambda images: engine.losses_and_gradient(images, batch))
        totals: list[float] = []
        assert problem.initial is not None
        shape = problem.initial.shape

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            if len(totals) == self.evaluations:
                raise _EnoughError
            losses, gradient = evaluate(tf.constant(flat.reshape(1, *shape), tf.float32))
            totals.append(float(losses.total[0]))
            return totals[-1], gradient.numpy().ravel().astype(np.float64)

        start = problem.initial.ravel().astype(np.float64)
        options = {"maxiter": 10**6, "maxfun": 10**6, "maxcor": 20, "ftol": 0.0, "gtol": 0.0}
        with contextlib.suppress(_EnoughError):
            scipy.optimize.minimize(
                objective, start, jac=True, method="L-BFGS-B", bounds=[(0, 255)] * start.size, options=options
            )
        return min(totals)


def against_scipy(bench: Bench) -> dict[str, Any]:
    """Returns our loss over SciPy's after equally many evaluations, and when we reach Adam's final loss."""
    ratios, evaluations = [], []
    for index in range(len(PROBLEMS)):
        ours = bench.best_totals(index, optimizer="lbfgs")
        adam = bench.best_totals(index, optimizer="adam", learning_rate=15.0)[-1]
        ratios.append(float(ours[-1] / bench.scipy_total(index)))
        evaluations.append(int(np.argmax(ours <= adam)) if ours[-1] <= adam else None)
        print(f"problem {index}: over SciPy {ratios[-1]:.3f}, evaluations to Adam's end {evaluations[-1]}", flush=True)
    return {
        "loss_over_scipy": ratios,
        "median_loss_over_scipy": statistics.median(ratios),
        "evaluations_to_reach_adam": evaluations,
    }


def sweep(bench: Bench) -> dict[str, Any]:
    """Returns the final loss for each history size and each first step, as a ratio to that of the defaults."""
    base = [bench.best_totals(index, optimizer="lbfgs")[-1] for index in range(len(PROBLEMS))]

    def relative(**settings: Any) -> float:
        found = [bench.best_totals(i, optimizer="lbfgs", **settings)[-1] for i in range(len(PROBLEMS))]
        return float(np.exp(np.mean(np.log(np.divide(found, base)))))

    history = {size: relative(history_size=size) for size in (5, 10, 40)}
    print(f"history size: {history}", flush=True)
    steps = {step: _with_first_step(step, relative) for step in (5.0, 15.0, 100.0)}
    print(f"first step: {steps}", flush=True)
    costs = [bench.evaluations_per_iteration(index) for index in range(len(PROBLEMS))]
    return {"by_history_size": history, "by_first_step": steps, "evaluations_per_iteration": costs}


def _with_first_step(step: float, measure: Callable[[], float]) -> float:
    default = lbfgs.FIRST_STEP
    lbfgs.FIRST_STEP = step
    try:
        return measure()
    finally:
        lbfgs.FIRST_STEP = default


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--side_px", type=int, default=128)
    parser.add_argument("--sweep", action="store_true", help="also vary history size and first step")
    arguments = parser.parse_args()
    bench = Bench(arguments.side_px, arguments.evaluations)
    part = {"evaluations": arguments.evaluations, "side_px": arguments.side_px}
    part |= sweep(bench) if arguments.sweep else against_scipy(bench)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["sweep" if arguments.sweep else "against_scipy"] = part
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
