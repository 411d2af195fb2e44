"""One batch at a time on each device; on machines without GPUs logical CPUs stand for them."""

import subprocess
import sys
import threading

import pytest

from stylecore.run import devices
from stylecore.run.devices import MissingGpuError, check_gpu, device_names, free_device
from tests.support.paths import ROOT

TWO_DEVICES = """
import threading
import numpy as np
import tensorflow as tf
from tests.support.small_problems import SHALLOW, problem
from stylecore.planning.buckets import step_kind
from stylecore.config.style_config import StyleConfig
from stylecore.optimizers.adam import Adam
from stylecore.run.engine import OPTIMIZERS
from stylecore.run.engine_cache import get_engine
from stylecore.run.loop import optimize
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
    ((_, result),) = optimize(engine, [problem()])
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
