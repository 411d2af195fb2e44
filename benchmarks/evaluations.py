"""How many full-size evaluations a picture takes: what was tried to make them fewer.

    python -m benchmarks.evaluations [--side_px 96] [--group chosen_on] [--evaluations 110] [VARIANT ...]

Each variant of L-BFGS minimises the objective of `gatys` on the same problems: square photographs and paintings of
different kinds, from the photograph and from noise, at three style weights. An evaluation at half size counts a
quarter. Losses after equally many full-size evaluations do not depend on the machine's speed. `chosen_on` is the group
that choices are based on, `kept_aside` the one that confirms them. The shared pictures are needed: paintings by hand.
"""

import argparse
import dataclasses
import functools
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.figures import RESULTS
from benchmarks.peers import SHARED_IMAGES
from benchmarks.peers_score import equal_config_fields
from benchmarks.provenance import Start
from benchmarks.quasi_newton import Curve, FirstHessian, LearnedSpectrum, Search, Spectral, built_in
from demo.paintings import PAINTINGS
from demo.photographs import PHOTOGRAPHS, read_from_wheel
from stylecore import StyleConfig
from stylecore.images.recolour import colours_like
from stylecore.images.resize import resize
from stylecore.networks.weights.sources import load_weights
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import Problem, prepare

# Losses are kept after each of this many full-size evaluations.
EVERY = 5
COUNTS = (40, 60, 80, 100)
PLAIN_EVALUATIONS = 300


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to minimise.

    Attributes:
      first_hessian: makes that of a picture.
      history_size: curvature pairs.
      smaller: the stages before the full size, as (scale, share of all full-size evaluations).
      carry: whether a stage goes on with the enlarged pairs of the one before.
      recoloured: whether the start has the painting's colours.
      power: of the loss that is minimised; one below 1 changes less on the way down.
    """

    first_hessian: Callable[[], FirstHessian] = FirstHessian
    history_size: int = 20
    smaller: tuple[tuple[float, float], ...] = ()
    carry: bool = False
    recoloured: bool = False
    power: float = 1.0

    def minimised(self, total: float, gradient: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns the loss to this power, and its gradient."""
        return total**self.power, np.float32(self.power * total ** (self.power - 1)) * gradient

    def total(self, minimised: float) -> float:
        """Returns the loss again."""
        return minimised ** (1 / self.power)


def _spectral(exponent: float, corner: float, floor: float = 0.0, chroma: float = 1.0, **options: Any) -> Variant:
    curve = Curve(exponent, corner, floor, 1 - floor)
    return Variant(lambda: Spectral(curve, curve.times(chroma)), **options)


PLAIN, BUILT_IN = "plain", "as built in"
_LEARNT = Curve(0.5, 0.05)
VARIANTS: Mapping[str, Variant] = {
    PLAIN: Variant(),
    BUILT_IN: Variant(built_in),
    **{f"as built in, lengthened by {factor:g}": Variant(functools.partial(built_in, factor)) for factor in (1.0, 4.0)},
    **{
        f"p {p:g}, f0 {f0:g}": _spectral(p, f0)
        for p, f0 in ((0.5, 0.05), (0.5, 0.1), (0.5, 0.025), (0.35, 0.05), (0.75, 0.1), (1.0, 0.1))
    },
    "p 1, f0 0.05, floor 0.1": _spectral(1.0, 0.05, 0.1),
    "p 0.5, f0 0.05, chroma 1.5": _spectral(0.5, 0.05, 0.0, 1.5),
    "p 0.5, f0 0.05, chroma 0.7": _spectral(0.5, 0.05, 0.0, 0.7),
    "p 0.5, f0 0.05, the loss to 0.5": _spectral(0.5, 0.05, power=0.5),
    "learned bands": Variant(lambda: LearnedSpectrum(_LEARNT)),
    "40 pairs": Variant(history_size=40),
    "as built in, 40 pairs": Variant(built_in, history_size=40),
    "as built in, recoloured start": Variant(built_in, recoloured=True),
    "half size 27 %": Variant(smaller=((0.5, 0.27),)),
    **{
        f"half size {share:.0%}{', carried' * carry}, as built in": Variant(
            built_in, smaller=((0.5, share),), carry=carry
        )
        for share, carry in ((0.06, False), (0.12, False), (0.2, False), (0.2, True), (0.3, False))
    },
    "0.7 of the size 20 %, as built in": Variant(built_in, smaller=((0.7, 0.2),)),
    "quarter size 3 %, half size 12 %, as built in": Variant(built_in, smaller=((0.25, 0.03), (0.5, 0.12))),
}

