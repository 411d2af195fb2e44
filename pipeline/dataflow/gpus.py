"""The GPU types that a job can ask for: their names, machine types and regions on Compute Engine, and their limits.

The speeds are peaks without sparsity, in floating-point operations per second, from NVIDIA's data sheets (half of the
figures that a sheet gives "with sparsity"). Memory is in decimal gigabytes, of which slightly less is usable.

References:
  T4: https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/tesla-t4/t4-tensor-core-datasheet-951643.pdf
  L4: https://www.nvidia.com/en-us/data-center/l4/
  A100: https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/a100/pdf/nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf
  H100: https://www.nvidia.com/en-us/data-center/h100/
  Names and machine types: https://cloud.google.com/compute/docs/gpus
  Regions: https://cloud.google.com/compute/docs/gpus/gpu-regions-zones
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence

from stylecore.errors import nearest

# The regions below are those that Compute Engine listed in this year for the machine types. New ones appear, so
# --gpu_any_region allows a region that is missing here.
REGIONS_AS_OF = "2026"

_GB = 10**9
_TFLOPS = 10**12


def _regions(names: str) -> frozenset[str]:
    return frozenset(names.split())


class GpuError(ValueError):
    """An unknown GPU type, or a number of GPUs that no machine has."""


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A type of GPU.

    Attributes:
      name: its name in texts.
      accelerator: its name on Compute Engine and Dataflow.
      aliases: further names that users may type.
      machine_types: number of GPUs -> the smallest machine type with that number.
      memory_bytes: the memory of one GPU.
      float32_flops: the peak without tensor cores, per second.
      tf32_flops: the peak of tensor cores in TF32, per second; 0 if they lack it.
      bfloat16_flops: the peak of tensor cores in bfloat16, per second; 0 if they lack it.
      memory_bytes_per_sec: the peak bandwidth.
      regions: the regions of Compute Engine that have it, as of REGIONS_AS_OF.
    """

    name: str
    accelerator: str
    aliases: tuple[str, ...]
    machine_types: Mapping[int, str] = dataclasses.field(hash=False)
    memory_bytes: int
    float32_flops: float
    tf32_flops: float
    bfloat16_flops: float
    memory_bytes_per_sec: float
    regions: frozenset[str]


T4 = Gpu(
    name="T4",
    accelerator="nvidia-tesla-t4",
    aliases=("nvidia-t4",),
    # T4s can be attached to any N1 machine; four cores are enough for one.
    machine_types={1: "n1-standard-4", 2: "n1-standard-8", 4: "n1-standard-16"},
    memory_bytes=16 * _GB,
    float32_flops=8.1 * _TFLOPS,
    tf32_flops=0,  # Turing's tensor cores have float16 and integers only.
    bfloat16_flops=0,
    memory_bytes_per_sec=320 * _GB,
    regions=_regions(
        "asia-east1 asia-east2 asia-northeast1 asia-northeast3 asia-south1 asia-southeast1 asia-southeast2 "
        "australia-southeast1 europe-central2 europe-west1 europe-west2 europe-west3 europe-west4 me-west1 "
        "northamerica-northeast1 southamerica-east1 us-central1 us-east1 us-east4 us-west1 us-west2 us-west3 "
        "us-west4"
    ),
)

L4 = Gpu(
    name="L4",
    accelerator="nvidia-l4",
    aliases=(),
    machine_types={1: "g2-standard-4", 2: "g2-standard-24", 4: "g2-standard-48", 8: "g2-standard-96"},
    memory_bytes=24 * _GB,
    float32_flops=30.3 * _TFLOPS,
    tf32_flops=60 * _TFLOPS,  # 120 with sparsity
    bfloat16_flops=121 * _TFLOPS,  # 242 with sparsity
    memory_bytes_per_sec=300 * _GB,
    regions=_regions(
        "asia-east1 asia-northeast1 asia-northeast3 asia-south1 asia-southeast1 europe-west1 europe-west2 europe-west3 "
        "europe-west4 europe-west6 me-central2 northamerica-northeast1 northamerica-northeast2 us-central1 us-east1 "
        "us-east4 us-west1 us-west4"
    ),
)

