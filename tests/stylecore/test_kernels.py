"""oneDNN is chosen before TensorFlow is loaded; what depends on it holds with it, and is refused without it."""

import os
import subprocess
import sys

import pytest

from stylecore import kernels
from tests.support.paths import ROOT


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    """A process without TensorFlow, in which nobody has chosen."""
    monkeypatch.delenv(kernels.ONEDNN_VARIABLE, raising=False)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)


@pytest.mark.parametrize(
    ("flags", "given", "chosen"),
    [
        ("flags : sse4_2 avx avx2 fma", None, "1"),
        ("flags : avx2 avx512f avx512_vnni", None, "1"),
        ("flags : sse4_2 avx", None, None),
        ("flags : avx2", "0", "0"),
        ("flags : avx", "1", "1"),
    ],
)
def test_onednn_wherever_there_is_avx2_unless_the_user_says_otherwise(tmp_path, monkeypatch, flags, given, chosen):
    (tmp_path / "cpuinfo").write_text(flags)
    if given:
        monkeypatch.setenv(kernels.ONEDNN_VARIABLE, given)
    kernels.prefer_onednn(tmp_path / "cpuinfo")
    assert os.environ.get(kernels.ONEDNN_VARIABLE) == chosen


def test_a_machine_that_does_not_list_its_instructions_is_left_alone(tmp_path):
    kernels.prefer_onednn(tmp_path / "missing")
    assert kernels.ONEDNN_VARIABLE not in os.environ


def test_nothing_is_chosen_once_tensorflow_is_loaded(tmp_path, monkeypatch):
    (tmp_path / "cpuinfo").write_text("flags : avx2")
    monkeypatch.setitem(sys.modules, "tensorflow", object())
    kernels.prefer_onednn(tmp_path / "cpuinfo")
    assert kernels.ONEDNN_VARIABLE not in os.environ


def python(code, **environment):
    clean = {name: value for name, value in os.environ.items() if name != kernels.ONEDNN_VARIABLE}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env={**clean, **environment}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


DESCRIBED = "from stylecore.kernels import arithmetic_description; print(arithmetic_description())"
REFUSAL = "TF_ENABLE_ONEDNN_OPTS must be 1, got "


@pytest.mark.parametrize("package", ["stylecore", "transforms", "pipeline"])
def test_each_package_chooses_before_tensorflow_is_loaded(package):
    found = python(
        f"import {package}, sys, os; print(os.environ.get({kernels.ONEDNN_VARIABLE!r}), 'tensorflow' in sys.modules)"
    )
    assert found.stdout.split() == ["1" if "avx2" in kernels._flags(kernels._CPUINFO) else "None", "False"]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"TF_ENABLE_ONEDNN_OPTS": "0"}, {"Eigen"}),
        ({"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"}, {"oneDNN", "at most AVX2"}),
    ],
)
def test_the_arithmetic_is_described(environment, words):
    described = python(DESCRIBED, CUDA_VISIBLE_DEVICES="", **environment).stdout.strip().split(", ")
    assert described[0] == "CPU" and described[1].startswith("TensorFlow 2.")
    assert words <= set(described)


def test_the_same_bytes_are_refused_without_onednn():
    """In the command, and in a process that has loaded TensorFlow before StyleBeam."""
    command = [sys.executable, "-m", "pipeline", "run", "--deterministic", "--manifest=m.parquet", "--output=out"]
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "--deterministic: the same bytes need" in done.stderr and REFUSAL + "0" in done.stderr
    code = "import tensorflow; from stylecore import kernels; kernels.check_deterministic()"
    late = python(code, TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="")
    assert late.returncode == 1 and "KernelsError: the same bytes need" in late.stderr


OTHERS = {"Eigen": {"TF_ENABLE_ONEDNN_OPTS": "0"}, "oneDNN, AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"}}


@pytest.mark.slow
@pytest.mark.parametrize("kernel", OTHERS)
def test_the_contract_of_a_batch_holds_with_other_kernels(kernel):
    """With Eigen's kernels the bits may depend on the position, the losses and gradients of a step do not."""
    if kernel != "Eigen" and not any(flag.startswith("avx512") for flag in kernels._flags(kernels._CPUINFO)):
        pytest.skip("this processor has no more than AVX2: test_loop.py itself shows it")
    tests = "losses_and_gradients or stops_alone" + ("" if kernel == "Eigen" else " or neighbours or same_bits")
    code = f"import pytest, sys; sys.exit(pytest.main(['-q', 'tests/stylecore/run/test_loop.py', '-k', {tests!r}]))"
    done = python(code, **{"TF_ENABLE_ONEDNN_OPTS": "1", **OTHERS[kernel]})
    assert done.returncode == 0, done.stdout[-2000:]
