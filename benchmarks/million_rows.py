"""`stylebeam grid` and `stylebeam plan` on a manifest of a million rows over 1,000 images.

    python -m benchmarks.million_rows [--rows 1000000]

The figures are rows per second, and bytes of peak memory per row. Each command runs in a process of its own, so the
seconds include its start. Memory is measured in another process, which first runs the command on 1,000 rows over
equally many images and then forgets its peak: that of a start is high enough to hide 100 bytes a row. That process
finds no weights, and so loads none, and `plan` is asked for a GPU's time: otherwise it loads a network once for its
fingerprint and measures this machine, whatever the number of rows, and what that takes for a moment is more than a
million rows leave.
"""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.figures import Figure, Finished, main_of, run_measured
from stylecore.config.style_config import WEIGHTS_DIR_VARIABLE

CONTENTS = STYLES = 500
FEW_ROWS = 1_000
SIZE_PX = (48, 64)
# Its arguments: those of the command on few rows, "--", those on many.
GROWTH = """
import sys
from benchmarks.million_rows import memory_growth
from pipeline.cli.main import main
between = sys.argv.index("--")
def run(arguments):
    if main(arguments):
        raise RuntimeError(f"{arguments} failed")
growth = memory_growth(lambda: run(sys.argv[1:between]), lambda: run(sys.argv[between + 1 :]))
print(f"growth {growth}")
"""


def measure(rows: int) -> Iterator[Figure]:
    """Yields rows per second and bytes per row of each command."""
    configs = rows // (CONTENTS * STYLES)
    if configs < 1 or configs * CONTENTS * STYLES != rows:
        raise ValueError(f"rows must be a multiple of {CONTENTS * STYLES}, got {rows}")
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        write_images(directory)
        write_spec(directory / "many.yaml", "content_*.png", "style_*.png", configs)
        # The same images, each as the content of one row.
        write_spec(directory / "few.yaml", "*_*.png", "style_000.png", 1)
        few, many = (grid_and_plan(directory / name) for name in ("few.yaml", "many.yaml"))
        for few_arguments, many_arguments in zip(few, many, strict=True):
            yield from _figures(rows, few_arguments, many_arguments)


def write_images(directory: Path) -> None:
    """Writes 1,000 small pictures, all different."""
    generator = np.random.default_rng(0)
    for name in (f"{kind}_{index:03d}.png" for kind in ("content", "style") for index in range(CONTENTS)):
        pixels = generator.integers(0, 256, (*SIZE_PX, 3), np.uint8)
        Image.fromarray(pixels).save(directory / name)


def write_spec(path: Path, contents: str, styles: str, configs: int) -> None:
    """Writes the specification of a grid of contents x styles x `configs` configurations."""
    weights = [1e5 / (index + 1) for index in range(configs)]
    path.write_text(
        f"contents: ['{contents}']\nstyles: ['{styles}']\nconfig: {{iterations: 200}}\n"
        f"sweep: {{content_weight: {weights}}}\n"
    )


def grid_and_plan(spec: Path) -> tuple[list[str], list[str]]:
    """Returns the arguments of `grid` and of `plan`, which follows it."""
    manifest = str(spec.with_suffix(".parquet"))
    return ["grid", str(spec), "--output", manifest], ["plan", "--manifest", manifest]


def stylebeam(arguments: list[str]) -> Finished:
    """Runs a `stylebeam` command in a process of its own."""
    return run_measured([sys.executable, "-m", "pipeline", *arguments])


def memory_growth(first: Callable[[], object], then: Callable[[], object]) -> int:
    """Calls both; returns by how many bytes the peak of `then` is above what the process held when it began. Linux."""
    first()
    Path("/proc/self/clear_refs").write_text("5")  # The peak is now what is held.
    held = _peak_bytes()
    then()
    return _peak_bytes() - held


def _figures(rows: int, few: list[str], many: list[str]) -> Iterator[Figure]:
    command = few[0]
    few_done, done = stylebeam(few), stylebeam(many)
    details = {"rows": rows, "secs": done.secs, "secs_of_1000_rows": few_done.secs, "peak_mb": done.peak_bytes >> 20}
    yield Figure(f"{command}_rows_per_second", rows / done.secs, details)
    unmeasured = ["--gpu", "nvidia-l4"] if command == "plan" else []
    growth_of = [sys.executable, "-c", GROWTH, *few, *unmeasured, "--", *many, *unmeasured]
    output = run_measured(growth_of, env=_without_weights(many)).output
    growth = int(re.findall(r"^growth (\d+)$", output, re.MULTILINE)[0])
    yield Figure(f"{command}_bytes_per_row", growth / (rows - FEW_ROWS), {"growth_mb": growth >> 20})


def _without_weights(arguments: list[str]) -> dict[str, str]:
    """Returns an environment whose cache is an empty folder beside the manifest and that names no other weights."""
    own = {name: value for name, value in os.environ.items() if name != WEIGHTS_DIR_VARIABLE}
    return {**own, "XDG_CACHE_HOME": str(Path(arguments[-1]).parent / "no_cache")}


def _peak_bytes() -> int:
    (peak_kb,) = re.findall(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(peak_kb) * 1024


if __name__ == "__main__":
    main_of(__doc__, measure, rows=1_000_000)
