"""The table of GPU types and the reading of --gpu."""

import pytest

from pipeline.dataflow.gpus import A100, A100_80GB, GPUS, H100, L4, T4, GpuError, parse_gpu


@pytest.mark.parametrize(
    ("text", "gpu", "count"),
    [
        ("nvidia-l4", L4, 1),
        ("nvidia-l4:2", L4, 2),
        ("L4", L4, 1),
        ("t4:4", T4, 4),
        ("nvidia-t4", T4, 1),
        ("nvidia-tesla-t4", T4, 1),
        ("a100", A100, 1),
        ("nvidia-a100-40gb:16", A100, 16),
        ("a100-80gb", A100_80GB, 1),
        ("h100", H100, 1),
        (" H100-80GB:8 ", H100, 8),
    ],
)
def test_names_people_type(text, gpu, count):
    assert parse_gpu(text) == (gpu, count)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nvidia-l5", r"unknown GPU type 'nvidia-l5', did you mean nvidia-l4\? known: nvidia-tesla-t4, nvidia-l4, "),
        ("a100-80", r"did you mean nvidia-a100-80gb\?"),
        ("teapot", r"unknown GPU type 'teapot'; known: nvidia-tesla-t4"),
        ("", "unknown GPU type ''"),
        ("nvidia-l4:3", r"a worker has 1, 2, 4, 8 of nvidia-l4, got 'nvidia-l4:3'"),
        ("t4:8", "a worker has 1, 2, 4 of nvidia-tesla-t4"),
        ("l4:0", "a worker has 1, 2, 4, 8"),
        ("l4:", "a worker has 1, 2, 4, 8"),
        ("l4:many", "a worker has 1, 2, 4, 8"),
        ("l4:-1", "a worker has 1, 2, 4, 8"),
    ],
)
def test_mistakes_name_what_there_is(text, message):
    with pytest.raises(GpuError, match=message):
        parse_gpu(text)


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.accelerator)
def test_machines_are_of_the_series_that_carries_the_gpu(gpu):
    series = {"nvidia-tesla-t4": "n1-", "nvidia-l4": "g2-", "nvidia-h100-80gb": "a3-"}.get(gpu.accelerator, "a2-")
    assert all(machine.startswith(series) for machine in gpu.machine_types.values())
    assert 1 in gpu.machine_types


@pytest.mark.parametrize("gpu", GPUS, ids=lambda gpu: gpu.accelerator)
def test_figures_are_without_sparsity(gpu):
    # On every generation so far dense bfloat16 is twice TF32; a sparse figure beside a dense one would break that.
    assert gpu.bfloat16_flops == pytest.approx(2 * gpu.tf32_flops, rel=0.02)
    assert gpu.tf32_flops == 0 or gpu.tf32_flops > gpu.float32_flops


def test_no_name_means_two_types():
    names = [name for gpu in GPUS for name in {gpu.accelerator, *gpu.aliases}]
    assert len(names) == len(set(names))
