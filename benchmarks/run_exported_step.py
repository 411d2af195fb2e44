"""Checks and times steps that benchmarks/export_step.py wrote, on JAX's first device: a GPU where there is one.

    python run_exported_step.py FOLDER [--secs 5]

It needs NumPy, jax and jaxlib, neither TensorFlow nor StyleBeam: this file and the folder can be copied to any machine.
Prints one JSON object: the device and, for each case, seconds, arithmetic a second, its share of the data sheet's peak
where the device is known, memory and errors. Where an output is further from the expected one than its tolerance, or a
file cannot be read, it ends with status 1 and one line.
"""

import argparse
import json
import math
import re
import statistics
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import ml_dtypes  # noqa: F401 - teaches NumPy the name bfloat16
import numpy as np
from jax.extend.backend import get_compile_options
from jaxlib import xla_client

REPEATS = 7

Arrays = Mapping[str, np.ndarray]
Program = Callable[[Sequence[jax.Array]], list[jax.Array]]


class CaseError(Exception):
    """A file that cannot be read, or an output that is not as expected: one line."""


def run(folder: Path, secs: float) -> dict[str, Any]:
    """Runs every case of a folder, each function for about `secs` seconds after its compilation.

    Raises:
      CaseError: a file is missing or damaged, or an output is not as expected.
    """
    device = jax.devices()[0]
    cases = sorted(path.parent for path in folder.glob("*/step.json"))
    if not cases:
        raise CaseError(f"{folder}: has no case, a folder with step.json")
    weights = _arrays(folder / "weights.npz")
    found = {case.name: _run_case(case, weights, device, secs) for case in cases}
    return {"device": device.device_kind, "platform": device.platform, "jax": jax.__version__, "cases": found}


def _run_case(case: Path, weights: Arrays, device: jax.Device, secs: float) -> dict[str, Any]:
    about = _json(case / "step.json")
    known = {**weights, **_arrays(case / "inputs.npz")}
    expected = _arrays(case / "expected.npz")
    functions = {
        name: _run_function(case, name, function, known, expected, device, secs)
        for name, function in about["functions"].items()
    }
    peaks = _peaks(device.device_kind, about["peaks"])
    for function in functions.values():
        function["secs_per_picture"] = function["secs"] / about["batch_size"]
        function["flops_per_sec"] = (about["convolution_flops"] + about["gram_flops"]) / function["secs"]
        if peaks and (at_peak := _secs_at_peak(about, peaks)):
            function["share_of_peak"] = at_peak / function["secs"]
    return {"estimated_bytes": about["bytes_held"], **functions}


def _run_function(
    case: Path,
    name: str,
    function: Mapping[str, Any],
    known: Arrays,
    expected: Arrays,
    device: jax.Device,
    secs: float,
) -> dict[str, Any]:
    where = f"{case.name}, {name}"
    inputs = _inputs(where, function, known)
    began = time.perf_counter()
    executable = _compiled(case / function["file"], device)
    compile_secs = time.perf_counter() - began

    def program(arguments: Sequence[jax.Array]) -> list[jax.Array]:
        found = executable.execute_sharded(list(arguments)).disassemble_into_single_device_arrays()
        return [on_devices[0] for on_devices in found]

    arguments = [jax.device_put(array, device) for array in inputs]
    outputs = dict(zip(function["outputs"], program(arguments), strict=True))
    errors = _checked(where, function, outputs, known, expected)
    return {
        "secs": _median_secs(program, arguments, function["feeds"], secs),
        "compile_secs": compile_secs,
        "scratch_bytes": _scratch_bytes(executable),
        "errors": errors,
    }


def _inputs(where: str, function: Mapping[str, Any], known: Arrays) -> list[np.ndarray]:
    missing = [entry["name"] for entry in function["inputs"] if entry["name"] not in known]
    if missing:
        raise CaseError(f"{where}: no array has the name {missing[0]}")
    return [known[entry["name"]].astype(np.dtype(entry["dtype"])) for entry in function["inputs"]]


