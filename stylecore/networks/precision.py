"""The arithmetic in which a device computes convolutions: what `auto` means there, and what is refused.

Only `device_arithmetic` loads TensorFlow.
"""

import dataclasses
from pathlib import Path

from stylecore.config.style_config import StyleConfig

# NVIDIA's first generation with bfloat16 in its tensor cores, Ampere.
_BFLOAT16_CAPABILITY = (8, 0)
# What Linux calls the instructions on x86 and on ARM.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_NO_BFLOAT16 = "has no bfloat16 arithmetic and would be slower with it"


class PrecisionError(ValueError):
    """A precision that the device lacks or is slower with."""


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """The precisions that a device supports.

    Attributes:
      device: its name, as messages give it.
      prefers_bfloat16: the device is faster with bfloat16, so that `auto` means it.
      refusal: why the device refuses bfloat16, in words that follow its name; None where it does not.
    """

    device: str
    prefers_bfloat16: bool = False
    refusal: str | None = None

    @classmethod
    def of(cls, device: str, has_bfloat16: bool) -> "Arithmetic":
        """Returns the arithmetic of a device known by name, with or without instructions for bfloat16."""
        return cls(device, has_bfloat16, None if has_bfloat16 else _NO_BFLOAT16)

    def settle(self, config: StyleConfig) -> StyleConfig:
        """Returns a configuration with the precision that the device computes it in: `auto` becomes one of the others.

        Raises:
          PrecisionError: the device refuses the configuration's precision.
        """
        if config.precision == "auto":
            return dataclasses.replace(config, precision="bfloat16" if self.prefers_bfloat16 else "float32")
        if config.precision == "bfloat16" and self.refusal:
            raise PrecisionError(f"precision must be float32 or auto on {self.device}, which {self.refusal}")
        return config


def device_arithmetic() -> Arithmetic:
    """Returns the arithmetic of this machine's first GPU, or of its CPU where TensorFlow sees no GPU."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        capability = details.get("compute_capability")
        return Arithmetic.of(details.get("device_name", "this GPU"), (capability or (0, 0)) >= _BFLOAT16_CAPABILITY)
    return cpu_arithmetic(Path("/proc/cpuinfo"))


def cpu_arithmetic(cpuinfo: Path) -> Arithmetic:
    """Returns the arithmetic of a CPU from the file in which Linux lists its instructions.

    Where there is no such file, nothing is preferred or refused.
    """
    try:
        words = set(cpuinfo.read_text().split())
    except OSError:
        return Arithmetic("this CPU")
    return Arithmetic.of("this CPU", bool(words & _BFLOAT16_FLAGS))
