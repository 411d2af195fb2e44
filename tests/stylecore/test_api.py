"""The names that stylecore exports, and what stylize refuses."""

import subprocess
import sys

import numpy as np
import pytest

import stylecore
from stylecore import StyleConfig, stylize


def test_every_exported_name_is_there():
    for name in stylecore.__all__:
        assert getattr(stylecore, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'stylise'"):
        _ = stylecore.stylise


def test_a_configuration_loads_neither_tensorflow_nor_beam():
    code = (
        "import sys, stylecore; stylecore.StyleConfig(seed=3);"
        "assert not {'tensorflow', 'keras', 'apache_beam'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_lists_of_different_lengths_are_refused():
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="contents, styles and configs must be as many, got 2, 1 and 1"):
        stylize([image, image], [image], [StyleConfig()])
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        stylize([image], [image], [StyleConfig()], batch_size=0)
