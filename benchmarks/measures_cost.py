"""What measuring a picture costs: seconds of all four measures over those of a run, in one process.

    python -m benchmarks.measures_cost [--side_px 256] [--iterations 200]

The run is a photograph with a painting by the preset `basic`, in float32 and in the precision that this machine
prefers. A picture is measured with a style that no picture had before, so that nothing of the style is known yet; what
is traced and loaded once a process does not count. In a job pictures are measured beside the computation of others. The
result goes to benchmarks/results/measures_cost.json.
"""

import argparse
import datetime
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.bench import machine
from benchmarks.figures import RESULTS, Figure, reached
from benchmarks.grids import paintings, photographs, squares
from benchmarks.provenance import Start
from stylecore import StyleConfig, stylize
from stylecore.measures.measure import measure
from stylecore.measures.network import PictureNetwork
from stylecore.networks.layers import LPIPS_NETWORK
from stylecore.networks.weights.sources import load_weights

TARGET = {"at_most": 0.03}
_REPEATS = 5
_WARM_ITERATIONS = 4


def figures(side_px: int, iterations: int) -> Iterator[Figure]:
    """Yields the share of each precision."""
    (content,) = squares(photographs(), side_px, 1)
    (painting,) = squares(paintings(), side_px, 1)
    network = PictureNetwork(load_weights(LPIPS_NETWORK, "imagenet").network)
    for precision in ("float32", "auto"):
        config = {"precision": precision, "image_size": side_px}
        _run(content, painting, {**config, "iterations": _WARM_ITERATIONS})
        before = _measuring_secs(network, content, painting, side_px)
        run_secs = _secs(_run, content, painting, {**config, "iterations": iterations})
        after = _measuring_secs(network, content, painting, side_px)
        secs = statistics.median([*before, *after])
        details = {"measure_secs": [*before, *after], "run_secs": run_secs}
        yield Figure(f"measures_over_run_{precision}", secs / run_secs, details)


def _run(content: np.ndarray, painting: np.ndarray, fields: dict[str, Any]) -> None:
    (result,) = stylize([content], [painting], [StyleConfig.from_dict(fields)])
    assert result.error is None


def _measuring_secs(network: PictureNetwork, content: np.ndarray, painting: np.ndarray, side_px: int) -> list[float]:
    picture = np.rint(0.5 * content + 0.5 * painting).astype(np.uint8)
    given = content.astype(np.float32)
    measure(picture, given, [(painting.astype(np.float32), 1.0)], network)
    styles = [np.roll(painting, shift, axis=0).astype(np.float32) for shift in range(1, _REPEATS + 1)]
    return [_secs(measure, picture, given, [(style, 1.0)], network) for style in styles]


def _secs(work: Callable[..., Any], *arguments: Any) -> float:
    began = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - began


def main() -> None:
    """Measures, prints, and writes what the defaults give."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side_px", type=int, default=256, help="default: 256")
    parser.add_argument("--iterations", type=int, default=200, help="default: 200")
    arguments = parser.parse_args()
    start = Start()
    found = list(figures(**vars(arguments)))
    about = {"date": datetime.date.today().isoformat(), "machine": machine(), **vars(arguments)}
    rows = {
        figure.name: {"value": figure.value, "reached": reached(figure, TARGET), **figure.details} for figure in found
    }
    text = json.dumps({**about, "target": TARGET, "figures": rows, "provenance": start.provenance()}, indent=1)
    print(text)
    if all(value == parser.get_default(name) for name, value in vars(arguments).items()):
        (RESULTS / "measures_cost.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
