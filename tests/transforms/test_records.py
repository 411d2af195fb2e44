"""The same work has the same name anywhere, other work another."""

from typing import Any

import pytest

from stylecore import StyleConfig
from transforms.records import Failure, HashedStyle, Reason, identify_run

BASE = ("c" * 64, [HashedStyle("s" * 64, 1.0)], StyleConfig(), "w" * 64)


PINNED: dict[str, dict[str, Any]] = {
    "0a4719d302b82d95": {},
    "6fe49afaaf865856": {"preset": "gatys"},
    "71ff155b69c09190": {"preset": "fast", "precision": "float32"},
    "505693912413ad4f": {"preset": "fast", "precision": "bfloat16"},
    "34404d1cd6562cbe": {"preset": "two_content_layers"},
    "bf3a6b2e6f086300": {"preset": "resnet50"},
    "ec74440f266339d2": {"content_weight": 1e4, "tv_weight": 0, "image_size": 384, "iterations": 500},
    "2135f3cbacabc79a": {"init": "content", "learning_rate": 5.5, "early_stop_window": 20},
    "e4b6a4764d0a4a26": {"init": "style", "seed": 7, "pooling": "avg"},
    "aa6e5860f3f20a0e": {"optimizer": "lbfgs", "history_size": 8, "style_fit": "keep", "style_scale": 0.5},
    "cc05fad65c89f673": {"content_loss": "l1", "reduction": "sum", "style_layers": {"conv1_1": 0.9, "conv4_1": 0.1}},
    "0fd771d8d9cbc7eb": {"backbone": "vgg16", "weights": "random:3", "seed": 31},
    "513142b368f0367f": {"preset": "fine"},
}


@pytest.mark.parametrize(("index", "run_id"), list(enumerate(PINNED)))
def test_the_name_is_the_same_on_every_machine_and_version(index, run_id):
    # Changing one renames every finished grid of every user: raise RESULTS_VERSION only with the pictures.
    single, blend = [HashedStyle("b" * 64, 1.0)], [HashedStyle("b" * 64, 0.75), HashedStyle("a" * 64, 0.25)]
    styles = single if index % 3 else blend
    assert identify_run("a" * 64, styles, StyleConfig(**PINNED[run_id]), "c" * 64) == run_id


FIRST, SECOND = HashedStyle("b" * 64, 0.75), HashedStyle("a" * 64, 0.25)
PINNED_ENTRIES: dict[str, tuple[list[HashedStyle], str | None]] = {
    "83030139e21524ee": ([FIRST._replace(scale=0.5), SECOND], None),
    "dbf472793e1c2917": ([FIRST._replace(content_mask="d" * 64), SECOND], None),
    "7a868290ac8c90cd": ([FIRST._replace(style_mask="d" * 64), SECOND], None),
    "42ec9cad5f89fc78": ([FIRST, SECOND._replace(scale=0.5, content_mask="d" * 64, style_mask="e" * 64)], None),
    "d1f88ece4001d2df": ([FIRST, SECOND], "d" * 64),
}


@pytest.mark.parametrize("run_id", PINNED_ENTRIES)
def test_masks_a_scale_and_the_initial_picture_are_part_of_the_name(run_id):
    styles, initial = PINNED_ENTRIES[run_id]
    assert identify_run("a" * 64, styles, StyleConfig(), "c" * 64, initial) == run_id


def test_the_order_of_styles_and_to_which_a_mask_belongs_count():
    masked = [FIRST._replace(content_mask="d" * 64), SECOND]
    others = [masked[::-1], [FIRST, SECOND._replace(content_mask="d" * 64)]]
    assert len({identify_run("a" * 64, styles, StyleConfig(), "c" * 64) for styles in [masked, *others]}) == 3


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
        (1, [HashedStyle("s" * 64, 0.5)]),
        (1, [HashedStyle("s" * 64, 1.0), HashedStyle("t" * 64, 1.0)]),
        (2, StyleConfig(seed=31)),
        (2, StyleConfig(iterations=1501)),
        (2, StyleConfig.from_dict({"style_layers": {"conv1_1": 1.0}})),
        (3, "v" * 64),
    ],
)
def test_what_changes_the_picture_changes_the_name(position, value):
    changed: list[Any] = list(BASE)
    changed[position] = value
    assert identify_run(*changed) != identify_run(*BASE)


def test_a_failure_is_one_line():
    reason = Reason.of(ValueError("first\n  second " + "x" * 5000))
    assert reason.error_message.startswith("first second xxx")
    assert len(reason.error_message) <= 2000
    assert b'"run_id": null' in Failure("row-1", None, reason).to_json()
