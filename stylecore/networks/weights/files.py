"""The names of weights files and the folder of the downloaded ones; loads nothing."""

import os
from pathlib import Path

from stylecore.networks.layers import BACKBONES


def file_names(backbone: str) -> tuple[str, ...]:
    """Returns the file names of a network in a weights directory: StyleBeam's, and Keras' own if it has such a one."""
    keras_own = f"{backbone}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return (f"{backbone}.weights.h5", *([keras_own] if backbone in BACKBONES else []))


def cache_directory() -> Path:
    """Returns the folder of downloaded weights, as the XDG base directory specification places it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stylebeam" / "weights"


def cache_path(backbone: str, source: str) -> Path:
    """Returns the path at which a source's weights are cached; the numbers of two sources differ, so do their files."""
    return cache_directory() / f"{backbone}-imagenet-{source}.weights.h5"
