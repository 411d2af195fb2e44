"""Pictures in tiles: the time of an evaluation over that of the whole picture, and the peak memory.

    python -m benchmarks.tiles [--only factor, memory or large]

factor: evaluations at 1024x1024 pixels, whole and in tiles of 512 by turns in one process; the ratio of the medians.
memory: 2048x1536 pixels with Adam and a device memory of 2 GB: the process's peak above what it held before its first
step, the compilation of the step and the targets included. large: the same for five iterations at 4096x2160 pixels and
6 GB. The weights are random, whose values do not matter here.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import RESULTS, run_measured
from benchmarks.provenance import Start

_PRESET, _WEIGHTS = "basic", "random:1"
_FACTOR_PX, _TILE_PX, _ROUNDS = 1024, 512, 3
_MEMORY_SIZE, _MEMORY_BYTES, _MEMORY_STEPS = (1536, 2048), 2 * 10**9, 3
_LARGE_SIZE, _LARGE_BYTES, _LARGE_STEPS = (2160, 4096), 6 * 10**9, 5


def time_factor() -> dict[str, Any]:
    """Returns the time of evaluations in tiles over that of whole ones."""
    from stylecore.planning.room import Room

    config = _config()
    whole, tiled = (_engine(config, room) for room in (Room(), Room(tile_px=_TILE_PX)))
    problem = _problem(config, _FACTOR_PX, _FACTOR_PX)
    secs: dict[Any, list[float]] = {whole: [], tiled: []}
    begun = {engine: (engine.start([problem]), engine.constants([problem])) for engine in secs}
    for round_ in range(_ROUNDS + 1):
        for engine, (state, constants) in begun.items():
            began = time.perf_counter()
            engine.advance(state, constants, 1)[2].total.numpy()
            if round_:  # The first one compiles.
                secs[engine].append(time.perf_counter() - began)
    ratios = [of_tiles / of_whole for of_whole, of_tiles in zip(*secs.values(), strict=True)]
    return {
        "side_px": _FACTOR_PX,
        "tile_px": _TILE_PX,
        "whole_secs": [round(value, 2) for value in secs[whole]],
        "tiled_secs": [round(value, 2) for value in secs[tiled]],
        "factor": round(statistics.median(ratios), 3),
        "estimated_factor": round(_estimated_factor(tiled.kind, _FACTOR_PX, _FACTOR_PX, Room(tile_px=_TILE_PX)), 3),
    }


def peak(size: tuple[int, int], memory_bytes: int, steps: int) -> dict[str, Any]:
    """Returns the peak memory and the seconds of a few steps; call it in a fresh process, whose peak it reads."""
    from stylecore.planning.costs import evaluation_cost
    from stylecore.planning.room import Room, tiles_of

    room = Room(memory_bytes)
    config = _config()
    engine, problem = _engine(config, room), _problem(config, *size)
    tiles = tiles_of(engine.kind, *size, 0, room)
    before = _status_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # The peak is counted from here on.
    began = time.perf_counter()
    constants = engine.constants([problem])
    targets_secs = time.perf_counter() - began
    _, _, losses = engine.advance(engine.start([problem]), constants, steps)
    secs = time.perf_counter() - began - targets_secs
    above = _status_bytes("VmHWM") - before
    return {
        "height": size[0],
        "width": size[1],
        "memory_gb": memory_bytes / 1e9,
        "tiles": tiles and {"last": tiles.last, "side_px": tiles.side_px},
        "steps": steps,
        "held_before_gb": round(before / 1e9, 3),
        "peak_above_gb": round(above / 1e9, 3),
        "estimated_gb": round(evaluation_cost(engine.kind, *size, tiles=tiles).bytes_held / 1e9, 3),
        "targets_secs": round(targets_secs, 1),
        "secs_per_step": round(secs / steps, 1),
        "total_losses": [float(total) for total in losses.total.numpy()[:, 0]],
    }


def _status_bytes(name: str) -> int:
    """Returns a figure of this process' memory as Linux gives it: VmRSS is what it holds, VmHWM its peak."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _config() -> Any:
    from stylecore import StyleConfig

    return StyleConfig(preset=_PRESET, optimizer="adam", weights=_WEIGHTS, iterations=1000)


def _engine(config: Any, room: Any) -> Any:
    from stylecore.networks.weights.sources import load_weights
    from stylecore.planning.buckets import step_kind
    from stylecore.run.engine_cache import get_engine

    weights = load_weights(config.backbone, _WEIGHTS)
    return get_engine(step_kind(config, weights.fingerprint), lambda: weights.network, room=room)


def _problem(config: Any, height: int, width: int) -> Any:
    from stylecore.run.problem import prepare

    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return prepare(image, image[::-1].copy(), config)


def _estimated_factor(kind: Any, height: int, width: int, room: Any) -> float:
    from stylecore.planning.room import tiles_of, time_factor

    return time_factor(kind, height, width, tiles_of(kind, height, width, 0, room))


CASES = {
    "factor": time_factor,
    "memory": lambda: peak(_MEMORY_SIZE, _MEMORY_BYTES, _MEMORY_STEPS),
    "large": lambda: peak(_LARGE_SIZE, _LARGE_BYTES, _LARGE_STEPS),
}


def main() -> None:
    """Measures one case, or measures all of them and writes them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=sorted(CASES))
    only = parser.parse_args().only
    if only:
        began = Start()
        print(json.dumps({**CASES[only](), "provenance": began.provenance()}))
        return
    found: dict[str, Any] = {}
    for name in CASES:
        finished = run_measured([sys.executable, "-m", __spec__.name, "--only", name])
        found[name] = json.loads(finished.output.strip().splitlines()[-1])
        print(json.dumps({name: found[name]}), flush=True)
    (RESULTS / "tiles.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
