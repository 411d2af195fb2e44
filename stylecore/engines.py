"""The engines of this process: each backbone is loaded once, each kind of step traced once."""

import threading
from collections.abc import Callable

import cachetools
import keras
import tensorflow as tf

from stylecore.buckets import StepKind
from stylecore.engine import Engine

_MAX_NETWORKS = 4
_MAX_ENGINES = 16

_lock = threading.Lock()
_networks = cachetools.LRUCache[str, keras.Model](_MAX_NETWORKS)
_engines = cachetools.LRUCache[StepKind, Engine](_MAX_ENGINES)


def get_engine(kind: StepKind, load: Callable[[], keras.Model]) -> Engine:
    """Returns this process's engine of a kind; `load` is called if the network with its weights is not here yet."""
    with _lock:
        if kind not in _engines:
            if kind.weights_sha256 not in _networks:
                share_gpu_memory()
                _networks[kind.weights_sha256] = load()
            _engines[kind] = Engine(kind, _networks[kind.weights_sha256])
        return _engines[kind]


def share_gpu_memory() -> None:
    """Lets TensorFlow take GPU memory as it needs it, where it has not begun yet."""
    for gpu in tf.config.list_physical_devices("GPU"):
        if not tf.config.experimental.get_memory_growth(gpu):
            tf.config.experimental.set_memory_growth(gpu, True)


class MissingGpuError(RuntimeError):
    """A GPU was promised and TensorFlow sees none."""


def check_gpu() -> None:
    """Raises MissingGpuError if TensorFlow sees no GPU."""
    if not tf.config.list_physical_devices("GPU"):
        raise MissingGpuError(
            "this worker was promised a GPU and TensorFlow sees none: check its driver and the container's CUDA"
        )


def device_name() -> str:
    """Returns what the optimisation runs on: the first GPU's name, or "CPU"."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    return str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU"))
