"""Neural style transfer by optimisation: the mathematics of StyleBeam, without Beam or storage.

`StyleConfig` is light; `stylize` and `Result` bring TensorFlow along and are imported when first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from stylecore.config.style_config import ConfigError, StyleConfig

if TYPE_CHECKING:
    from stylecore.api import stylize
    from stylecore.run.result import Result

__all__ = ["ConfigError", "Result", "StyleConfig", "stylize"]

_HEAVY = {"stylize": "stylecore.api", "Result": "stylecore.run.result"}


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return getattr(importlib.import_module(_HEAVY[name]), name)
    raise AttributeError(f"module 'stylecore' has no attribute {name!r}")
