"""`make bench-peers`: one `stylebeam run` of a grid against a loop over the command line of pastiche 1.6.0.

    python -m benchmarks.peers [--steps 300] [--side_px 256] [--contents 3] [--iterations N]

The grid is 3 contents x 2 styles x 2 style weights. Both tools get the same files, already reduced to the size at which
they are used, so that neither resizes and both minimise the same function; both start up, load their weights and write
PNG files. Every delivered picture is scored with pastiche's own loss in float32 (benchmarks/peers_score.py). The two
tools take turns: fast, half of pastiche's loop, float32, the other half, fast again. The results go to
benchmarks/results/peers.json.

pip installs pastiche and PyTorch into an environment of their own; where the package index offers a build for CPUs,
pip takes that one.
"""

import argparse
import dataclasses
import datetime
import itertools
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from benchmarks import performance_doc
from benchmarks.bench import machine, table
from benchmarks.figures import PREDICTIONS, RESULTS, Figure, run_measured
from benchmarks.grids import Grid
from benchmarks.peers_score import equal_config_fields, peer_loss, read_picture
from benchmarks.provenance import Start
from demo.paintings import PAINTINGS
from demo.photographs import PHOTOGRAPHS

ROOT = Path(__file__).parent.parent
SHARED_IMAGES = ROOT.parent / "shared" / "images"
ENVIRONMENT = ROOT / ".cache" / "peers"
REQUIREMENTS = ("pastiche==1.6.0", "torch==2.13.0")

STYLE_WEIGHTS = (1.0, 0.1)
# Our preset `fast`, with the other tool's objective.
FAST: Mapping[str, Any] = {"preset": "fast"}
# A single stage, with as many iterations as all other figures.
FLOAT32: Mapping[str, Any] = {"precision": "float32", "iterations": 200}

_INFO = re.compile(r"^(\d+) +[\d.]+ +([\d.]+)$", re.MULTILINE)
_SCORES_AGREE = 1e-3


@dataclasses.dataclass(frozen=True)
class PeerRun:
    """One picture by pastiche: wall seconds, and the losses it reports at each step, for pixels not yet clipped."""

    secs: float
    losses: Mapping[int, float]
    picture: Path


