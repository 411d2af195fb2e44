"""The same work has the same name anywhere, other work another."""

import pytest

from stylecore import StyleConfig
from transforms.records import Failure, Reason, identify_run

BASE = ("c" * 64, [("s" * 64, 1.0)], StyleConfig(), "w" * 64)


def test_the_name_is_the_same_on_every_machine_and_version():
    # Changing this renames every finished grid of every user: raise RESULTS_VERSION only with the pictures.
    assert identify_run(*BASE) == "6dacbc34e745c4dc"


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
