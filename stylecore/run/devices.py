"""The devices that optimise: GPUs where TensorFlow sees any, else the CPU; each takes one batch at a time."""

import contextlib
import functools
import queue
import threading
from collections.abc import Iterator

import tensorflow as tf

_lock = threading.Lock()


class MissingGpuError(RuntimeError):
    """TensorFlow sees no GPU where one was promised."""


def check_gpu() -> None:
    """Raises MissingGpuError if TensorFlow sees no GPU."""
    if not tf.config.list_physical_devices("GPU"):
        raise MissingGpuError(
            "this worker should have a GPU, and TensorFlow finds none: check its driver and the container's CUDA"
        )


def device_name() -> str:
    """Returns the name of the device that optimises: the first GPU's, or "CPU"."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))


@contextlib.contextmanager
def free_device() -> Iterator[str]:
    """Lends a device that no other batch of this process is using; waits until one is free."""
    with _lock:
        devices = _free_devices()
    device = devices.get()
    try:
        yield device
    finally:
        devices.put(device)


@functools.cache
def _free_devices() -> "queue.SimpleQueue[str]":
    _share_gpu_memory()
    free: queue.SimpleQueue[str] = queue.SimpleQueue()
    for device in device_names():
        free.put(device)
    return free


def device_names() -> list[str]:
    """Returns TensorFlow's names of all GPUs, or the CPU's if there is none."""
    return [device.name for device in tf.config.list_logical_devices("GPU")] or ["/device:CPU:0"]


def _share_gpu_memory() -> None:
    """Lets TensorFlow take GPU memory as it needs it. Without effect once TensorFlow has used a GPU."""
    with contextlib.suppress(RuntimeError):
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