_NOISE = {"init": "noise"}
# (content, painting, settings).
GROUPS: Mapping[str, Sequence[tuple[str, str, Mapping[str, Any]]]] = {
    "chosen_on": (
        ("rocket", "kandinsky", equal_config_fields(1.0)),
        ("astronaut", "starry_night", equal_config_fields(0.1)),
        ("chelsea", "woodcut_waves", equal_config_fields(1.0)),
        ("coffee", "flow_field_strokes", equal_config_fields(1.0) | _NOISE),
        ("tubingen", "geometric_forms", equal_config_fields(0.3)),
        ("rocket", "the_scream", equal_config_fields(0.3)),
        ("astronaut", "kandinsky", equal_config_fields(1.0)),
        ("coffee", "starry_night", equal_config_fields(1.0)),
        ("tubingen", "kandinsky", equal_config_fields(1.0) | _NOISE),
        ("chelsea", "the_scream", equal_config_fields(0.1)),
    ),
    "kept_aside": (
        ("tubingen", "starry_night", equal_config_fields(1.0)),
        ("chelsea", "starry_night", equal_config_fields(0.1)),
        ("coffee", "the_scream", equal_config_fields(1.0)),
        ("astronaut", "woodcut_waves", equal_config_fields(0.3) | _NOISE),
    ),
}


class Problems:
    """The problems of a group at every size, and the engine that evaluates them together."""

    def __init__(self, side_px: int, group: str) -> None:
        weights = load_weights("vgg19", "imagenet")
        self._cases = [
            (_square(_image(content), side_px), _square(_image(style), side_px), settings)
            for content, style, settings in GROUPS[group]
        ]
        self._engine = Engine(step_kind(StyleConfig(preset="gatys"), weights.fingerprint), weights.network)
        self._known: dict[float, tuple[Sequence[Problem], Any]] = {}

    def at_scale(self, scale: float) -> tuple[Sequence[Problem], Any]:
        """Returns the problems at a share of the full size, and their targets."""
        if scale not in self._known:
            self._known[scale] = self._made(scale)
        return self._known[scale]

    def _made(self, scale: float) -> tuple[Sequence[Problem], Any]:
        pyramid = [{"scale": scale, "share": 0.5}, {"scale": 1.0, "share": 0.5}] if scale < 1 else []
        problems = [
            prepare(content, style, StyleConfig(**{**settings, "pyramid": pyramid})).stages[0]
            for content, style, settings in self._cases
        ]
        return problems, self._engine.constants(problems)

    def evaluate(self, scale: float, pictures: Sequence[np.ndarray]) -> list[tuple[float, np.ndarray]]:
        """Returns the loss of each picture at this scale, and its gradient."""
        losses, gradients = self._engine.losses_and_gradient(np.stack(pictures), self.at_scale(scale)[1])
        return list(zip(losses.total.numpy().astype(float), gradients.numpy(), strict=True))

    def starts(self, scale: float, recoloured: bool) -> list[np.ndarray]:
        """Returns the initial pictures at this scale."""
        return [
            colours_like(initial, problem.styles[0].image) if recoloured else initial
            for problem in self.at_scale(scale)[0]
            if (initial := problem.initial) is not None
        ]

    def minimise(self, variant: Variant, evaluations: int) -> np.ndarray:
        """Returns the lowest loss after every EVERY full-size evaluations, [times, problems].

        It is infinite before the first full-size evaluation.
        """
        spent, best = 0.0, {}
        searches: list[Search] = []
        full_share = 1 - sum(share for _, share in variant.smaller)
        for scale, share in (*variant.smaller, (1.0, full_share)):
            searches = self._stage(variant, scale, searches)
            for _ in range(round(evaluations * share / scale**2)):
                for search, (total, gradient) in zip(
                    searches, self.evaluate(scale, [search.at for search in searches]), strict=True
                ):
                    search.tell(*variant.minimised(total, gradient))
                spent += scale**2
                if scale == 1:
                    best[spent] = [variant.total(search.best) for search in searches]
        none = [np.inf] * len(self._cases)
        return np.array(
            [
                next((best[cost] for cost in sorted(best, reverse=True) if cost <= count + 1e-6), none)
                for count in range(EVERY, evaluations + 1, EVERY)
            ]
        )

    def _stage(self, variant: Variant, scale: float, before: Sequence[Search]) -> list[Search]:
        """Returns the searches of a stage, which go on from those of the stage before."""
        starts = self.starts(scale, variant.recoloured)
        if before:
            starts = [
                np.clip(resize(search.picture, *start.shape[:2]), 0, 255)
                for search, start in zip(before, starts, strict=True)
            ]
        searches = [Search(start, variant.first_hessian(), variant.history_size) for start in starts]
        if variant.carry:
            for search, smaller in zip(searches, before):
                height, width, _ = search.picture.shape
                # A gradient is spread over more pixels than before.
                share = smaller.picture.size / search.picture.size
                search.steps = [_enlarged(step, height, width) for step in smaller.steps]
                search.changes = [share * _enlarged(change, height, width) for change in smaller.changes]
        return searches


