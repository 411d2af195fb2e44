"""Named configurations: for each preset, the fields that differ from the defaults, which `basic` leaves as they are."""

from collections.abc import Mapping
from typing import Any

# The settings that Gatys, Ecker and Bethge (CVPR 2016) released. They weigh the mean squared difference of a layer's
# Gram matrices by 1e3 / channels^2: with the mean reduction and layer weights of 0.2 that is a style weight of 2e4.
_GATYS: Mapping[str, Any] = {
    "content_layers": ["conv4_2"],
    "content_weight": 1.0,
    "style_weight": 2e4,
    "tv_weight": 0.0,
    "optimizer": "lbfgs",
    "iterations": 500,
    "init": "content",
    "style_fit": "keep",
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "basic": {},
    "two_content_layers": {"content_layers": ["conv4_4", "conv5_2"]},
    "gatys": _GATYS,
    # The objective of `gatys`, settings chosen for the best picture per second: see docs/performance.md.
    "fast": {
        **_GATYS,
        "iterations": 200,
        "pyramid": [{"scale": 0.5, "share": 0.6}, {"scale": 1.0, "share": 0.4}],
        "precision": "auto",
    },
    # Eight style layers of equal weight, conv3_block3_3_conv counted twice.
    "resnet50": {
        "backbone": "resnet50",
        "content_layers": ["conv5_block1_1_conv"],
        "style_layers": {
            "conv1_relu": 1 / 8,
            "conv2_block1_1_conv": 1 / 8,
            "conv2_block3_2_conv": 1 / 8,
            "conv3_block1_1_conv": 1 / 8,
            "conv3_block3_3_conv": 2 / 8,
            "conv4_block6_3_conv": 1 / 8,
            "conv5_block2_2_conv": 1 / 8,
        },
    },
}
