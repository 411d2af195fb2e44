"""What the measurements of GPUs share: arithmetics, how far they may lead from float32, peaks of known GPUs."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf

from pipeline.dataflow.gpus import GPUS, H100, Gpu, gpu_of_device
from stylecore.planning.costs import EvaluationCost

# float32 without rounding of inputs; float32 whose products round them to TensorFloat-32; bfloat16.
ARITHMETICS = ("float32", "tf32", "bfloat16")

# The largest relative error of one rounding.
_ROUNDING = {"float32": 2.0**-24, "tf32": 2.0**-11, "bfloat16": 2.0**-9}
# Ten roundings; in float32 more comes from the order in which many positions are summed.
LOSS_TOLERANCES: Mapping[str, float] = {name: max(1e-4, 10 * unit) for name, unit in _ROUNDING.items()}
# A rounding also changes which value of a pooling is the greatest and which ReLU is open, for a share of the positions
# like the rounding itself. There the gradient is another one: a share of p gives an error of sqrt(2 p), here for 32
# roundings.
GRADIENT_TOLERANCES: Mapping[str, float] = {name: (64 * unit) ** 0.5 for name, unit in _ROUNDING.items()}

CHECK_PX = 8

# No worker of Dataflow has it, so that a job cannot ask for it.
# Peaks: https://www.nvidia.com/en-us/data-center/h200/, halved like those of pipeline/dataflow/gpus.py.
H200 = dataclasses.replace(
    H100,
    name="H200",
    accelerator="nvidia-h200-141gb",
    aliases=(),
    machine_types={},
    memory_bytes=141 * 10**9,
    memory_bytes_per_sec=4.8e12,
    regions=frozenset(),
)
KNOWN_GPUS = (*GPUS, H200)


def known_gpu(device: str) -> Gpu | None:
    """Returns the type of a GPU by its driver's name, such as "NVIDIA H200"; None if it is unknown or a part of one."""
    return gpu_of_device(device, KNOWN_GPUS)


def pictures(side_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a content of waves and a style of checks in random colours, both uint8 [side_px, side_px, 3].

    Their Gram matrices differ: between alike pictures a loss is a small difference, and its relative error is large.
    """
    places = np.arange(side_px) / side_px
    waves = np.sin(2 * np.pi * (places[:, None, None] + places[None, :, None] * np.array([1.0, 2.0, 3.0])))
    checks = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 3), np.uint8)
    checks = checks.repeat(CHECK_PX, axis=0).repeat(CHECK_PX, axis=1)[:side_px, :side_px]
    return np.rint(127.5 + 127.5 * waves).astype(np.uint8), checks


def precision_of(arithmetic: str) -> str:
    """Returns the configuration's `precision` under which an arithmetic is used."""
    return "bfloat16" if arithmetic == "bfloat16" else "float32"


def peaks(gpu: Gpu) -> dict[str, float]:
    """Returns the peak of each arithmetic, floating-point operations a second; 0 where the GPU lacks it."""
    return {"float32": gpu.float32_flops, "tf32": gpu.tf32_flops, "bfloat16": gpu.bfloat16_flops}


def secs_at_peak(cost: EvaluationCost, arithmetic: str, gpu: Gpu) -> float | None:
    """Returns how long an evaluation's arithmetic takes at the data sheet's peaks; None where the GPU lacks it.

    The Gram matrices beside bfloat16 convolutions are float32 products, which are rounded to TensorFloat-32.
    """
    known = peaks(gpu)
    style = known["float32" if arithmetic == "float32" else "tf32"]
    if not known[arithmetic] or not style:
        return None
    return cost.convolution_flops / known[arithmetic] + cost.gram_flops / style


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Returns |found - expected| / |expected| in the Euclidean norm."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@contextlib.contextmanager
def rounding(arithmetic: str) -> Iterator[None]:
    """Lets this process round float32 products to TensorFloat-32, unless the arithmetic is float32 itself."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(arithmetic != "float32")
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
