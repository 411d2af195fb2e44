"""docs/performance.md says what the results and the counts say."""

import json

import pytest

from benchmarks import performance_doc
from benchmarks.figures import PREDICTIONS
from pipeline.dataflow.gpus import L4, T4
from stylecore import StyleConfig


def test_the_tables_are_those_of_the_results():
    text = performance_doc.DOC.read_text()
    assert text == performance_doc.filled(text), "run python -m benchmarks.performance_doc"


def test_every_table_stands_in_the_page():
    text = performance_doc.DOC.read_text()
    for name in performance_doc.TABLES:
        assert f"<!-- {name} -->" in text


def test_a_table_takes_the_place_of_the_one_before():
    page = "before\n<!-- costs -->\nold\n<!-- end -->\nafter\n"
    made = performance_doc.filled(page)
    assert "old" not in made
    assert made.startswith("before\n<!-- costs -->\n| preset")
    assert made.endswith("<!-- end -->\nafter\n")


def test_every_measured_figure_has_a_prediction():
    predictions = json.loads(PREDICTIONS.read_text())["figures"]
    ceilings = {"matmul_gflops_per_sec_float32", "matmul_gflops_per_sec_bfloat16", "copy_gigabytes_per_sec"}
    assert set(performance_doc.measured()) <= set(predictions) | ceilings
    for kind in performance_doc.PEERS:
        assert set(performance_doc.figures_of(kind)) <= set(json.loads(PREDICTIONS.read_text())["peers"])


def test_a_coarse_stage_is_predicted_at_its_size():
    whole = StyleConfig(iterations=100)
    coarse = StyleConfig(iterations=100, pyramid=((0.5, 0.5), (1.0, 0.5)))
    ratio = performance_doc.picture_secs(coarse, "float32", L4) / performance_doc.picture_secs(whole, "float32", L4)
    assert ratio == pytest.approx(0.5 + 0.5 / 4, rel=0.01)


def test_a_faster_gpu_is_predicted_to_be_faster():
    config = StyleConfig(preset="gatys")
    assert performance_doc.picture_secs(config, "float32", L4) < performance_doc.picture_secs(config, "float32", T4)
