"""In which arithmetic a device computes convolutions well, and what is refused for it. Light but for `here`."""

import dataclasses
from pathlib import Path

from stylecore.config.style_config import StyleConfig

# NVIDIA's first generation with bfloat16 in its tensor cores, Ampere.
_BFLOAT16_CAPABILITY = (8, 0)
# What Linux calls the instructions on x86 and on ARM.
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_NO_BFLOAT16 = "has no bfloat16 arithmetic and would be slower for it"


class PrecisionError(ValueError):
    """A precision that the device has not, or is slower for."""


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """What a device is good at.

    Attributes:
      device: its name.
      prefers_bfloat16: convolutions in bfloat16 are faster there.
      refusal: why bfloat16 is refused there; None if it is not.
    """

    device: str
    prefers_bfloat16: bool = False
    refusal: str | None = None

    @classmethod
    def of(cls, device: str, has_bfloat16: bool) -> "Arithmetic":
        """Returns that of a device of which it is known whether it has bfloat16."""
        return cls(device, has_bfloat16, None if has_bfloat16 else _NO_BFLOAT16)

    def settle(self, config: StyleConfig) -> StyleConfig:
        """Returns a configuration with the precision that it is computed in: `auto` is what the device is good at.

        Raises:
          PrecisionError: the device refuses it.
        """
        if config.precision == "auto":
            return dataclasses.replace(config, precision="bfloat16" if self.prefers_bfloat16 else "float32")
        if config.precision == "bfloat16" and self.refusal:
            raise PrecisionError(f"precision must be float32 or auto on {self.device}, which {self.refusal}")
        return config


def here() -> Arithmetic:
    """Returns that of the first GPU here, or of the CPU."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        capability = details.get("compute_capability")
        return Arithmetic.of(details.get("device_name", "this GPU"), (capability or (0, 0)) >= _BFLOAT16_CAPABILITY)
    return cpu_arithmetic(Path("/proc/cpuinfo"))


def cpu_arithmetic(cpuinfo: Path) -> Arithmetic:
    """Returns that of a CPU, by Linux' list of its instructions; without one nothing is preferred or refused."""
    try:
        words = set(cpuinfo.read_text().split())
    except OSError:
        return Arithmetic("this CPU")
    return Arithmetic.of("this CPU", bool(words & _BFLOAT16_FLAGS))
