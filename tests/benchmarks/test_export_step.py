"""An exported step, run by JAX without TensorFlow, gives what TensorFlow computes."""

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from benchmarks.export_step import write_case
from benchmarks.gpus import KNOWN_GPUS, known_gpu
from stylecore import StyleConfig
from stylecore.networks.weights.sources import load_weights
from tests.support.jax_packages import jax_packages
from tests.support.paths import ROOT

pytestmark = pytest.mark.index

SIDE_PX, BATCH_SIZE = 32, 2
SHALLOW: dict[str, Any] = {
    "content_layers": ("block2_conv1",),
    "style_layers": (("block1_conv1", 1.0),),
    "history_size": 3,
}
CASES = {("adam", "float32"), ("adam", "bfloat16"), ("lbfgs", "tf32")}
RUNNER = ROOT / "benchmarks" / "run_exported_step.py"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    weights = load_weights("vgg19", "random:1")
    for optimizer, arithmetic in sorted(CASES):
        config = StyleConfig(**SHALLOW, optimizer=optimizer)
        write_case(folder, config, weights, SIDE_PX, BATCH_SIZE, arithmetic)
    return folder


def run(folder, tmp_path):
    """Runs a copy of the runner where neither TensorFlow nor StyleBeam can be imported."""
    runner = shutil.copy(RUNNER, tmp_path)
    for name in ("tensorflow", "keras", "stylecore", "benchmarks", "pipeline"):
        (tmp_path / f"{name}.py").write_text("raise ImportError(__name__)\n")
    command = [sys.executable, runner, folder, "--secs", "0.1"]
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(jax_packages())}
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)


def test_jax_computes_what_tensorflow_does(exported, tmp_path):
    done = run(exported, tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["platform"] == "cpu"
    assert set(found["cases"]) == {f"{name}_32_px_batch_2_{arithmetic}" for name, arithmetic in CASES}
    for name, case in found["cases"].items():
        about = json.loads((exported / name / "step.json").read_text())
        for function in ("evaluation", "step"):
            row = case[function]
            assert set(row["errors"]) == set(about["functions"][function]["checks"])
            flops = about["convolution_flops"] + about["gram_flops"]
            assert row["secs"] > 0 and row["flops_per_sec"] == pytest.approx(flops / row["secs"])
            assert "share_of_peak" not in row  # Nobody knows this processor's.
    # A CPU rounds float32 products to TensorFloat-32 neither here nor there; bfloat16 is rounded.
    errors = {arithmetic: found["cases"][f"{name}_32_px_batch_2_{arithmetic}"] for name, arithmetic in CASES}
    assert errors["tf32"]["evaluation"]["errors"]["gradient"] < 1e-4
    assert errors["bfloat16"]["evaluation"]["errors"]["gradient"] > 1e-4


def test_weights_are_parameters_of_the_module(exported):
    modules = list(exported.glob("*/*.mlir"))
    assert len(modules) == 6
    weights = np.load(exported / "weights.npz")
    assert set(weights) == {
        f"network.{layer}.{part}"
        for layer in ("block1_conv1", "block1_conv2", "block2_conv1")
        for part in ("kernel", "bias")
    }
    assert max(path.stat().st_size for path in modules) < sum(array.nbytes for array in weights.values()) / 4


def changed(folder, tmp_path, edit):
    copy = tmp_path / "changed"
    shutil.copytree(folder, copy)
    case = copy / "adam_32_px_batch_2_float32"
    for other in copy.iterdir():
        if other.is_dir() and other != case:
            shutil.rmtree(other)
    edit(case)
    return run(copy, tmp_path)


def expecting(name, change):
    def edit(case):
        arrays = dict(np.load(case / "expected.npz"))
        arrays[name] = change(arrays[name], case)
        np.savez(case / "expected.npz", **arrays)

    return edit


def backwards(images, case):
    """The same step in the other direction."""
    return 2 * np.load(case / "inputs.npz")["images"] - images


def without_an_array(case):
    arrays = dict(np.load(case / "inputs.npz"))
    del arrays["images"]
    np.savez(case / "inputs.npz", **arrays)


def cut_off(name):
    def edit(case):
        data = (case / name).read_bytes()
        (case / name).write_bytes(data[: len(data) // 2])

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (expecting("evaluation.gradient", lambda array, _: array[:, ::-1]), "evaluation: gradient differs from"),
        (expecting("evaluation.gradient", lambda array, _: array[:1]), "gradient differs from what is expected by inf"),
        (expecting("evaluation.style", lambda array, _: array * np.nan), "style differs from what is expected by inf"),
        (expecting("step.images", backwards), "step: images differs from what is expected by 2 of it"),
        (without_an_array, "evaluation: no array has the name images"),
        (cut_off("expected.npz"), "expected.npz: cannot be read"),
        (cut_off("step.json"), "step.json: cannot be read"),
        (cut_off("evaluation.mlir"), "evaluation.mlir: cannot be compiled"),
    ],
)
def test_what_is_wrong_ends_the_runner_with_one_line(exported, tmp_path, edit, message):
    done = changed(exported, tmp_path, edit)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("run_exported_step: ") and message in line


def test_a_folder_keeps_one_network(exported):
    config = StyleConfig(**SHALLOW)
    with pytest.raises(ValueError, match="holds other weights"):
        write_case(exported, config, load_weights("vgg19", "random:2"), SIDE_PX, BATCH_SIZE, "float32")


@pytest.mark.parametrize(
    ("device", "name"),
    [
        ("NVIDIA H200", "H200"),
        ("NVIDIA H100 80GB HBM3", "H100 80GB"),
        ("NVIDIA A100-SXM4-40GB", "A100 40GB"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", None),
        ("NVIDIA GeForce RTX 9090", None),
        ("CPU", None),
    ],
)
def test_a_gpu_is_known_by_its_drivers_name(device, name):
    gpu = known_gpu(device)
    assert (gpu and gpu.name) == name
    assert gpu is None or gpu in KNOWN_GPUS
