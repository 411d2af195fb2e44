"""Neural style transfer by optimisation: the mathematics of StyleBeam, without Beam or storage.

`StyleConfig` is light; the other names are loaded when they are first used, and all but `Style` load TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

from stylecore.config.style_config import ConfigError, StyleConfig
from stylecore.kernels import prefer_onednn

if TYPE_CHECKING:
    from stylecore.api import stylize
    from stylecore.images.style import Style
    from stylecore.networks.weights.sources import Weights, WeightsError, load_weights
    from stylecore.run.result import Progress, Result

__all__ = [
    "ConfigError",
    "Progress",
    "Result",
    "Style",
    "StyleConfig",
    "Weights",
    "WeightsError",
    "load_weights",
    "stylize",
]

_LOADED_LATER = {
    "Progress": "stylecore.run.result",
    "Result": "stylecore.run.result",
    "Style": "stylecore.images.style",
    "Weights": "stylecore.networks.weights.sources",
    "WeightsError": "stylecore.networks.weights.sources",
    "load_weights": "stylecore.networks.weights.sources",
    "stylize": "stylecore.api",
}

prefer_onednn()


def __getattr__(name: str) -> Any:
    if name in _LOADED_LATER:
        return getattr(importlib.import_module(_LOADED_LATER[name]), name)
    raise AttributeError(f"module 'stylecore' has no attribute {name!r}")
