"""Which arithmetic is chosen, and where bfloat16 is refused."""

import pytest

from pipeline.computing import gpu_arithmetic
from pipeline.dataflow.gpus import parse_gpu
from stylecore import StyleConfig
from stylecore.networks.precision import Arithmetic, PrecisionError, cpu_arithmetic

GOOD, BAD, UNKNOWN = Arithmetic.of("device", True), Arithmetic.of("device", False), Arithmetic("device")


@pytest.mark.parametrize(
    ("arithmetic", "asked", "settled"),
    [
        (GOOD, "auto", "bfloat16"),
        (BAD, "auto", "float32"),
        (UNKNOWN, "auto", "float32"),
        (GOOD, "bfloat16", "bfloat16"),
        (UNKNOWN, "bfloat16", "bfloat16"),
        *((any_one, "float32", "float32") for any_one in (GOOD, BAD, UNKNOWN)),
    ],
)
def test_what_is_computed_in(arithmetic, asked, settled):
    config = StyleConfig(precision=asked, seed=7)
    assert arithmetic.settle(config) == StyleConfig(precision=settled, seed=7)


def test_what_is_left_open_and_what_is_named_are_the_same_work():
    for arithmetic, precision in ((GOOD, "bfloat16"), (BAD, "float32")):
        settled = arithmetic.settle(StyleConfig(precision="auto"))
        assert settled.canonical_json() == StyleConfig(precision=precision).canonical_json()


def test_bfloat16_is_refused_where_there_is_none():
    with pytest.raises(PrecisionError, match="float32 or auto on device, which has no bfloat16 arithmetic"):
        BAD.settle(StyleConfig(precision="bfloat16"))


@pytest.mark.parametrize(("name", "prefers"), [("t4", False), ("l4", True), ("a100", True), ("h100", True)])
def test_types_of_gpus(name, prefers):
    arithmetic = gpu_arithmetic(parse_gpu(name)[0])
    assert (arithmetic.prefers_bfloat16, arithmetic.refusal is None) == (prefers, prefers)


@pytest.mark.parametrize(
    ("cpuinfo", "prefers"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
    ],
)
def test_cpus_by_their_instructions(tmp_path, cpuinfo, prefers):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    arithmetic = cpu_arithmetic(tmp_path / "cpuinfo")
    assert (arithmetic.prefers_bfloat16, arithmetic.refusal is None) == (prefers, prefers)


def test_a_cpu_that_says_nothing_is_not_judged(tmp_path):
    assert cpu_arithmetic(tmp_path / "missing") == Arithmetic("this CPU")
