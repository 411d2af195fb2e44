"""The GPU types that a job can ask for: their names and machines on Compute Engine, their limits, where they are.

Arithmetic is the peak without sparsity, in floating-point operations per second, as NVIDIA's data sheets give it (where
a sheet states figures "with sparsity", half of them). Memory is in decimal gigabytes; a little less can be used.

References:
  T4: https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/tesla-t4/t4-tensor-core-datasheet-951643.pdf
  L4: https://www.nvidia.com/en-us/data-center/l4/
  A100: https://www.nvidia.com/content/dam/en-zz/Solutions/Data-Center/a100/pdf/nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf
  H100: https://www.nvidia.com/en-us/data-center/h100/
  Names and machine types: https://cloud.google.com/compute/docs/gpus
  Regions: https://cloud.google.com/compute/docs/gpus/gpu-regions-zones
"""

import dataclasses
from collections.abc import Mapping

from stylecore.errors import nearest

# What Compute Engine listed in 2026 (regions with machines of the types below). New ones appear, so a region that is
# missing here can be insisted on: see pipeline/dataflow/options.py.
REGIONS_AS_OF = "2026"

_GB = 10**9
_TFLOPS = 10**12


def _regions(names: str) -> frozenset[str]:
    return frozenset(names.split())


class GpuError(ValueError):
    """A GPU type that does not exist, or a number of them that no machine has."""


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A type of GPU.

    Attributes:
      name: for people.
      accelerator: what Compute Engine and Dataflow call it.
      aliases: what else users may type, beside these two.
      machine_types: number of GPUs -> the smallest machine type that has as many.
      memory_bytes: of one GPU.
      float32_flops: peak without tensor cores.
      tf32_flops: peak of tensor cores in TF32; 0 if they have no such arithmetic.
      bfloat16_flops: peak of tensor cores in bfloat16; 0 if they have no such arithmetic.
      memory_bytes_per_sec: peak bandwidth.
      regions: where Compute Engine has it, as of REGIONS_AS_OF.
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
    # Any N1 machine takes T4s; four cores feed one.
    machine_types={1: "n1-standard-4", 2: "n1-standard-8", 4: "n1-standard-16"},
    memory_bytes=16 * _GB,
    float32_flops=8.1 * _TFLOPS,
    tf32_flops=0,  # Turing's tensor cores know float16 and integers only.
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
    # Fewer than 8 come as Spot machines or by flex-start only.
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

GPUS = (T4, L4, A100, A100_80GB, H100)


def parse_gpu(text: str) -> tuple[Gpu, int]:
    """Parses `TYPE` or `TYPE:COUNT`, such as `nvidia-l4`, `t4` or `a100:2`.

    Returns:
      The type, and how many of them a worker has.

    Raises:
      GpuError: an unknown type, or a number of GPUs that no machine has.
    """
    name, colon, number = text.strip().lower().partition(":")
    gpu = _by_name(name)
    count = int(number) if number.isdecimal() else 0 if colon else 1
    if count not in gpu.machine_types:
        legal = ", ".join(map(str, gpu.machine_types))
        raise GpuError(f"a worker has {legal} of {gpu.accelerator}, got {text!r}")
    return gpu, count


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
