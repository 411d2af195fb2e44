"""Effects against a grid whose losses are known functions of its parameters."""

import itertools

import numpy as np
import pytest

from pipeline.report.effects import Runs, best_of_pairs, best_runs, effect, values_to_compare
from tests.support.gallery_rows import metrics_row
from transforms.gallery.part import RunColumns


def runs_of(rows):
    columns = RunColumns()
    for row in rows:
        layers = {name: dict(row["config"][name]) for name in ("content_layers", "style_layers")}
        columns.add_run({**row, "config": {**row["config"], **layers}})
    return Runs.from_columns(columns)


def test_a_factor_is_found_whatever_the_pair_and_the_other_parameter():
    grid = np.array(list(itertools.product(range(5), range(3), range(2))))
    pairs, codes, other = grid.T
    losses = 7.0 ** (pairs + 1) * np.array([1.0, 2.0, 4.0])[codes] * np.array([1.0, 9.0])[other]
    found = effect(losses, codes, pairs, 3)
    assert found is not None and found.pairs == 5
    for factors in (found.low, found.median, found.high):
        np.testing.assert_allclose(factors, [0.5, 1, 2])
    np.testing.assert_allclose(found.span, [4, 4, 4])


def test_the_spread_is_that_of_the_pairs():
    pairs, codes = np.array(list(itertools.product(range(11), range(2)))).T
    found = effect(np.exp(pairs * (2 * codes - 1.0)), codes, pairs, 2)
    assert found is not None
    np.testing.assert_allclose(np.log([found.low, found.median, found.high]), [[-9, 1], [-5, 5], [-1, 9]])


def test_differences_are_found_of_numbers_of_any_sign():
    pairs, codes = np.array(list(itertools.product(range(3), range(3)))).T
    numbers = 5.0 * pairs + np.array([-0.1, 0.0, 0.4])[codes]
    found = effect(numbers, codes, pairs, 3, "differences")
    assert found is not None and found.pairs == 3
    for moved in (found.low, found.median, found.high):
        np.testing.assert_allclose(moved, [-0.2, -0.1, 0.3], atol=1e-12)
    np.testing.assert_allclose(found.span, 0.5)


def test_pairs_without_every_value_do_not_count_nor_do_losses_that_are_not_positive():
    pairs, codes = np.array([0, 0, 1, 2, 2]), np.array([0, 1, 0, 0, 1])
    found = effect(np.array([1.0, 4.0, 9.0, np.nan, 1.0]), codes, pairs, 2)
    assert found is not None and found.pairs == 1
    np.testing.assert_allclose(found.median, [0.5, 2])
    assert effect(np.zeros(5), codes, pairs, 2) is None
    assert effect(np.ones(1), np.zeros(1, int), np.zeros(1, int), 2) is None


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)], [0, 1, 2]),  # One pair has every value.
        ([(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)], [0, 1]),  # As where presets differ in their layers.
        ([(0, 0), (0, 1), (1, 1), (1, 2), (2, 1), (2, 2)], [1, 2]),
        ([(0, 0), (1, 1), (2, 2)], []),
        ([], []),
    ],
)
def test_values_are_compared_that_most_pairs_have_in_common(runs, expected):
    pairs, codes = np.array(runs, int).reshape(-1, 2).T
    assert values_to_compare(codes, pairs, 3).tolist() == expected


def test_the_best_run_is_that_of_its_pair_and_objective():
    grid = list(itertools.product(("a.jpg", "b.jpg"), (1e3, 1e4), (1, 2, 3)))
    totals = [5, 3, 4, 50, 60, 40, 1, 1, 2, None, None, None]
    rows = [
        metrics_row(number, content, config={"content_weight": weight, "seed": seed}, loss_total=total)
        for number, ((content, weight, seed), total) in enumerate(zip(grid, totals, strict=True))
    ]
    assert best_runs(runs_of(rows)) == [1, 5, 6], "ties by the manifest's order; without a loss none is best"


def test_the_best_of_a_pair_is_the_least_or_the_largest_as_the_measure_says():
    values = [0.2, 0.9, 0.9, None, None, 0.1, None, None]
    rows = [
        metrics_row(number, f"{number // 3}.jpg", measure_ssim=value, measure_palette=value)
        for number, value in enumerate(values)
    ]
    runs = runs_of(rows)
    assert [one.key for one in runs.measures] == ["measure_ssim", "measure_palette"]
    best = {one.key: best_of_pairs(runs, one) for one in runs.measures}
    assert best == {"measure_ssim": [1, 5], "measure_palette": [0, 5]}, "ties by the manifest's order"


def test_no_runs_have_no_best():
    assert best_runs(runs_of([])) == []


def test_losses_of_different_layers_are_not_compared():
    changes = [{"style_layers": [(f"block{1 + seed}_conv1", 1.0)], "seed": seed} for seed in (1, 2)]
    runs = runs_of(metrics_row(number, config=config) for number, config in enumerate(changes))
    assert len(set(runs.pairs)) == 1
    assert effect(runs.numbers["loss_style"], runs.codes["seed"], runs.comparable(), 2) is None


def test_neither_are_losses_of_other_colours():
    changes = [{"color": color, "seed": seed} for seed, color in ((1, "style"), (2, "content"))]
    runs = runs_of(metrics_row(number, config=config) for number, config in enumerate(changes))
    assert effect(runs.numbers["loss_style"], runs.codes["seed"], runs.comparable(), 2) is None