def summary(totals: np.ndarray, plain: np.ndarray) -> dict[str, Any]:
    """Returns the ratios to the plain variant's losses, and the evaluations that reach its last one.

    Args:
      totals: as from `Problems.minimise`.
      plain: those of the plain variant, for longer.

    Returns:
      ratios: mean (geometric) and worst, by the number of full-size evaluations.
      reach: median and worst; None: not by every problem, or not by half of them.
    """
    ratios = {}
    for count in COUNTS:
        index = count // EVERY - 1
        if index < len(totals) and np.isfinite(totals[index]).all():
            ratio = totals[index] / plain[index]
            ratios[str(count)] = [_rounded(statistics.geometric_mean(ratio)), _rounded(ratio.max())]
    reach = [evaluations_until(totals[:, case], plain[-1, case]) for case in range(totals.shape[1])]
    found = [statistics.median_high(reach), max(reach)]
    return {"ratios": ratios, "reach": [value if np.isfinite(value) else None for value in found]}


def evaluations_until(totals: np.ndarray, goal: float) -> float:
    """Returns when losses, taken every EVERY evaluations, fall to a goal, between two of them by their logarithms."""
    reached = np.flatnonzero(totals <= goal)
    if not len(reached):
        return float("inf")
    after = int(reached[0])
    if after == 0 or not np.isfinite(totals[after - 1]):
        return float(EVERY * (after + 1))
    above, below = np.log(totals[after - 1 : after + 1])
    return round(EVERY * (after + (above - np.log(goal)) / (above - below)), 1)


def _image(name: str) -> np.ndarray:
    if name in PHOTOGRAPHS or name in PAINTINGS:
        return np.asarray({**PHOTOGRAPHS, **PAINTINGS}[name]())
    if name == "astronaut":
        return np.asarray(read_from_wheel("astronaut.png"))
    with Image.open(SHARED_IMAGES / f"{name}.jpg") as opened:
        return np.asarray(opened.convert("RGB"))


def _square(image: np.ndarray, side_px: int) -> np.ndarray:
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = Image.fromarray(image[top : top + side, left : left + side])
    return np.asarray(square.resize((side_px, side_px), Image.Resampling.LANCZOS))


def _enlarged(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Enlarges signed values [h, w, 3] bilinearly."""
    planes = [
        Image.fromarray(np.ascontiguousarray(values[..., c])).resize((width, height), Image.Resampling.BILINEAR)
        for c in range(3)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def main() -> None:
    """Runs the variants; writes their losses and how they compare with the plain variant's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", default=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--side_px", type=int, default=96)
    parser.add_argument("--group", choices=GROUPS, default="chosen_on")
    parser.add_argument("--evaluations", type=int, default=110)
    parser.add_argument("--output", type=Path, default=RESULTS / "evaluations.json")
    options = parser.parse_args()
    bench = Problems(options.side_px, options.group)
    found = json.loads(options.output.read_text()) if options.output.exists() else {}
    rows = found.setdefault(f"{options.group}, {options.side_px} px", {})
    # The plain variant comes first: the others are compared with it.
    for name in dict.fromkeys((PLAIN, *options.variants)):
        if name == PLAIN and name in rows:
            continue
        began = Start()
        totals = bench.minimise(VARIANTS[name], PLAIN_EVALUATIONS if name == PLAIN else options.evaluations)
        rows[name] = {
            "losses": [[_rounded(total) if np.isfinite(total) else None for total in at] for at in totals.tolist()],
            "provenance": began.provenance(),
        }
        if name != PLAIN:
            rows[name] |= summary(totals, np.array(rows[PLAIN]["losses"]))
            print(name, rows[name]["ratios"], rows[name]["reach"], flush=True)
        options.output.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
