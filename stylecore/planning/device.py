"""How fast a device computes evaluations: the one model of time, for batches and for plans. Light: no TensorFlow."""

import dataclasses
from collections.abc import Mapping

from stylecore.config.style_config import StyleConfig
from stylecore.planning.buckets import step_kind
from stylecore.planning.costs import EvaluationCost, evaluation_cost, seconds_per_evaluation

_TYPICAL_SIDE_PX = 256


@dataclasses.dataclass(frozen=True)
class Device:
    """The speed of a device.

    Attributes:
      flops_per_sec: peak of the convolutions by precision; a precision that the device lacks is absent.
      gram_flops_per_sec: peak of the Gram matrices.
      bytes_per_sec: peak of the memory.
      efficiency: the share of the peaks that is reached, above 0, at most 1.
    """

    flops_per_sec: Mapping[str, float]
    gram_flops_per_sec: float
    bytes_per_sec: float
    efficiency: float = 1.0

    def evaluation_secs(self, cost: EvaluationCost, precision: str) -> float:
        """Returns the estimated seconds of one evaluation of one picture, in a precision that the device has."""
        return seconds_per_evaluation(
            cost, self.flops_per_sec[precision], self.bytes_per_sec, self.efficiency, self.gram_flops_per_sec
        )

    def secs_per_pixel_and_iteration(self) -> float:
        """Returns the estimated seconds of one evaluation a pixel, for the default configuration at 256x256 pixels."""
        cost = evaluation_cost(step_kind(StyleConfig(), ""), _TYPICAL_SIDE_PX, _TYPICAL_SIDE_PX)
        return self.evaluation_secs(cost, "float32") / _TYPICAL_SIDE_PX**2


# The peaks are fitted to steps of 256 px in batches of two on two cores with AVX-512 and AMX: in float32 VGG19 took
# 0.32 and ResNet50 0.12 seconds of both cores a picture, in bfloat16 0.11 and 0.10; other programs ran beside. The
# efficiency brings VGG19 in float32 to 0.36 seconds, see benchmarks/step_time.py: batch sizes depend on this figure.
TWO_CORES = Device(
    flops_per_sec={"float32": 395e9, "bfloat16": 1_500e9},
    gram_flops_per_sec=395e9,
    bytes_per_sec=17e9,
    efficiency=0.843,
)
