"""How far pictures have to go over how steep their loss is, band by band of frequency: what the spectral gains are.

    python -m benchmarks.curvature [--side_px 256]

Of the problems of benchmarks/evaluations.py, L-BFGS with the spectral first Hessian makes START evaluations and then
goes on to END. A band's figure is the length of the way between both pictures over that of the gradient at the first,
for luminance, the mean of the channels, and for what is left of them. A first Hessian that scales each band so would
lead along the way as straight as any that knows frequencies alone. `agreement` is the cosine of the angle between the
way and the scaled gradient, in the norm in which the scaling is the identity: for the plain first Hessian, for the one
that is built in and for these figures themselves. Pixels that are held count as having no gradient.
"""

import argparse
import json
import statistics
from collections.abc import Iterator

import numpy as np

from benchmarks.evaluations import BUILT_IN, GROUPS, VARIANTS, Problems
from benchmarks.figures import RESULTS
from benchmarks.provenance import Start
from benchmarks.quasi_newton import BANDS, Curve, Search, Spectral, band_squares, bands, built_in, transform

START, END = 60, 250


def way_and_gradient(bench: Problems) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields for each problem the way from its picture at START to that at END, and the gradient at START."""
    variant = VARIANTS[BUILT_IN]
    searches = [Search(start, variant.first_hessian()) for start in bench.starts(1.0, recoloured=False)]
    _evaluate(bench, searches, START)
    begun = [(search.picture, search.free_gradient) for search in searches]
    _evaluate(bench, searches, END - START)
    for search, (picture, gradient) in zip(searches, begun, strict=True):
        yield search.picture - picture, gradient


def lengths(way: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Returns the way's length over the gradient's in each band, [2, bands]: luminance, chroma."""
    squares = [band_squares(vector.astype(np.float64)) for vector in (way, gradient)]
    return np.sqrt(squares[0] / np.maximum(squares[1], np.finfo(float).tiny))


def agreement(way: np.ndarray, gradient: np.ndarray, gains: tuple[np.ndarray, np.ndarray]) -> float:
    """Returns the cosine of the angle between the way and the gradient scaled by gains [height, width] of each kind."""
    along, steep = (_parts(vector) for vector in (way, gradient))
    product = sum(float((a * g).sum()) for a, g in zip(along, steep, strict=True))
    long = sum(float((a**2 / gain).sum()) for a, gain in zip(along, gains, strict=True))
    steepness = sum(float((g**2 * gain).sum()) for g, gain in zip(steep, gains, strict=True))
    return -product / np.sqrt(long * steepness)


def _evaluate(bench: Problems, searches: list[Search], count: int) -> None:
    for _ in range(count):
        found = bench.evaluate(1.0, [search.at for search in searches])
        for search, (total, gradient) in zip(searches, found, strict=True):
            search.tell(total, gradient)


def _parts(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the coefficients of luminance and chroma, each [channels, height, width]."""
    coefficients = np.moveaxis(transform(vector.astype(np.float64)), 2, 0)
    mean = coefficients.mean(axis=0, keepdims=True)
    return np.repeat(mean, 3, axis=0), coefficients - mean


def main() -> None:
    """Measures, prints and writes benchmarks/results/curvature.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side_px", type=int, default=256)
    side_px = parser.parse_args().side_px
    began = Start()
    measured = list(way_and_gradient(Problems(side_px, "chosen_on")))
    band = bands(side_px, side_px)
    # Only how the bands of a problem compare counts: a gain has no unit.
    found = np.array([lengths(*pair) for pair in measured])
    found /= np.exp(np.log(found[:, :1, -3:-1]).mean(axis=2, keepdims=True))
    tried = {
        "plain": Spectral(Curve(0.0, 1.0)).gains(side_px, side_px),
        "built in": built_in().gains(side_px, side_px),
    }
    agreements = {name: [agreement(*pair, gains) for pair in measured] for name, gains in tried.items()} | {
        "these figures": [
            agreement(*pair, (of[0][band], of[1][band])) for pair, of in zip(measured, found, strict=True)
        ]
    }
    size = np.bincount(band.ravel(), minlength=len(BANDS))
    built = [np.bincount(band.ravel(), gains.ravel(), len(BANDS)) / size for gains in tried["built in"]]
    result = {
        "side_px": side_px,
        "problems": [f"{content} with {style}" for content, style, _ in GROUPS["chosen_on"]],
        "bands_from": BANDS.tolist(),
        "luminance": np.exp(np.log(found[:, 0]).mean(axis=0)).round(2).tolist(),
        "chroma": np.exp(np.log(found[:, 1]).mean(axis=0)).round(2).tolist(),
        "built_in_luminance": built[0].round(2).tolist(),
        "built_in_chroma": built[1].round(2).tolist(),
        "agreement": {name: round(statistics.mean(values), 4) for name, values in agreements.items()},
        "provenance": began.provenance(),
    }
    (RESULTS / "curvature.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
