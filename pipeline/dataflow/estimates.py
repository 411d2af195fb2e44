"""How long runs take on a device, foretold from what an evaluation costs. Light: no TensorFlow."""

import dataclasses
from collections.abc import Mapping

from pipeline.dataflow.gpus import Gpu
from pipeline.plan.counts import Group
from stylecore.planning.costs import EvaluationCost, evaluation_cost, seconds_per_evaluation

# Of a GPU's peaks. Assumed, not measured: there was no GPU to measure on.
GPU_EFFICIENCY = 0.4


@dataclasses.dataclass(frozen=True)
class Device:
    """What computes.

    Attributes:
      flops_per_sec: of the convolutions, by precision; those that it lacks are left out.
      gram_flops_per_sec: of the Gram matrices.
      bytes_per_sec: of its memory.
      efficiency: the share of these that is reached.
    """

    flops_per_sec: Mapping[str, float]
    gram_flops_per_sec: float
    bytes_per_sec: float
    efficiency: float = 1.0

    @classmethod
    def of_gpu(cls, gpu: Gpu) -> "Device":
        """Returns a GPU, whose float32 is TF32 where it has that."""
        float32 = gpu.tf32_flops or gpu.float32_flops
        flops = {"float32": float32, "bfloat16": gpu.bfloat16_flops}
        return cls(
            flops_per_sec={precision: peak for precision, peak in flops.items() if peak},
            gram_flops_per_sec=float32,
            bytes_per_sec=gpu.memory_bytes_per_sec,
            efficiency=GPU_EFFICIENCY,
        )

    def evaluation_secs(self, cost: EvaluationCost, precision: str) -> float:
        """Returns the estimated seconds of one evaluation in an arithmetic that the device has."""
        return seconds_per_evaluation(
            cost, self.flops_per_sec[precision], self.bytes_per_sec, self.efficiency, self.gram_flops_per_sec
        )

    def secs(self, runs: Mapping[Group, int]) -> float | None:
        """Returns the estimated seconds of so many runs of each group; None if one needs arithmetic that it lacks."""
        if any(group.bucket.kind.precision not in self.flops_per_sec for group in runs):
            return None
        return sum(count * self._run_secs(group) for group, count in runs.items())

    def _run_secs(self, group: Group) -> float:
        kind = group.bucket.kind
        costs = (
            (iterations, evaluation_cost(kind, height, width, group.history_size))
            for height, width, iterations in group.stages
        )
        return sum(iterations * self.evaluation_secs(cost, kind.precision) for iterations, cost in costs)


# Fitted to what a step of 256 px took in batches of two on two cores with AVX-512 and AMX: VGG19 0.32 and ResNet50 0.12
# seconds of both cores a picture in float32, VGG19 0.11 and ResNet50 0.10 in bfloat16. Other load was on the machine.
TWO_CORES = Device(flops_per_sec={"float32": 395e9, "bfloat16": 1_500e9}, gram_flops_per_sec=395e9, bytes_per_sec=17e9)
