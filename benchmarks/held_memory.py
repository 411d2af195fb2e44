"""Peak memory of the compiled step over the prediction of stylecore/planning/costs.py, each case in its own process.

    python -m benchmarks.held_memory [--case PRESET SIDE BATCH OPTIMIZER PRECISION]

The figure is the process's peak above its peak after a tiny batch, which leaves out TensorFlow, the network and the
traces. `HELD_FACTOR` was chosen so that no case is predicted too low.
"""

import argparse
import json
import resource
import sys
from typing import Any

import numpy as np

from benchmarks.figures import RESULTS, run_measured

CASES = [
    ("basic", 256, 1, "adam", "float32"),
    ("basic", 256, 2, "adam", "float32"),
    ("basic", 256, 4, "adam", "float32"),
    ("basic", 128, 8, "adam", "float32"),
    ("basic", 512, 1, "adam", "float32"),
    ("basic", 256, 1, "adam", "bfloat16"),
    ("basic", 256, 4, "adam", "bfloat16"),
    ("basic", 256, 1, "lbfgs", "float32"),
    ("basic", 256, 4, "lbfgs", "float32"),
    ("basic", 256, 2, "lbfgs", "bfloat16"),
    ("resnet50", 256, 2, "adam", "float32"),
]
# The values of the weights do not matter here, and ResNet50's are not available everywhere.
_WEIGHTS = "random:1"
_WARM_PX, _EVALUATIONS = 32, 8


def held_bytes(preset: str, side_px: int, batch_size: int, optimizer: str, precision: str) -> tuple[int, int]:
    """Returns (measured, predicted) bytes of one batch; call it in a fresh process, whose peak it reads."""
    from stylecore import StyleConfig
    from stylecore.networks.weights.sources import load_weights
    from stylecore.planning.buckets import step_kind
    from stylecore.planning.costs import evaluation_cost
    from stylecore.run.engine import Engine
    from stylecore.run.problem import prepare

    fields: dict[str, Any] = {"optimizer": optimizer, "precision": precision, "weights": _WEIGHTS}
    config = StyleConfig(preset=preset, iterations=1_000_000, **fields)
    weights = load_weights(config.backbone, _WEIGHTS)
    engine = Engine(step_kind(config, weights.fingerprint), weights.network)

    def optimise(side: int, count: int) -> int:
        image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
        problems = [prepare(image, image[::-1].copy(), config)] * count
        batch = engine.constants(problems)
        engine.advance(engine.start(problems), batch, _EVALUATIONS)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    before = optimise(_WARM_PX, 1)
    measured = optimise(side_px, batch_size) - before
    cost = evaluation_cost(engine.kind, side_px, side_px, config.history_size)
    return measured, cost.bytes_held * batch_size


def main() -> None:
    """Measures one case, or measures all cases and writes them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", nargs=5, metavar=("PRESET", "SIDE", "BATCH", "OPTIMIZER", "PRECISION"))
    case = parser.parse_args().case
    if case:
        print(json.dumps(held_bytes(case[0], int(case[1]), int(case[2]), *case[3:])))
        return
    rows = []
    for case in CASES:
        finished = run_measured([sys.executable, "-m", __spec__.name, "--case", *map(str, case)])
        measured, predicted = json.loads(finished.output.strip().splitlines()[-1])
        about = dict(zip(("preset", "side_px", "batch_size", "optimizer", "precision"), case, strict=True))
        ratio = round(predicted / measured, 2)
        rows.append({**about, "measured_mb": measured >> 20, "predicted_over_measured": ratio})
        print(json.dumps(rows[-1]), flush=True)
    (RESULTS / "held_memory.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