def images(side_px: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns contents and styles reduced to this longest side: the shared images where present, else the demo's."""
    contents = {name: Image.fromarray(np.asarray(load())) for name, load in PHOTOGRAPHS.items()}
    styles = {name: Image.fromarray(np.asarray(paint())) for name, paint in PAINTINGS.items()}
    if SHARED_IMAGES.is_dir():
        contents = {"tubingen": Image.open(SHARED_IMAGES / "tubingen.jpg")} | contents
        styles = {name: Image.open(SHARED_IMAGES / f"{name}.jpg") for name in ("starry_night", "the_scream")}
    first_two = dict(itertools.islice(styles.items(), 2))
    return _reduced_all(contents, side_px), _reduced_all(first_two, side_px)


def peer_program() -> Path:
    """Returns the path of pastiche's command; installs it first if it is missing."""
    program = ENVIRONMENT / "bin" / "pastiche"
    if not program.exists():
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        install: list[Any] = [ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
        subprocess.run([*install, *REQUIREMENTS], check=True)
    return program


def peer_run(content: Path, style: Path, style_weight: float, side_px: int, steps: int, output: Path) -> PeerRun:
    """Runs pastiche's command line once, with defaults for everything except size, steps and style weight."""
    sizes = ["--size", str(side_px), "--style-size", str(side_px)]
    weights = ["--style-weights", str(style_weight), "--seed", "1", "--num-steps", str(steps)]
    files = ["--content", str(content), "--styles", str(style), "--output", str(output)]
    done = run_measured([str(peer_program()), *sizes, *weights, *files])
    return PeerRun(done.secs, {int(step): float(loss) for step, loss in _INFO.findall(done.output)}, output)


def our_run(grid: Grid, folder: Path, fields: Mapping[str, Any]) -> tuple[float, list[Path]]:
    """Runs a whole grid with one command; returns its seconds and the pictures in the order of the rows."""
    manifest = grid.with_fields(**fields).write(folder / "grid")
    output = folder / "output"
    done = run_measured([sys.executable, "-m", "pipeline", "run", f"--manifest={manifest}", f"--output={output}"])
    rows = pq.read_table(output / "metrics", columns=["manifest_row", "image"]).sort_by("manifest_row").to_pylist()
    return done.secs, [output / row["image"] for row in rows]


def measure(side_px: int, steps: int, contents: int, iterations: int | None, folder: Path) -> dict[str, Any]:
    """Makes all pictures, scores them and returns all seconds and scores."""
    found = images(side_px)
    photographs, styles = dict(itertools.islice(found[0].items(), contents)), found[1]
    configs = [equal_config_fields(weight) for weight in STYLE_WEIGHTS]
    grid = Grid(list(photographs.values()), list(styles.values()), configs)
    rows = list(itertools.product(photographs, styles, STYLE_WEIGHTS))
    inputs = _write_all(folder / "inputs", {**photographs, **styles})
    trial = {"iterations": iterations} if iterations else {}
    fast_fields, float32_fields = {**FAST, **trial}, {**FLOAT32, **trial}
    peer_program()
    fast = [our_run(grid, folder / "fast_before", fast_fields)]
    peers = [_peer_row(inputs, row, side_px, steps) for row in rows[: len(rows) // 2]]
    single = our_run(grid, folder / "float32", float32_fields)
    peers += [_peer_row(inputs, row, side_px, steps) for row in rows[len(rows) // 2 :]]
    fast.append(our_run(grid, folder / "fast_after", fast_fields))
    scored = [
        _scored(row, inputs, peer, {"fast": fast_picture, "float32": single_picture})
        for row, peer, fast_picture, single_picture in zip(rows, peers, fast[0][1], single[1], strict=True)
    ]
    return {
        "side_px": side_px,
        "steps": steps,
        "images": "shared and the demo's" if SHARED_IMAGES.is_dir() else "the demo's",
        "fast": fast_fields,
        "float32": float32_fields,
        "peer_secs": sum(peer.secs for peer in peers),
        "fast_secs": [secs for secs, _ in fast],
        "float32_secs": single[0],
        "pictures": scored,
    }


def figures(results: Mapping[str, Any]) -> Iterator[Figure]:
    """Yields the speed-ups and the worst ratio of our score to pastiche's; above 1 a speed-up does not count."""
    peer_secs = results["peer_secs"]
    secs = {"fast": statistics.mean(results["fast_secs"]), "float32": results["float32_secs"]}
    for name in ("fast", "float32"):
        yield Figure(f"{name}_speed_up", peer_secs / secs[name])
        yield Figure(
            f"{name}_worst_score_over_peer",
            max(row["scores"][name] / row["scores"]["pastiche"] for row in results["pictures"]),
        )


def _peer_row(inputs: Mapping[str, Path], row: tuple[str, str, float], side_px: int, steps: int) -> PeerRun:
    content, style, weight = row
    output = inputs[content].with_name(f"pastiche_{content}_{style}_{weight}.png")
    return peer_run(inputs[content], inputs[style], weight, side_px, steps, output)


def _scored(
    row: tuple[str, str, float], inputs: Mapping[str, Path], peer: PeerRun, ours: Mapping[str, Path]
) -> dict[str, Any]:
    content_name, style_name, weight = row
    content, style = read_picture(inputs[content_name]), read_picture(inputs[style_name])
    start = peer_loss(content, content, style, weight)
    if not math.isclose(start, peer.losses[0], rel_tol=_SCORES_AGREE):
        raise RuntimeError(f"{row}: our score of the content is {start}, pastiche's own {peer.losses[0]}")
    pictures = {"pastiche": peer.picture, **ours}
    scores = {name: peer_loss(read_picture(path), content, style, weight) for name, path in pictures.items()}
    return {
        "content": content_name,
        "style": style_name,
        "style_weight": weight,
        "peer_secs": peer.secs,
        "peer_loss_before_clipping": peer.losses[max(peer.losses)],
        "scores": scores,
    }


def _reduced_all(images: Mapping[str, Image.Image], side_px: int) -> dict[str, np.ndarray]:
    return {name: _reduced(image, side_px) for name, image in images.items()}


def _reduced(image: Image.Image, side_px: int) -> np.ndarray:
    scale = side_px / max(image.size)
    width, height = image.size
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))


def _write_all(folder: Path, pictures: Mapping[str, np.ndarray]) -> dict[str, Path]:
    folder.mkdir(parents=True)
    paths = {name: folder / f"{name}.png" for name in pictures}
    for name, path in paths.items():
        Image.fromarray(pictures[name]).save(path)
    return paths


def _peer_versions() -> list[str]:
    names: Sequence[str] = ("pastiche", "torch")
    found = subprocess.run(
        [ENVIRONMENT / "bin" / "python", "-m", "pip", "freeze"], capture_output=True, text=True, check=True
    )
    return [line for line in found.stdout.splitlines() if line.partition("==")[0] in names]


def _peer_threads() -> int:
    program = "import torch; print(torch.get_num_threads())"
    found = subprocess.run([ENVIRONMENT / "bin" / "python", "-c", program], capture_output=True, text=True, check=True)
    return int(found.stdout)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300, help="of pastiche (default: 300)")
    parser.add_argument("--side_px", type=int, default=256, help="longest side (default: 256)")
    parser.add_argument("--contents", type=int, default=3, help="of the grid, at most 3 (default: 3)")
    parser.add_argument("--iterations", type=int, help="of ours, instead of what FAST and FLOAT32 say: for a trial")
    arguments = parser.parse_args()
    start = Start()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(**vars(arguments), folder=Path(folder))
    found = list(figures(results))
    print("\n".join(table(found, json.loads(PREDICTIONS.read_text())["figures"])))
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "peers": _peer_versions(),
        "provenance": start.provenance({"stylebeam": len(os.sched_getaffinity(0)), "pastiche": _peer_threads()}),
    }
    values = {figure.name: figure.value for figure in found}
    # A trial with other arguments is printed and not written.
    defaults = {name: parser.get_default(name) for name in vars(arguments)}
    if vars(arguments) == defaults:
        (RESULTS / "peers.json").write_text(json.dumps({**about, "figures": values, **results}, indent=1) + "\n")
        performance_doc.write()
    else:
        print(json.dumps({**about, "figures": values, **results}, indent=1))


if __name__ == "__main__":
    main()
