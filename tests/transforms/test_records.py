"""The same work has the same name anywhere, other work another."""

import pytest

from stylecore import StyleConfig
from transforms.records import Failure, Reason, identify_run

BASE = ("c" * 64, [("s" * 64, 1.0)], StyleConfig(), "w" * 64)


PINNED = {
    "a4f86ff14e84ace3": {},
    "78630125c801f459": {"preset": "gatys"},
    "12fc11d239fc47c9": {"preset": "fast", "precision": "float32"},
    "eff1d7f62c191471": {"preset": "fast", "precision": "bfloat16"},
    "4c9dd06e4f8b3de8": {"preset": "two_content_layers"},
    "7d96353e7ea9dddb": {"preset": "resnet50"},
    "63ee9ceb58ef2e15": {"content_weight": 1e4, "tv_weight": 0, "image_size": 384, "iterations": 500},
    "8c658feab64bbe09": {"init": "content", "learning_rate": 5.5, "early_stop_window": 20},
    "ad7ec426f48b9188": {"init": "style", "seed": 7, "pooling": "avg"},
    "13dfb9fb2756243a": {"optimizer": "lbfgs", "history_size": 8, "style_fit": "keep", "style_scale": 0.5},
    "41ac1ab61c1dc6d9": {"content_loss": "l1", "reduction": "sum", "style_layers": {"conv1_1": 0.9, "conv4_1": 0.1}},
    "779409a7d1dac8f8": {"backbone": "vgg16", "weights": "random:3", "seed": 31},
}


@pytest.mark.parametrize(("index", "run_id"), list(enumerate(PINNED)))
def test_the_name_is_the_same_on_every_machine_and_version(index, run_id):
    # Changing one renames every finished grid of every user: raise RESULTS_VERSION only with the pictures.
    styles = [("b" * 64, 1.0)] if index % 3 else [("b" * 64, 0.75), ("a" * 64, 0.25)]
    assert identify_run("a" * 64, styles, StyleConfig(**PINNED[run_id]), "c" * 64) == run_id


@pytest.mark.parametrize(
    "config",
    [
        {"preset": "basic"},
        {"history_size": 7},
        {"style_scale": 2.0},
        {"early_stop_tolerance": 0.5},
        {"content_layers": {"block5_conv2": 1}},
        {"learning_rate": 15},
        {"weights": "random:1"},
    ],
)
def test_what_changes_nothing_changes_no_name(config):
    assert identify_run(*BASE[:2], StyleConfig(**config), BASE[3]) == identify_run(*BASE)


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (0, "d" * 64),
        (1, [("s" * 64, 0.5)]),
        (1, [("s" * 64, 1.0), ("t" * 64, 1.0)]),
        (2, StyleConfig(seed=31)),
        (2, StyleConfig(iterations=1501)),
        (2, StyleConfig(style_layers={"conv1_1": 1.0})),
        (3, "v" * 64),
    ],
)
def test_what_changes_the_picture_changes_the_name(position, value):
    changed = list(BASE)
    changed[position] = value
    assert identify_run(*changed) != identify_run(*BASE)


def test_a_failure_is_one_line():
    reason = Reason.of(ValueError("first\n  second " + "x" * 5000))
    assert reason.error_message.startswith("first second xxx")
    assert len(reason.error_message) <= 2000
    assert b'"run_id": null' in Failure("row-1", None, reason).to_json()
