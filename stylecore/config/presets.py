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
        "iterations": 100,
        "pyramid": [{"scale": 0.5, "share": 0.3}, {"scale": 1.0, "share": 0.7}],
        "precision": "auto",
        "precondition": "spectral",
    },
    # The same objective, minimised as far as more evaluations still show.
    "fine": {
        **_GATYS,
        "iterations": 320,
        "pyramid": [{"scale": 0.5, "share": 0.25}, {"scale": 1.0, "share": 0.75}],
        "precondition": "spectral",
    },
    # The settings of Crowson's style-transfer-pytorch: its sizes end/2^(i/2) from 128 to 512 px, with 1000 iterations
    # at the first and 500 at each other one; its step of 0.02 on 0..1. docs/presets.md lists what has no field.
    "gaussian": {
        "style_loss": "gaussian",
        "pooling": "avg",
        "content_layers": ["conv4_2"],
        "style_layers": {f"conv{block}_1": 4.0 ** (5 - block) / 341 for block in range(1, 6)},
        "content_weight": 0.015,
        "style_weight": 1.0,
        "tv_weight": 0.0,
        "learning_rate": 5.1,
        "beta_2": 0.99,
        "average_decay": 0.99,
        "iterations": 3000,
        "init": "content",
        "style_fit": "keep",
        "pyramid": [
            {"scale": 0.25, "share": 1 / 3},
            *({"scale": scale, "share": 1 / 6} for scale in (2**-1.5, 0.5, 2**-0.5, 1.0)),
        ],
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
    # Where Wang, Li and Vasconcelos (CVPR 2021) take their smoothed features: the stem, the ends of the four stages,
    # and for the content the end of the third.
    "resnet50_swag": {
        "backbone": "resnet50",
        "content_layers": ["conv4_block6_out"],
        "style_layers": ["conv1_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out"],
        "feature_map": "softmax",
    },
}