def _compiled(path: Path, device: jax.Device) -> Any:
    options = get_compile_options(num_replicas=1, num_partitions=1)
    try:
        return device.client.compile_and_load(path.read_bytes(), xla_client.DeviceList((device,)), options)
    except (OSError, jax.errors.JaxRuntimeError, ValueError) as error:
        raise CaseError(f"{path}: cannot be compiled: {_line(error)}") from error


def _checked(
    where: str, function: Mapping[str, Any], outputs: Mapping[str, jax.Array], known: Arrays, expected: Arrays
) -> dict[str, float]:
    """Returns the relative error of each expected output, or raises CaseError."""
    errors = {}
    for name, check in function["checks"].items():
        if check["expected"] not in expected:
            raise CaseError(f"{where}: expected.npz has no {check['expected']}")
        start = known[check["from"]] if check["from"] else 0.0
        errors[name] = relative_error(np.asarray(outputs[name]), expected[check["expected"]], start)
        if not errors[name] <= check["tolerance"]:
            raise CaseError(
                f"{where}: {name} differs from what is expected by {errors[name]:.3g} of it, at most "
                f"{check['tolerance']:.3g} is right"
            )
    return errors


def relative_error(found: np.ndarray, expected: np.ndarray, start: np.ndarray | float = 0.0) -> float:
    """Returns |found - expected| / |expected - start| in the Euclidean norm: of a step, the error of the movement.

    Infinite where shapes differ or a value is not finite.
    """
    if found.shape != expected.shape:
        return math.inf
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    difference = float(np.linalg.norm((found - expected).ravel()))
    length = float(np.linalg.norm((expected - start).ravel()))
    if not math.isfinite(difference) or not math.isfinite(length):
        return math.inf
    return difference / length if length else (math.inf if difference else 0.0)


def _median_secs(program: Program, arguments: Sequence[jax.Array], feeds: Mapping[str, int], secs: float) -> float:
    """Returns the seconds of one call: the median of REPEATS pieces, each of calls that follow without a wait.

    Args:
      program: the compiled function.
      arguments: its inputs.
      feeds: place of an output -> place of the input that it becomes in the next call.
      secs: of all pieces together.
    """

    def piece(calls: int) -> float:
        values = list(arguments)
        began = time.perf_counter()
        for _ in range(calls):
            outputs = program(values)
            for source, place in feeds.items():
                values[place] = outputs[int(source)]
        jax.block_until_ready(outputs)
        return (time.perf_counter() - began) / calls

    # A CPU may compute calls that do not depend on each other at once.
    calls = 1 if arguments[0].device.platform == "cpu" else max(1, round(secs / REPEATS / piece(2)))
    return statistics.median(piece(calls) for _ in range(REPEATS))


def _scratch_bytes(executable: Any) -> int | None:
    """Returns the memory that a call takes beside its inputs and outputs; None where the device does not tell."""
    try:
        return int(executable.get_compiled_memory_stats().temp_size_in_bytes)
    except (jax.errors.JaxRuntimeError, AttributeError):
        return None


def _peaks(device: str, known: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Returns the peaks of the GPU whose words are all in the device's name; None if it is unknown."""
    words = set(re.split("[ -]", device.upper()))
    return next((peaks for peaks in known if set(peaks["name"].upper().split()) <= words), None)


def _secs_at_peak(about: Mapping[str, Any], peaks: Mapping[str, Any]) -> float | None:
    """Returns how long the arithmetic takes at the peak of the tensor cores; None where the device lacks it."""
    arithmetic, style = about["arithmetic"], "float32" if about["arithmetic"] == "float32" else "tf32"
    if not peaks[arithmetic] or not peaks[style]:
        return None
    return float(about["convolution_flops"] / peaks[arithmetic] + about["gram_flops"] / peaks[style])


def _arrays(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CaseError(f"{path}: cannot be read: {_line(error)}") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CaseError(f"{path}: cannot be read: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="as benchmarks/export_step.py wrote it")
    parser.add_argument("--secs", type=float, default=5.0, help="of measuring each function (default: 5)")
    arguments = parser.parse_args()
    try:
        print(json.dumps(run(arguments.folder, arguments.secs), indent=1))
    except CaseError as error:
        sys.exit(f"run_exported_step: {error}")


if __name__ == "__main__":
    main()
