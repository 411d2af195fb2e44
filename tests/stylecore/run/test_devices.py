"""One batch at a time on each device; on machines without GPUs logical CPUs stand for them."""

import ctypes
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from stylecore.planning.batches import CPU_BATCH, GPU_BATCH, ComputingDevice
from stylecore.planning.room import machine_memory_bytes
from stylecore.run import devices
from stylecore.run.devices import MissingGpuError, check_gpu, computing_device, device_names, free_device
from tests.support.paths import ROOT

TWO_DEVICES = """
import threading
import numpy as np
import tensorflow as tf
from tests.support.small_problems import SHALLOW, problem, run
from stylecore.planning.buckets import step_kind
from stylecore.config.style_config import StyleConfig
from stylecore.optimizers.adam import Adam
from stylecore.run.engine import OPTIMIZERS
from stylecore.run.engine_cache import get_engine
from stylecore.networks.weights.sources import random_network

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 8)
kind, found, began_on = step_kind(StyleConfig(**SHALLOW), "0"), {}, set()


class Watched(Adam):
    @staticmethod
    def init(images, parameters):
        began_on.add((threading.get_ident(), tf.zeros([]).device))
        return Adam.init(images, parameters)


OPTIMIZERS["adam"] = Watched


def compute(device):
    engine = get_engine(kind, lambda: random_network("vgg19", 0), device)
    state, *_ = engine.advance(engine.start([problem()]), engine.constants([problem()]), 2)
    (result,) = run(engine, [problem()])
    found[device] = state.images.device, result.image


threads = [threading.Thread(target=compute, args=(f"/device:CPU:{number}",)) for number in (0, 1)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
for device, (used, _) in found.items():
    assert used.endswith(device), (device, used)
assert len(began_on) == 2, began_on
first, second = (image for _, image in found.values())
np.testing.assert_array_equal(first, second)

network, loaded = random_network("vgg19", 0), []
kinds = [step_kind(StyleConfig(**SHALLOW), sha256) for sha256 in "123"]


def load():
    loaded.append(1)
    return network


rounds = [
    [get_engine(kind, load, f"/device:CPU:{number}") for number in range(8) for kind in kinds] for _ in range(2)
]
assert len(loaded) == 24, len(loaded)
assert len(set(map(id, rounds[0]))) == 24 and all(one is other for one, other in zip(*rounds))
"""


def test_engines_compute_on_their_own_devices_and_eight_devices_keep_three_kinds_each():
    subprocess.run([sys.executable, "-c", TWO_DEVICES], check=True, cwd=ROOT)


@pytest.fixture
def two_devices(monkeypatch):
    monkeypatch.setattr(devices, "device_names", lambda: ["first", "second"])
    devices._free_devices.cache_clear()
    yield
    devices._free_devices.cache_clear()


def test_a_device_is_lent_to_one_batch_at_a_time(two_devices):
    third = threading.Event()

    def wait_for_a_device():
        with free_device():
            third.set()

    with free_device() as one:
        with free_device() as other:
            assert {one, other} == {"first", "second"}
            waiting = threading.Thread(target=wait_for_a_device)
            waiting.start()
            assert not third.wait(0.2)
        assert third.wait(10)
    waiting.join()


def test_a_machine_without_gpus_computes_on_its_cpu_unless_it_should_have_one(monkeypatch):
    monkeypatch.setattr("tensorflow.config.list_logical_devices", lambda kind: [])
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    assert device_names() == ["/device:CPU:0"]
    with pytest.raises(MissingGpuError, match="should have a GPU, and TensorFlow finds none"):
        check_gpu()


def nvidia_driver(sizes, status=0):
    """Returns what stands for NVIDIA's driver on a machine with GPUs of these sizes."""

    def put(pointer, value):
        pointer._obj.value = value
        return 0

    return SimpleNamespace(
        cuInit=lambda flags: status,
        cuDeviceGetCount=lambda count: put(count, len(sizes)),
        cuDeviceGet=lambda device, index: put(device, 100 + index),
        cuDeviceTotalMem_v2=lambda size, device: put(size, sizes[device.value - 100]),
    )


@pytest.fixture
def gpu_machine(monkeypatch):
    """Returns a function that makes this a machine of two GPUs, as TensorFlow and NVIDIA's driver tell of them."""

    def make(driver, limits_mb=()):
        def load(name):
            if driver is None:
                raise OSError(name)
            return driver

        logical = [SimpleNamespace(memory_limit=limit) for limit in limits_mb]
        monkeypatch.setattr(ctypes, "CDLL", load)
        monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["first", "second"])
        monkeypatch.setattr("tensorflow.config.get_logical_device_configuration", lambda gpu: logical or None)
        monkeypatch.setattr(
            "tensorflow.config.experimental.get_device_details", lambda gpu: {"device_name": f"NVIDIA {gpu}"}
        )

    return make


@pytest.mark.parametrize(
    ("driver", "limits_mb", "expected"),
    [
        (nvidia_driver([40 * 10**9, 24 * 10**9]), (), 24 * 10**9),
        (nvidia_driver([40 * 10**9, 24 * 10**9]), (None, 1024), 2**30),
        (nvidia_driver([40 * 10**9], status=999), (), None),
        (None, (), None),
        (None, (2048,), 2**31),
    ],
    ids=["the least of all GPUs", "what TensorFlow may take", "a driver that fails", "no driver", "a limit alone"],
)
def test_a_gpus_memory_is_what_its_driver_says(gpu_machine, driver, limits_mb, expected):
    gpu_machine(driver, limits_mb)
    assert computing_device() == ComputingDevice("NVIDIA first", True, expected)
    assert computing_device().full_batch == GPU_BATCH


def test_a_cpus_memory_is_the_machines(monkeypatch):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    assert computing_device() == ComputingDevice("CPU", False, machine_memory_bytes())
    assert computing_device().full_batch == CPU_BATCH
