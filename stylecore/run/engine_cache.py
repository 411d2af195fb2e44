"""This process's engines: each device loads a backbone once and traces each kind of step once."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable

import cachetools
import keras
import tensorflow as tf

from stylecore.planning.buckets import StepKind
from stylecore.planning.room import UNLIMITED, Room
from stylecore.run.engine import Engine

logger = logging.getLogger(__name__)

# Of each device: what one device computes drives nothing out of another's memory.
MAX_NETWORKS = 4
MAX_ENGINES = 16


class _DeviceEngines:
    """The engines and networks of one device."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._networks = cachetools.LRUCache[str, keras.Model](MAX_NETWORKS)
        self._engines = cachetools.LRUCache[tuple[StepKind, bool, Room], Engine](MAX_ENGINES)

    def get(self, kind: StepKind, load: Callable[[], keras.Model], device: str, xla: bool, room: Room) -> Engine:
        with self._lock:
            if (kind, xla, room) not in self._engines:
                if kind.weights_sha256 not in self._networks:
                    logger.info("loading %s %s", kind.backbone, kind.weights_sha256[:16])
                    with tf.device(device):
                        self._networks[kind.weights_sha256] = load()
                network = self._networks[kind.weights_sha256]
                self._engines[kind, xla, room] = Engine(kind, network, device, xla, room=room)
            return self._engines[kind, xla, room]

    def traces(self) -> int:
        with self._lock:
            return sum(engine.traces for engine in self._engines.values())


_lock = threading.Lock()
_devices: defaultdict[str, _DeviceEngines] = defaultdict(_DeviceEngines)


def get_engine(
    kind: StepKind, load: Callable[[], keras.Model], device: str = "", xla: bool = False, room: Room = UNLIMITED
) -> Engine:
    """Returns this process's engine for a kind of step.

    Args:
      kind: what the compiled step fixes.
      load: loads the network with its weights; called only if they are not on the device yet.
      device: TensorFlow's name of the device; empty leaves the choice to TensorFlow.
      xla, room: see Engine.
    """
    with _lock:
        engines = _devices[device]
    return engines.get(kind, load, device, xla, room)


def traces() -> int:
    """Returns how often this process's engines traced their optimisation steps."""
    with _lock:
        return sum(engines.traces() for engines in _devices.values())
