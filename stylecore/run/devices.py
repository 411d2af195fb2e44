"""The devices that optimise: GPUs where TensorFlow sees any, else the CPU; each takes one batch at a time."""

import contextlib
import ctypes
import functools
import queue
import threading
from collections.abc import Iterator

import tensorflow as tf

from stylecore.planning.batches import ComputingDevice
from stylecore.planning.room import machine_memory_bytes

_CUDA_DRIVER = "libcuda.so.1"

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


def computing_device() -> ComputingDevice:
    """Returns what of the device that optimises decides about batches; of several GPUs the least memory counts."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return ComputingDevice("CPU", False, machine_memory_bytes())
    limits = [limit for gpu in gpus for limit in _configured_memory_bytes(gpu)]
    return ComputingDevice(device_name(), True, min([*limits, *_cuda_memory_bytes()], default=None))


def _configured_memory_bytes(gpu: tf.config.PhysicalDevice) -> Iterator[int]:
    """Yields the memory that the process has left to TensorFlow on each logical device of a GPU, if it has."""
    for logical in tf.config.get_logical_device_configuration(gpu) or ():
        if logical.memory_limit is not None:
            yield int(logical.memory_limit * 2**20)


def _cuda_memory_bytes() -> Iterator[int]:
    """Yields the memory of each GPU that this process may use, from NVIDIA's driver, where there is one.

    TensorFlow itself tells only how much was free when it started, which differs from one start to the next.

    References:
      CUDA Driver API, Device Management: https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__DEVICE.html
    """
    try:
        cuda = ctypes.CDLL(_CUDA_DRIVER)
    except OSError:
        return
    count = ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        return
    for index in range(count.value):
        device, size = ctypes.c_int(), ctypes.c_size_t()
        if not (cuda.cuDeviceGet(ctypes.byref(device), index) or cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device)):
            yield size.value


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
