"""Fills the tables of docs/scaling.md from benchmarks/results: scaling.json, locality.json and simulated_job.json.

    python -m benchmarks.scaling_doc

The measurements do so at their end.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from benchmarks.figures import number
from benchmarks.performance_doc import Lines, filled, results_of
from benchmarks.provenance import ROOT
from benchmarks.stages import courses
from stylecore.planning.costs import FLOAT32_BYTES
from transforms.deal import RUNS_PER_SHARD, cell_bits
from transforms.output.paths import ROWS_PER_METRICS_FILE

DOC = ROOT / "docs" / "scaling.md"
RUNS = 1_000_000
IMAGES = 1_000
ROWS_PER_GROUP = 10_000
SIDE_PX = 512
HISTORY_SIZE = 20
MISSING = "not measured"
CACHES = {"decoded": "whole images, 1 GiB", "resized": "at the sizes in use, 768 MiB, and whole, 256 MiB"}
DEALINGS = {"by_run_id": "by run_id", "by_blocks": "by blocks"}


class Element(NamedTuple):
    """Elements that a step shuffles: the step, their number, and the figure that says what each weighs."""

    step: str
    amount: int
    figure: str


BEFORE = (
    Element(f"SpreadSlices: one for a row group of {ROWS_PER_GROUP:,} rows", RUNS // ROWS_PER_GROUP, "slice_bytes"),
    Element("SpreadRows", RUNS, "manifest_row_bytes"),
    Element(f"facts of {IMAGES:,} images, a side input of every worker", IMAGES, "image_facts_bytes"),
    Element("JoinFinished: runs by run_id", RUNS, "run_bytes"),
    Element("DealBuckets: cells, combined before they are shuffled", 2 ** cell_bits(RUNS), "cell_bytes"),
    Element("GroupShards: runs by bucket and shard", RUNS, "sharded_run_bytes"),
    Element("SpreadBatches: runs of a batch share what is equal", RUNS, "run_in_batch_bytes"),
)
AFTER = (
    Element("JoinOutcomes: rows by run_id", RUNS, "named_row_bytes"),
    Element("JoinOutcomes: records with their histories", RUNS, "outcome_bytes"),
    Element(f"GroupFiles: packed rows, {ROWS_PER_METRICS_FILE:,} to a file", RUNS, "metrics_chunk_bytes"),
)


def write() -> None:
    """Brings docs/scaling.md up to date."""
    DOC.write_text(filled(DOC.read_text(), TABLES))


def short_table() -> Lines:
    """Yields the sums of a million runs of 512 px."""
    figures = _figures()
    pictures = _bytes(figures, "images_bytes_per_pixel", RUNS * SIDE_PX**2)
    yield f"| what | {RUNS:,} runs of {SIDE_PX} px |"
    yield "|---|---|"
    yield f"| shuffled in all | {_sum(BEFORE + AFTER)} |"
    yield f"| shards of about {RUNS_PER_SHARD} runs, if all have one size | {-(-RUNS // RUNS_PER_SHARD):,} |"
    yield f"| pictures | {pictures} |"
    for name, text in (("runs", "markers"), ("metrics", "metrics"), ("gallery", "gallery data")):
        figure = "gallery_bytes_per_run" if name == "gallery" else f"{name}_bytes_per_run"
        yield f"| {text} | {_bytes(figures, figure, RUNS)} |"
    yield f"| requests that write, without checkpoints | {3 * RUNS:,} |"


def before_table() -> Lines:
    """Yields what is shuffled before anything is computed."""
    yield from _elements(BEFORE)


def after_table() -> Lines:
    """Yields what is shuffled once all runs are computed."""
    yield from _elements(AFTER)


def checkpoints_table() -> Lines:
    """Yields the bytes of a running picture's checkpoint at 512 px."""
    figures = _figures()
    pixels, measured_pixels = SIDE_PX**2, 64**2
    yield f"| optimiser | checkpoint of a running picture of {SIDE_PX} px |"
    yield "|---|---|"
    for name, text in (("adam", "Adam"), ("lbfgs", "L-BFGS at its start")):
        yield f"| {text} | {_bytes(figures, f'checkpoint_{name}_bytes', pixels / measured_pixels)} |"
    pairs = 2 * 3 * FLOAT32_BYTES * HISTORY_SIZE * pixels
    yield f"| more with {HISTORY_SIZE} pairs of L-BFGS' history | {_text(pairs)} |"


def locality_table() -> Lines:
    """Yields the files that workers read for a run, by dealing and cache."""
    if not results_of("locality"):
        yield f"{MISSING}: `python -m benchmarks.locality`"
        return
    yield "| grid | runs are dealt | images are kept | files read a run | kB a run | most reads of a file |"
    yield "|---|---|---|---|---|---|"
    for name, found in results_of("locality").items():
        for dealing, dealt in DEALINGS.items():
            for cache, kept in CACHES.items():
                row = found[f"{dealing}_{cache}"]
                counts = f"{row['reads_per_run']:.3f} | {number(row['kb_per_run'])} | {row['most_reads_of_an_image']:,}"
                yield f"| {name} | {dealt} | {kept} | {counts} |"


def stages_table() -> Lines:
    """Yields the stages of a simulated job that take the longest at its largest size."""
    sizes = results_of("simulated_job").get("sizes", [])
    if not sizes:
        yield f"{MISSING}: `python -m benchmarks.simulated_job`"
        return
    rows = " / ".join(f"{size['rows']:,}" for size in sizes)
    yield f"| stage | seconds at {rows} rows | of the processor | peak MB | exponent |"
    yield "|---|---|---|---|---|"
    for stage in courses(sizes):
        columns = (" / ".join(number(value) for value in stage[key]) for key in ("secs", "cpu_secs", "peak_mb"))
        yield f"| {stage['label']} | {' | '.join(columns)} | {stage['cpu_exponent']:.2f} |"


def _elements(elements: tuple[Element, ...]) -> Lines:
    figures = _figures()
    yield "| step | elements | bytes each | shuffled |"
    yield "|---|---|---|---|"
    for step, amount, figure in elements:
        each = number(figures[figure]) if figure in figures else MISSING
        yield f"| {step} | {amount:,} | {each} | {_bytes(figures, figure, amount)} |"
    yield f"| together | | | {_sum(elements)} |"


def _figures() -> Mapping[str, float]:
    figures: Mapping[str, float] = results_of("scaling").get("figures", {})
    return figures


def _sum(elements: tuple[Element, ...]) -> str:
    figures = _figures()
    if any(element.figure not in figures for element in elements):
        return MISSING
    return _text(sum(element.amount * figures[element.figure] for element in elements))


def _bytes(figures: Mapping[str, float], name: str, count: float) -> str:
    return _text(figures[name] * count) if name in figures else MISSING


def _text(size: float) -> str:
    for unit, least in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= least:
            return f"{size / least:.3g} {unit}"
    return f"{size:.0f} bytes"


TABLES: Mapping[str, Callable[[], Lines]] = {
    "short": short_table,
    "before": before_table,
    "after": after_table,
    "checkpoints": checkpoints_table,
    "locality": locality_table,
    "stages": stages_table,
}


if __name__ == "__main__":
    write()
