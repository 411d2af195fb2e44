"""The backbones that a manifest uses, whatever else stands in its rows."""

import json
from typing import Any

from tests.support.inputs import GOOD_ROW, write_rows
from transforms.manifest.files import open_manifest
from transforms.manifest.networks import distinct_backbones


def test_backbones_that_a_manifest_needs(tmp_path):
    configs = [
        {},
        {"preset": "resnet50"},
        {"backbone": "vgg16", "weights": "random:3"},
        {"backbone": "resnet50", "weights": "mine.weights.h5"},
        {"preset": "unknown"},
        {"weights": "nonsense"},
    ]
    rows = [{**GOOD_ROW, "config": json.dumps(config)} for config in configs] + [{**GOOD_ROW, "config": "{"}]
    needed = distinct_backbones(open_manifest(write_rows(tmp_path / "m.parquet", rows)))
    assert needed == {
        ("vgg19", "imagenet"),
        ("resnet50", "imagenet"),
        ("vgg16", "random:3"),
        ("resnet50", str(tmp_path / "mine.weights.h5")),
    }
    structs: list[dict[str, Any]] = [
        {**GOOD_ROW, "config": {"backbone": "resnet50", "weights": None, "seed": 3}},
        {**GOOD_ROW, "config": None},
    ]
    needed = distinct_backbones(open_manifest(write_rows(tmp_path / "n.parquet", structs)))
    assert needed == {("vgg19", "imagenet"), ("resnet50", "imagenet")}
