"""Neural style transfer by optimisation: the mathematics of StyleBeam, without Beam or storage.

`StyleConfig` is light; the other names load TensorFlow when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from stylecore.config.style_config import ConfigError, StyleConfig
from stylecore.kernels import prefer_onednn

if TYPE_CHECKING:
    from stylecore.api import stylize
    from stylecore.networks.weights.sources import Weights, WeightsError, load_weights
    from stylecore.run.result import Progress, Result

__all__ = ["ConfigError", "Progress", "Result", "StyleConfig", "Weights", "WeightsError", "load_weights", "stylize"]

_HEAVY = {
    "Progress": "stylecore.run.result",
    "Result": "stylecore.run.result",
    "Weights": "stylecore.networks.weights.sources",
    "WeightsError": "stylecore.networks.weights.sources",
    "load_weights": "stylecore.networks.weights.sources",
    "stylize": "stylecore.api",
}

prefer_onednn()


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(importlib.import_module(_HEAVY[name]), name)
    raise AttributeError(f"module 'stylecore' has no attribute {name!r}")
