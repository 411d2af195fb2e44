"""Everything that must be known of a GPU, in one command of under eight minutes.

    python -m benchmarks.gpu [--only correctness ...] [--weights random:0] [--sides_px 256 512] [--minutes 7.5]
    python -m benchmarks.gpu --device cpu --sides_px 32 --weights random:0 --minutes 1      a trial without a GPU

The parts, in this order (benchmarks/gpu_parts.py):

    correctness   gradient and losses against the CPU's float32, in float32, TF32 and bfloat16, without and with XLA
    pictures      pictures an hour of `basic` and `fast`, against the prediction
    convolutions  the step over the bare convolutions
    batches       seconds of an evaluation by the size of the batch, share of the data sheet's peak
    memory        the peak over the estimate
    peaks         what a matrix product, convolutions and memory reach
    xla           the step with XLA over the step without

Each part is a process of its own with a share of the time that is left; what a part did not come to is written as not
measured. On a GPU the figures go to benchmarks/results/gpu.json and docs/performance.md; a trial is only printed.
Where no source has the weights, random ones are taken, and the results say so.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import performance_doc
from benchmarks.bench import machine
from benchmarks.figures import RESULTS
from benchmarks.provenance import Start

# Seconds for each part, in their order: shares of the time that is left, so that what one saves the next ones have.
SECS = {
    "correctness": 90,
    "pictures": 70,
    "convolutions": 60,
    "batches": 80,
    "memory": 50,
    "peaks": 30,
    "xla": 70,
}
# A process ends by itself at its time, unless a single figure takes too long.
GRACE_SECS = 10.0
ROOT = Path(__file__).parent.parent


class PartError(RuntimeError):
    """A part that ended before it named its figures: the last line that it wrote."""


def share_secs(part: str, parts: Sequence[str], left: float) -> float:
    """Returns the seconds of a part, when it and those after it have `left` seconds."""
    following = parts[parts.index(part) :]
    return left * SECS[part] / sum(SECS[name] for name in following)


def run_part(part: str, device: str, sides_px: Sequence[int], weights: str, secs: float) -> dict[str, Any]:
    """Runs a part in a process of its own and returns its device, weights and figures.

    Args:
      part: a key of SECS.
      device: "gpu" or "cpu".
      sides_px: of the square pictures.
      weights: the name of VGG19's weights.
      secs: the process is ended when they are over.

    Raises:
      PartError: the part ended before it named its figures.
    """
    command = [sys.executable, "-m", "benchmarks.gpu_parts", part, "--device", device, "--weights", weights]
    command += ["--secs", str(max(1.0, secs - GRACE_SECS)), "--sides_px", *map(str, sides_px)]
    environment = os.environ | ({"CUDA_VISIBLE_DEVICES": "-1"} if device == "cpu" else {})
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=log)
        try:
            process.wait(secs)
            reason = "no time was left"
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            reason = "the part was ended when its time was over"
        output.seek(0)
        log.seek(0)
        last = (log.read().strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        if process.returncode > 0:
            reason = last[:300]
        return read_part(output.read().splitlines(), reason)


def read_part(lines: Sequence[str], reason: str) -> dict[str, Any]:
    """Reads what a part printed.

    Args:
      lines: of JSON, the last one possibly cut off.
      reason: why figures that were named and did not come were not measured.

    Returns:
      "device", "weights", "arithmetics", and "figures": name -> its value and details, or {"not_measured": reason}.

    Raises:
      PartError: no figures were named; the message is `reason`.
    """
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    names = [name for entry in found for name in entry.get("names", ())]
    if not names:
        raise PartError(reason)
    figures: dict[str, Any] = {name: {"not_measured": reason} for name in names}
    for entry in found:
        if "figure" in entry:
            figure = entry["figure"]
            figures[figure["name"]] = {"value": figure["value"], **figure["details"]}
        elif "not_measured" in entry:
            figures[entry["name"]] = {"not_measured": entry["not_measured"]}
    return {**found[0], "figures": figures}


def measure(
    parts: Sequence[str], device: str, sides_px: Sequence[int], weights: str, secs: float, results: dict[str, Any]
) -> None:
    """Measures the parts within `secs` seconds, one after the other, and adds them to the results."""
    ends = time.monotonic() + secs
    for part in parts:
        start = Start()
        share = share_secs(part, parts, ends - time.monotonic())
        print(f"{part}, {share:.0f} seconds ...", flush=True)
        try:
            found = run_part(part, device, sides_px, weights, share)
        except PartError as error:
            results["parts"][part] = {**start.provenance(), "not_measured": str(error)}
            continue
        # Where no source had the weights, the parts after this one need not look for them again.
        weights = found["weights"]
        results |= {name: found[name] for name in ("device", "arithmetics")}
        results["parts"][part] = {**start.provenance(), "weights": weights}
        results["figures"].update(found["figures"])
        print("\n".join(lines_of(found["figures"])), flush=True)


def lines_of(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns a line for each figure."""
    return [
        f"  {name:<50} {figure['value']:.4g}" if "value" in figure else f"  {name:<50} -  {figure['not_measured']}"
        for name, figure in figures.items()
    ]


def main() -> None:
    """Measures, prints, and on a GPU writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SECS, help="only these parts; the others keep their results")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="cpu: a trial, which is not written")
    parser.add_argument("--sides_px", type=int, nargs="+", default=[256, 512], help="default: 256 512")
    parser.add_argument("--weights", default="imagenet", help="of VGG19: imagenet, random:SEED or a file")
    parser.add_argument("--minutes", type=float, default=7.5, help="of all parts together (default: 7.5)")
    arguments = parser.parse_args()
    parts = [part for part in SECS if part in (arguments.only or SECS)]
    path = RESULTS / "gpu.json"
    old = json.loads(path.read_text()) if arguments.only and path.exists() else {}
    results: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "sides_px": arguments.sides_px,
        "parts": old.get("parts", {}),
        "figures": old.get("figures", {}),
    }
    measure(parts, arguments.device, arguments.sides_px, arguments.weights, 60 * arguments.minutes, results)
    if "device" not in results:
        sys.exit(f"nothing was measured: {results['parts'][parts[0]]['not_measured']}")
    if arguments.device == "gpu":
        path.write_text(json.dumps(results, indent=1) + "\n")
        performance_doc.write()
    else:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
