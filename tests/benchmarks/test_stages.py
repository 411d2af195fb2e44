"""Stages are known by their steps, whatever their order, and their growth is that of their seconds."""

import pytest

from benchmarks.stages import courses


def size(rows, **secs):
    stages = [{"label": name, "secs": taken, "cpu_secs": taken**2, "peak_mb": 1} for name, taken in secs.items()]
    return {"rows": rows, "secs": 1.0, "cpu_secs": 1.0, "peak_mb": 1, "stages": stages}


def test_exponents_are_those_of_the_longer_stages():
    sizes = [size(rows, square=(rows / 1e3) ** 2, line=rows / 1e3, short=1e-6 * rows) for rows in (1e3, 1e4, 1e5)]
    found = {stage["label"]: (stage["exponent"], stage["cpu_exponent"]) for stage in courses(sizes)}
    assert list(found) == ["all", "square", "line"]
    assert found["square"] == pytest.approx((2, 4)) and found["line"] == pytest.approx((1, 2))


def test_a_stage_is_the_same_whatever_the_order_of_its_steps_and_several_of_the_same_steps_are_one():
    sizes = [size(10, **{"Read, Write": 2.0}), size(100, **{"Write, Read": 3.0})]
    sizes[1]["stages"] *= 2
    (_, stage) = courses(sizes)
    assert stage["label"] == "Write, Read" and stage["secs"] == [2.0, 6.0] and stage["cpu_secs"] == [4.0, 18.0]
