"""The names that stylecore exports, and what stylize refuses."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import stylecore
from stylecore import Style, StyleConfig, stylize


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
    with pytest.raises(ValueError, match="contents and initials must be as many, got 1 and 2"):
        stylize([image], [image], [StyleConfig()], initials=[None, image])
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        stylize([image], [image], [StyleConfig()], batch_size=0)


def test_initial_pictures_and_styles_of_their_own_scale_reach_the_problem():
    image, initial = np.zeros((8, 8, 3), np.uint8), np.full((4, 4, 3), 77, np.uint8)
    shallow: Any = {"weights": "random:1", "content_layers": ["conv1_1"], "style_layers": ["conv1_1"], "iterations": 0}
    configs = [StyleConfig(init=init, style_fit="keep", **shallow) for init in ("image", "image", "content")]
    styles = (Style(image, scale=0.5), image, image)
    started, *refused = stylize([image] * 3, styles, configs, None, [initial, None, initial])
    np.testing.assert_array_equal(started.image, np.full((8, 8, 3), 77))
    assert [str(result.error) for result in refused] == [
        "init must be noise, content or style without initial, got image",
        "init must be image with initial, got content",
    ]
