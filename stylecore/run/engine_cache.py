"""This process's engines: each device loads a backbone once and traces each kind of step once."""

import logging
import threading
from collections.abc import Callable

import cachetools
import keras
import tensorflow as tf

from stylecore.planning.buckets import StepKind
from stylecore.run.engine import Engine

logger = logging.getLogger(__name__)

_MAX_NETWORKS = 4
_MAX_ENGINES = 16

_lock = threading.Lock()
_networks = cachetools.LRUCache[tuple[str, str], keras.Model](_MAX_NETWORKS)
_engines = cachetools.LRUCache[tuple[StepKind, str, bool], Engine](_MAX_ENGINES)


def get_engine(kind: StepKind, load: Callable[[], keras.Model], device: str = "", xla: bool = False) -> Engine:
    """Returns this process's engine for a kind of step.

    Args:
      kind: what the compiled step fixes.
      load: loads the network with its weights; called only if they are not on the device yet.
      device: TensorFlow's name of the device; empty leaves the choice to TensorFlow.
      xla: see Engine.
    """
    with _lock:
        if (kind, device, xla) not in _engines:
            if (kind.weights_sha256, device) not in _networks:
                logger.info("loading %s %s", kind.backbone, kind.weights_sha256[:16])
                with tf.device(device):
                    _networks[kind.weights_sha256, device] = load()
            _engines[kind, device, xla] = Engine(kind, _networks[kind.weights_sha256, device], device, xla)
        return _engines[kind, device, xla]
