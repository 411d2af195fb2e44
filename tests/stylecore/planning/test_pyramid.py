"""What the stages of a pyramid cost together."""

from stylecore import StyleConfig
from stylecore.planning.pyramid import full_size_evaluations


def test_iterations_of_a_smaller_stage_count_by_its_pixels():
    assert full_size_evaluations(StyleConfig(iterations=40)) == 40
    assert full_size_evaluations(StyleConfig(iterations=40, pyramid=((0.5, 0.5), (1.0, 0.5)))) == 5 + 20
    assert full_size_evaluations(StyleConfig(preset="fast")) == 77.5
