"""Which device computes a job, how much of its memory a process has, and what follows for batches."""

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.computing import batch_limits, device_memory_bytes
from pipeline.dataflow.gpus import A100, A100_80GB, H100, L4, T4, gpu_of_device, gpu_of_memory
from pipeline.options import OptionError
from stylecore.planning.batches import CPU_BATCH, GPU_BATCH, ComputingDevice

TWO_PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]
ELSEWHERE = ["--runner=PortableRunner"]


CPU = ComputingDevice("CPU", False, 16 * 10**9)
LOCAL_L4 = ComputingDevice("NVIDIA L4", True, 23 * 10**9)
H200_BYTES = 150 * 10**9
LOCAL_H200 = ComputingDevice("NVIDIA H200", True, H200_BYTES)


def limits(*options, here=CPU):
    return batch_limits(PipelineOptions(list(options)), here)


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("Tesla T4", T4),
        ("NVIDIA L4", L4),
        ("NVIDIA A100-SXM4-40GB", A100),
        ("NVIDIA A100 80GB PCIe", A100_80GB),
        ("NVIDIA H100 80GB HBM3", H100),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", None),
        ("NVIDIA L40S", None),
        ("NVIDIA GeForce RTX 3090", None),
    ],
)
def test_a_gpu_is_known_by_its_drivers_name(name, gpu):
    assert gpu_of_device(name) is gpu


@pytest.mark.parametrize(
    ("gigabytes", "gpu"), [(None, T4), (6, T4), (16, T4), (24, L4), (48, A100), (80, A100_80GB), (150, A100_80GB)]
)
def test_an_unknown_gpu_is_as_fast_as_the_slowest_with_its_memory(gigabytes, gpu):
    assert gpu_of_memory(gigabytes and gigabytes * 10**9) is gpu


def test_a_gpu_on_this_machine_gets_the_batches_that_it_gets_with_gpu():
    assert limits(here=LOCAL_L4) == limits("--gpu=l4")
    assert limits("--gpu=l4").full == GPU_BATCH
    unknown = limits(here=LOCAL_H200)
    assert (unknown.full, unknown.room.memory_bytes) == (GPU_BATCH, LOCAL_H200.memory_bytes)
    assert unknown.secs_per_pixel_and_iteration == limits("--gpu=a100-80gb").secs_per_pixel_and_iteration
    assert limits(here=ComputingDevice("a GPU", True, None)).room.memory_bytes is None


def test_a_cpu_and_workers_elsewhere_get_the_batches_of_a_cpu():
    here = limits()
    assert (here.full, here.room.memory_bytes) == (CPU_BATCH, CPU.memory_bytes)
    elsewhere = limits(*ELSEWHERE, here=LOCAL_L4)
    assert (elsewhere.full, elsewhere.room.memory_bytes) == (CPU_BATCH, None)


@pytest.mark.parametrize(
    ("options", "here", "expected"),
    [
        (["--gpu=l4"], CPU, L4.memory_bytes),
        (["--gpu=l4", *TWO_PROCESSES], LOCAL_L4, L4.memory_bytes // 2),
        (TWO_PROCESSES, LOCAL_L4, L4.memory_bytes // 2),
        (TWO_PROCESSES, LOCAL_H200, H200_BYTES // 2),
        (["--gpu=l4", *ELSEWHERE, "--sdk_worker_parallelism=4"], CPU, L4.memory_bytes // 4),
        (["--device_memory_gb=3", *TWO_PROCESSES], LOCAL_L4, 3 * 10**9),
    ],
)
def test_processes_share_the_memory_of_a_gpu(options, here, expected):
    assert device_memory_bytes(PipelineOptions(options), here) == expected


def test_a_number_of_processes_that_nobody_knows_is_refused_with_gpu():
    with pytest.raises(OptionError, match="--sdk_worker_parallelism must be >= 1 with --gpu"):
        limits("--gpu=l4", *ELSEWHERE, "--sdk_worker_parallelism=0")
