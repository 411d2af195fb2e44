"""The step of presets over that of an earlier commit of this project: what features that are not used cost.

    python -m benchmarks.since COMMIT [--side_px 256] [--batch_size 2] [--turns 50]

Both run with oneDNN's kernels, in processes of their own that take turns; the figure is the median of the turns'
ratios. The result goes to benchmarks/results/since.json.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import RESULTS, Figure
from benchmarks.provenance import ROOT, Start
from stylecore.kernels import ONEDNN_VARIABLE

PRESETS = ("basic", "fast")
EVALUATIONS = 2


class Worker:
    """A process with the stylecore of one checkout."""

    def __init__(self, checkout: Path, side_px: int, batch_size: int) -> None:
        environment = {**os.environ, "PYTHONPATH": str(checkout), ONEDNN_VARIABLE: "1"}
        command = [sys.executable, str(ROOT / "benchmarks/since_worker.py"), str(side_px), str(batch_size), *PRESETS]
        self._process = subprocess.Popen(
            command, cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def secs(self, preset: str, evaluations: int) -> float:
        """Returns the seconds that evaluations of a batch take.

        Raises:
          RuntimeError: the process has ended.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        print(preset, evaluations, file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("took "):
                return float(line.split()[1])
        raise RuntimeError(f"the steps of a checkout ended with {self._process.wait()}")

    def end(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Gives a checkout of a commit, for a while."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "checkout"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", checkout, commit], cwd=ROOT, check=True)
        try:
            yield checkout
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", checkout], cwd=ROOT, check=True)


def measure(commit: str, side_px: int, batch_size: int, turns: int) -> Iterator[Figure]:
    """Yields a figure for each preset."""
    with checked_out(commit) as checkout, contextlib.ExitStack() as stack:
        workers = [Worker(folder, side_px, batch_size) for folder in (ROOT, checkout)]
        for worker in workers:
            stack.callback(worker.end)
        for preset in PRESETS:
            for worker in workers:
                worker.secs(preset, EVALUATIONS)  # The first call traces.
            taken = [[worker.secs(preset, EVALUATIONS) for worker in workers] for _ in range(turns)]
            ratios = [now / then for now, then in taken]
            fastest = [min(secs) for secs in zip(*taken, strict=True)]
            yield Figure(
                f"{preset}_step_over_earlier",
                statistics.median(ratios),
                {
                    "ratios": [round(ratio, 3) for ratio in ratios],
                    "fastest_over_fastest": round(fastest[0] / fastest[1], 3),
                    "secs_per_evaluation": [round(secs / EVALUATIONS, 4) for secs in fastest],
                },
            )


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="the earlier commit")
    parser.add_argument("--side_px", type=int, default=256)
    parser.add_argument("--batch_size", type=int, default=2)
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--output", type=Path, default=RESULTS / "since.json")
    options = parser.parse_args()
    began = Start()
    found = {}
    for figure in measure(options.commit, options.side_px, options.batch_size, options.turns):
        print(f"{figure.name} {figure.value:.3f} {figure.details}", flush=True)
        found[figure.name] = {"value": figure.value, **figure.details}
    shape = {"earlier": options.commit, "side_px": options.side_px, "batch_size": options.batch_size}
    options.output.write_text(
        json.dumps({**shape, "figures": found, "provenance": began.provenance()}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
