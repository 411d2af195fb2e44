"""What a GPU will be asked is asked of the CPU here; time is divided, and what is not measured says so."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest
import tensorflow as tf

from benchmarks import gpu, gpu_parts, performance_doc
from benchmarks.gpu_parts import PARTS, NotMeasuredError, Setting, measured
from benchmarks.gpus import relative_error
from stylecore import StyleConfig
from stylecore.networks.weights.sources import load_weights
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def setting():
    weights = load_weights("vgg19", "random:1")
    return Setting("/device:CPU:0", "CPU", (32,), weights, time.monotonic() + 600)


@pytest.fixture
def briefly(monkeypatch):
    monkeypatch.setattr(gpu_parts, "PIECE_SECS", 0.01)
    monkeypatch.setattr(gpu_parts, "TURNS", 2)
    monkeypatch.setattr(gpu_parts, "BATCH_SIZES", (1,))
    monkeypatch.setattr(Setting, "batch_size", lambda self, side_px, arithmetic: 2)
    monkeypatch.setattr(Setting, "arithmetics", ("float32",))
    monkeypatch.setattr(gpu_parts, "config_of", shallow)


def shallow(arithmetic, optimizer="adam"):
    layers: dict[str, Any] = {"content_layers": ["block2_conv1"], "style_layers": {"block1_conv1": 1.0}}
    return StyleConfig(**layers, optimizer=optimizer, iterations=1_000_000)


def found_by(setting, part):
    names, *found = measured(setting, PARTS[part])
    figures = [entry["figure"] for entry in found]
    assert [figure["name"] for figure in figures] == names["names"]
    return {figure["name"]: figure for figure in figures}


@pytest.mark.usefixtures("briefly")
def test_a_device_is_compared_with_the_cpu(setting):
    found = found_by(setting, "correctness")
    assert set(found) == {"gradient_error_float32", "gradient_error_float32_xla"}
    plain, compiled = found.values()
    assert plain["value"] == 0.0 and plain["details"]["loss_error"] == 0.0  # It is the same device.
    assert 0.0 < compiled["value"] < 1e-3 and compiled["details"]["within"]


@pytest.mark.usefixtures("briefly")
def test_a_wrong_gradient_is_found(setting, monkeypatch):
    monkeypatch.setattr(gpu_parts, "relative_error", lambda found, expected: relative_error(-found, expected))
    found = found_by(setting, "correctness")
    assert not any(figure["details"]["within"] for figure in found.values())


@pytest.mark.usefixtures("briefly")
@pytest.mark.parametrize("part", ["convolutions", "batches", "peaks"])
def test_times_are_measured(setting, part):
    found = found_by(setting, part)
    assert found and all(figure["value"] > 0 for figure in found.values())


@pytest.mark.usefixtures("briefly")
def test_pictures_an_hour_follow_from_the_steps_of_each_stage(setting, monkeypatch):
    def secs_of_size(engine, config, side_px, batch_size):
        return {32: 0.5, 16: 0.25}[side_px]

    monkeypatch.setattr(gpu_parts, "our_step", secs_of_size)
    monkeypatch.setattr(gpu_parts, "steady_secs", lambda step, batch_size: step)
    measurements = PARTS["pictures"](setting)
    assert measurements["pictures_per_hour_basic"]()[0] == pytest.approx(3600 / (0.5 * 1500))
    assert measurements["pictures_per_hour_fast"]()[0] == pytest.approx(3600 / (0.25 * 30 + 0.5 * 70))


@pytest.mark.usefixtures("briefly")
def test_the_memory_of_a_gpu_is_its_peak_over_the_estimate(setting, monkeypatch):
    monkeypatch.setattr(Setting, "on_gpu", True)
    monkeypatch.setattr(gpu_parts, "our_step", lambda *_: None)
    monkeypatch.setattr(tf.config.experimental, "reset_memory_stats", lambda name: None)
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", lambda name: {"current": 10**6, "peak": 9 * 10**6})
    for figure in found_by(setting, "memory").values():
        details = figure["details"]
        assert (details["peak_bytes"], details["batch_size"]) == (8 * 10**6, 1)
        assert figure["value"] == pytest.approx(8e6 / details["estimated_bytes"])


def test_what_cannot_be_measured_says_why(setting):
    def refuse():
        raise NotMeasuredError("no such thing")

    def exhausted():
        raise tf.errors.ResourceExhaustedError(None, None, "out of memory\nat all")

    lines = list(measured(setting, lambda _: {"a": refuse, "b": exhausted, "c": lambda: (1.0, {})}))
    assert lines == [
        {"names": ["a", "b", "c"]},
        {"name": "a", "not_measured": "no such thing"},
        {"name": "b", "not_measured": "out of memory at all"},
        {"figure": {"name": "c", "value": 1.0, "details": {}}},
    ]


def test_a_part_whose_time_is_over_measures_nothing_more(setting):
    over = Setting(setting.device, setting.name, setting.sides_px, setting.weights, time.monotonic() - 1)
    assert list(measured(over, lambda _: {"a": lambda: (1.0, {})})) == [{"names": ["a"]}]


def test_the_shares_add_up_to_the_time_and_what_is_saved_goes_on():
    parts = list(gpu.SECS)
    assert list(PARTS) == parts
    left, spent = 450.0, []
    for part in parts:
        spent.append(gpu.share_secs(part, parts, left))
        left -= spent[-1]
    assert left == pytest.approx(0)
    assert spent == pytest.approx([450 * gpu.SECS[part] / sum(gpu.SECS.values()) for part in parts])
    assert gpu.share_secs("xla", parts, 300.0) == 300.0


def test_figures_that_did_not_come_are_not_measured():
    lines = [
        json.dumps({"device": "NVIDIA H200", "weights": "random:0", "arithmetics": ["float32"]}),
        json.dumps({"names": ["a", "b", "c", "d"]}),
        json.dumps({"figure": {"name": "a", "value": 2.0, "details": {"batch_size": 4}}}),
        json.dumps({"name": "b", "not_measured": "out of memory"}),
        '{"figure": {"name": "c", "val',
    ]
    found = gpu.read_part(lines, "no time was left")
    assert found["device"] == "NVIDIA H200"
    assert found["figures"] == {
        "a": {"value": 2.0, "batch_size": 4},
        "b": {"not_measured": "out of memory"},
        "c": {"not_measured": "no time was left"},
        "d": {"not_measured": "no time was left"},
    }


def test_a_trial_prints_and_writes_nothing(tmp_path):
    command = [
        sys.executable,
        "-m",
        "benchmarks.gpu",
        "--device",
        "cpu",
        "--only",
        "memory",
        "peaks",
        "--sides_px",
        "32",
    ]
    command += ["--weights", "random:1", "--minutes", "2"]
    before = {path: path.stat().st_mtime_ns for path in (ROOT / "benchmarks" / "results").iterdir()}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert before == {path: path.stat().st_mtime_ns for path in (ROOT / "benchmarks" / "results").iterdir()}
    found = json.loads(done.stdout[done.stdout.index("\n{") :])
    assert found["device"] == "CPU"
    assert found["parts"]["memory"]["weights"] == "random:1"
    assert "held_memory.py" in found["figures"]["memory_over_estimate_adam_float32_32_px"]["not_measured"]
    assert found["figures"]["matmul_flops_per_sec_float32"]["value"] > 0


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["gpu_parts", "peaks", "--sides_px", "32", "--secs", "60"])
    with pytest.raises(SystemExit, match="TensorFlow finds no GPU here") as ended:
        gpu_parts.main()
    with pytest.raises(gpu.PartError, match="TensorFlow finds no GPU here"):
        gpu.read_part([], str(ended.value))


def test_the_page_shows_what_was_measured_and_what_was_not(monkeypatch):
    figures = {
        "pictures_per_hour_fast": {"value": 9000.4, "predicted": 8000.0},
        "gradient_error_tf32": {"value": 0.002, "loss_error": 1e-4, "tolerances": [0.1, 0.02], "within": True},
        "gradient_error_bfloat16": {"value": 0.2, "loss_error": 1e-4, "tolerances": [0.1, 0.1], "within": False},
        "xla_over_plain_adam_tf32_256_px": {"not_measured": "no time was left"},
    }
    results = {
        "device": "NVIDIA H200",
        "date": "2026-12-24",
        "parts": {"pictures": {"weights": "random:0"}, "xla": {"not_measured": "no time"}},
        "figures": figures,
    }
    monkeypatch.setattr(performance_doc, "results_of", lambda name: results if name == "gpu" else {})
    lines = list(performance_doc.gpus_table())
    assert lines[0] == "NVIDIA H200, 2026-12-24, weights of VGG19: random:0."
    assert lines[4:] == [
        "| pictures per hour fast | 9,000 | predicted 8,000 |",
        "| gradient error tf32 | 0.002 | at most 0.02 |",
        "| gradient error bfloat16 | 0.2 | at most 0.1: too far |",
        "| xla over plain adam tf32 256 px | not measured | no time was left |",
    ]
    monkeypatch.setattr(performance_doc, "results_of", lambda name: {})
    assert list(performance_doc.gpus_table()) == ["Not measured: there was no GPU to measure on."]
