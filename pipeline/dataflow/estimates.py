"""Estimated times: GPUs as devices, and the seconds of the runs that a plan counts. Light: no TensorFlow."""

from collections.abc import Mapping

from pipeline.dataflow.gpus import Gpu
from pipeline.plan.counts import Group
from stylecore.planning.costs import evaluation_cost
from stylecore.planning.device import Device

# The share of a GPU's peaks that is reached. Assumed, not measured: there was no GPU to measure on.
GPU_EFFICIENCY = 0.4


def gpu_device(gpu: Gpu) -> Device:
    """Returns the speed of a GPU, which computes float32 in TF32 where it has TF32."""
    float32 = gpu.tf32_flops or gpu.float32_flops
    flops = {"float32": float32, "bfloat16": gpu.bfloat16_flops}
    return Device(
        flops_per_sec={precision: peak for precision, peak in flops.items() if peak},
        gram_flops_per_sec=float32,
        bytes_per_sec=gpu.memory_bytes_per_sec,
        efficiency=GPU_EFFICIENCY,
    )


def total_secs(device: Device, runs: Mapping[Group, int]) -> float | None:
    """Returns the estimated seconds of all runs, None if the device lacks the precision of one.

    Args:
      device: computes the runs, one full batch after the other.
      runs: group -> number of runs.
    """
    if any(group.bucket.kind.precision not in device.flops_per_sec for group in runs):
        return None
    return sum(count * _run_secs(device, group) for group, count in runs.items())


def _run_secs(device: Device, group: Group) -> float:
    kind = group.bucket.kind
    return sum(
        iterations * device.evaluation_secs(evaluation_cost(kind, height, width, group.history_size), kind.precision)
        for height, width, iterations in group.stages
    )
