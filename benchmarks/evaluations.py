"""How many full-size evaluations a picture takes: L-BFGS with and without a first Hessian smooth in frequency, stages.

    python -m benchmarks.evaluations [--side_px 96] [--confirm] [VARIANT ...]

Each variant minimises the objective of `gatys` on the same problems (square crops of the demo's photographs and
paintings, from the photograph and from noise, at two content weights). An evaluation at half size counts a quarter. The
result is a variant's loss over the plain variant's after equally many full-size evaluations, which does not depend on
the machine's speed. `--confirm` takes problems that no choice was based on.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from demo.paintings import PAINTINGS
from demo.photographs import PHOTOGRAPHS, read_from_wheel
from stylecore import StyleConfig
from stylecore.images.resize import resize
from stylecore.networks.weights.sources import load_weights
from stylecore.optimizers.lbfgs import LbfgsParameters
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import prepare

RESULTS = Path(__file__).parent / "results" / "evaluations.json"
CHECKPOINTS = (25, 50, 75, 110, 150, 200)
PLAIN = {"exponent": 0.0, "corner": 1.0, "stages": [(1.0, 1.0)]}
HALF = [(0.5, 0.27), (1.0, 0.73)]
# Name -> exponent and corner of the first Hessian, stages as (scale, share of the full-size evaluations).
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "plain, half then full": {**PLAIN, "stages": HALF},
    **{
        f"p {p:g}, f0 {f0:g}": {"exponent": p, "corner": f0, "stages": [(1.0, 1.0)]}
        for p in (0.3, 0.5, 0.75)
        for f0 in (0.02, 0.05, 0.1, 0.2)
    },
    **{f"p 0.5, f0 {f0:g}, half then full": {"exponent": 0.5, "corner": f0, "stages": HALF} for f0 in (0.05, 0.1, 0.2)},
    "p 0.5, f0 0.05, half then full, pairs carried": {"exponent": 0.5, "corner": 0.05, "stages": HALF, "carry": True},
}
_CONTENTS = {**PHOTOGRAPHS, "astronaut": lambda: read_from_wheel("astronaut.png")}
_KEPT_ASIDE = ("astronaut",)


def problems(confirm: bool) -> list[tuple[str, str, dict[str, Any]]]:
    """Returns (content, painting, settings): from the photograph and from noise, at two content weights."""
    contents = [name for name in _CONTENTS if (name in _KEPT_ASIDE) == confirm]
    kinds: tuple[dict[str, Any], ...] = ({"content_weight": 1.0}, {"content_weight": 20.0, "init": "noise"})
    if confirm:
        kinds = (*kinds, {"content_weight": 5.0}, {"content_weight": 1.0, "init": "noise"})
    pairs = [(content, style) for content in contents for style in PAINTINGS]
    return [
        (*pair, kind) for index, pair in enumerate(pairs) for kind in (kinds if confirm or index < 3 else kinds[:1])
    ]


class Problems:
    """The problems at every size that a variant needs, and one engine for all of them."""

    def __init__(self, side_px: int, confirm: bool) -> None:
        self.side_px = side_px
        self._weights = load_weights("vgg19", "imagenet")
        self._images = {name: _square(np.asarray(load())) for name, load in {**_CONTENTS, **PAINTINGS}.items()}
        self._cases = problems(confirm)
        config = StyleConfig(preset="gatys")
        self._engine = Engine(step_kind(config, self._weights.fingerprint), self._weights.network)

    def best_totals(self, variant: dict[str, Any], evaluations: int) -> np.ndarray:
        """Returns the lowest loss of the full-size picture after each full-size evaluation, [evaluations, problems].

        While a smaller stage runs there is no full-size picture, and the loss is infinite.
        """
        pictures: Sequence[np.ndarray] | None = None
        states, totals = None, []
        for scale, share in variant["stages"]:
            side = round(self.side_px * scale)
            at_size = [
                prepare(
                    self._images[content],
                    self._images[style],
                    StyleConfig(**{"preset": "gatys", "image_size": side, "iterations": 1_000_000, **settings}),
                )
                for content, style, settings in self._cases
            ]
            if pictures is not None:
                at_size = [p.starting_from(resize(x, side, side)) for p, x in zip(at_size, pictures, strict=True)]
            constants = self._engine.constants(at_size)
            count = len(at_size)
            parameters = LbfgsParameters(
                np.full(count, 20, np.int32),
                np.full(count, variant["exponent"] > 0),
                np.float32(variant["exponent"]),
                np.float32(variant["corner"]),
            )
            first = [self._engine.first_state(problem) for problem in at_size]
            if states is not None and variant.get("carry"):
                first = [_with_pairs(new, old, side) for new, old in zip(first, states, strict=True)]
            count_here = round(evaluations * share / scale**2)
            state, _, losses = self._engine.advance(
                self._engine.start(at_size, first), constants._replace(parameters=parameters), count_here
            )
            states = [self._engine.packed_state(state, index, problem) for index, problem in enumerate(at_size)]
            pictures = [np.asarray(picture) for picture in state.delivered.numpy()]
            here = losses.total.numpy()
            here = np.where(np.isfinite(here), here, np.inf)
            if scale == 1.0:
                totals.append(np.minimum.accumulate(here, axis=0))
            else:
                totals.append(np.full((round(evaluations * share), count), np.inf))
        return np.concatenate(totals)


def _with_pairs(new: Any, old: Any, side: int) -> Any:
    """Gives a stage's first state the curvature pairs of the stage before.

    A gradient is spread over four times as many pixels as before.
    """
    steps = np.stack([_enlarged(step, side) for step in old.optimizer.steps])
    changes = np.stack([_enlarged(change, side) / 4 for change in old.optimizer.changes])
    kept = np.int32(len(steps))
    # Packed pairs are the newest first; `unpacked` writes them to the ring from `newest` downwards.
    optimizer = new.optimizer._replace(steps=steps, changes=changes, kept=kept, newest=np.int32(kept - 1))
    return new._replace(optimizer=optimizer)


def _enlarged(values: np.ndarray, side: int) -> np.ndarray:
    """Enlarges signed values [h, w, 3] bilinearly."""
    planes = [Image.fromarray(np.ascontiguousarray(values[..., c])).resize((side, side), 2) for c in range(3)]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def _square(image: np.ndarray) -> np.ndarray:
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def main() -> None:
    """Runs the variants and writes their losses as ratios to the plain variant's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", default=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--side_px", type=int, default=96)
    parser.add_argument("--evaluations", type=int, default=110)
    parser.add_argument("--confirm", action="store_true")
    options = parser.parse_args()
    bench = Problems(options.side_px, options.confirm)
    plain = bench.best_totals(PLAIN, 2 * options.evaluations)
    rows = {}
    for name in options.variants:
        totals = bench.best_totals(VARIANTS[name], options.evaluations)
        row = {}
        for count in CHECKPOINTS:
            if count <= len(totals) and np.isfinite(totals[count - 1]).all():
                ratios = totals[count - 1] / plain[count - 1]
                row[str(count)] = [round(float(x), 3) for x in (statistics.median(ratios), ratios.max(), ratios.min())]
        reached = [int(np.argmax(totals[:, i] <= plain[len(totals) - 1, i])) + 1 for i in range(totals.shape[1])]
        row["evaluations to plain's last loss: median, worst"] = [statistics.median(reached), max(reached)]
        rows[name] = row
        print(name, json.dumps(row), flush=True)
    key = f"{options.side_px} px, {'kept aside' if options.confirm else 'chosen on'}"
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**known, key: {**known.get(key, {}), **rows}}, indent=1) + "\n")


if __name__ == "__main__":
    main()