A100 = Gpu(
    name="A100 40GB",
    accelerator="nvidia-tesla-a100",
    aliases=("nvidia-a100", "nvidia-a100-40gb"),
    machine_types={
        1: "a2-highgpu-1g",
        2: "a2-highgpu-2g",
        4: "a2-highgpu-4g",
        8: "a2-highgpu-8g",
        16: "a2-megagpu-16g",
    },
    memory_bytes=40 * _GB,
    float32_flops=19.5 * _TFLOPS,
    tf32_flops=156 * _TFLOPS,
    bfloat16_flops=312 * _TFLOPS,
    memory_bytes_per_sec=1_555 * _GB,
    regions=_regions(
        "asia-northeast1 asia-northeast3 asia-southeast1 europe-west4 me-west1 us-central1 us-east1 us-west1 us-west3 "
        "us-west4"
    ),
)

A100_80GB = dataclasses.replace(
    A100,
    name="A100 80GB",
    accelerator="nvidia-a100-80gb",
    aliases=(),
    machine_types={1: "a2-ultragpu-1g", 2: "a2-ultragpu-2g", 4: "a2-ultragpu-4g", 8: "a2-ultragpu-8g"},
    memory_bytes=80 * _GB,
    memory_bytes_per_sec=2_039 * _GB,
    regions=_regions("asia-southeast1 europe-west4 us-central1 us-east4 us-east5"),
)

H100 = Gpu(
    name="H100 80GB",
    accelerator="nvidia-h100-80gb",
    aliases=("nvidia-h100",),
    # Fewer than 8 are available only as Spot machines or by flex-start.
    machine_types={1: "a3-highgpu-1g", 2: "a3-highgpu-2g", 4: "a3-highgpu-4g", 8: "a3-highgpu-8g"},
    memory_bytes=80 * _GB,
    float32_flops=67 * _TFLOPS,
    tf32_flops=494.5 * _TFLOPS,  # 989 with sparsity
    bfloat16_flops=989.5 * _TFLOPS,  # 1,979 with sparsity
    memory_bytes_per_sec=3_350 * _GB,
    regions=_regions(
        "asia-east1 asia-northeast1 asia-south1 asia-south2 asia-southeast1 australia-southeast1 europe-north1 "
        "europe-west1 europe-west3 europe-west4 europe-west8 europe-west9 us-central1 us-east4 us-east5 us-west1 "
        "us-west4"
    ),
)

# The slowest first.
GPUS = (T4, L4, A100, A100_80GB, H100)


def parse_gpu(text: str) -> tuple[Gpu, int]:
    """Parses `TYPE` or `TYPE:COUNT`, such as `nvidia-l4`, `t4` or `a100:2`.

    Returns:
      The type, and the number of GPUs of a worker.

    Raises:
      GpuError: the type is unknown, or no machine has that number of GPUs.
    """
    name, colon, number = text.strip().lower().partition(":")
    gpu = _by_name(name)
    count = int(number) if number.isdecimal() else 0 if colon else 1
    if count not in gpu.machine_types:
        legal = ", ".join(map(str, gpu.machine_types))
        raise GpuError(f"a worker has {legal} of {gpu.accelerator}, got {text!r}")
    return gpu, count


def gpu_of_device(name: str, known: Sequence[Gpu] = GPUS) -> Gpu | None:
    """Returns the type of a whole GPU by its driver's name, such as "NVIDIA A100-SXM4-40GB"; None if it is unknown."""
    words = set(re.split("[ -]", name.upper()))
    if "MIG" in words:
        return None
    return next((gpu for gpu in known if set(gpu.name.upper().split()) <= words), None)


def gpu_of_memory(memory_bytes: int | None) -> Gpu:
    """Returns the type that an unknown GPU is taken for where its speed matters: the slowest of those with the most
    memory that is not more than its own; the slowest of all if its memory is unknown or less than theirs.
    """
    smaller = [gpu for gpu in GPUS if gpu.memory_bytes <= (memory_bytes or 0)]
    return max(smaller, key=lambda gpu: gpu.memory_bytes, default=GPUS[0])


def _by_name(name: str) -> Gpu:
    known = {alias: gpu for gpu in GPUS for alias in _names(gpu)}
    if name not in known:
        close = nearest(name, known)
        hint = f", did you mean {known[close].accelerator}?" if close else ";"
        raise GpuError(f"unknown GPU type {name!r}{hint} known: {', '.join(gpu.accelerator for gpu in GPUS)}")
    return known[name]


def _names(gpu: Gpu) -> set[str]:
    long = {gpu.accelerator, *gpu.aliases}
    return long | {name.removeprefix("nvidia-").removeprefix("tesla-") for name in long}
