"""Hand-computed checks of the reference that the other tests lean on."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import signal

from tests.support import reference

# Two positions, two channels: columns (1, 3) and (2, 4).
TWO_POSITIONS = np.array([[[1.0, 2.0], [3.0, 4.0]]])


def test_gram_matrix_sums_over_positions():
    np.testing.assert_array_equal(reference.gram_matrix(TWO_POSITIONS), [[10, 14], [14, 20]])


@pytest.mark.parametrize(
    ("kind", "reduction", "expected"),
    [("l2", "sum", 15), ("l2", "mean", 7.5), ("l1", "sum", 10), ("l1", "mean", 2.5)],
)
def test_content_loss(kind, reduction, expected):
    assert reference.content_loss(TWO_POSITIONS, np.zeros((1, 2, 2)), kind, reduction) == expected


def test_style_loss_is_the_printed_formula_at_equal_sizes():
    style = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    expected = (9**2 + 14**2 + 14**2 + 19**2) / (4 * 2**2 * 2**2)
    assert reference.style_loss_layer(TWO_POSITIONS, [(style, 1)]) == expected
    assert reference.style_loss_layer(TWO_POSITIONS, [(style, 1)], "mean") == expected / 4


def test_style_loss_does_not_depend_on_the_size_of_a_repeated_style():
    style = np.random.default_rng(0).normal(size=(2, 3, 2))
    tiled = np.tile(style, (3, 2, 1))
    once = reference.style_loss_layer(TWO_POSITIONS, [(style, 1)])
    assert reference.style_loss_layer(TWO_POSITIONS, [(tiled, 1)]) == pytest.approx(once)
    assert reference.style_loss_layer(TWO_POSITIONS, [(tiled, 0.25), (style, 0.75)]) == pytest.approx(once)


def test_total_variation_divides_rows_by_height_and_columns_by_width():
    image = np.zeros((2, 3, 3))
    image[1] = 4  # one step of 4 down, in three columns and three channels
    assert reference.total_variation(image) == 9 * 16 / 2
    assert reference.total_variation(image.transpose(1, 0, 2)) == 9 * 16 / 2
    image[:] = 0
    image[:, 2] = 4  # one step of 4 across, in two rows and three channels
    assert reference.total_variation(image) == 6 * 16 / 3


def test_preprocessing_swaps_channels_and_centres():
    np.testing.assert_allclose(reference.preprocess_caffe([[[123.68, 116.779, 103.939]]]), 0, atol=1e-12)
    np.testing.assert_allclose(reference.preprocess_caffe([[[255, 0, 0]]])[0, 0], [-103.939, -116.779, 131.32])


def test_convolution_correlates_and_pads_with_zeros():
    kernel = np.zeros((3, 3, 1, 2))
    kernel[0, 0, 0, 0] = 1  # looks up and left
    kernel[:, :, 0, 1] = 1  # sums the neighbourhood
    image = np.arange(1.0, 7).reshape(2, 3, 1)
    result = reference.convolve(image, kernel, [10, 0])
    np.testing.assert_array_equal(result[..., 0], [[10, 10, 10], [10, 11, 12]])
    np.testing.assert_array_equal(result[..., 1], [[12, 21, 16], [12, 21, 16]])


def test_convolution_agrees_with_scipy():
    rng = np.random.default_rng(0)
    features, kernel, bias = rng.normal(size=(5, 4, 3)), rng.normal(size=(3, 3, 3, 2)), rng.normal(size=2)
    padded = np.pad(features, ((1, 1), (1, 1), (0, 0)))
    for n in range(2):
        expected = signal.correlate(padded, kernel[..., n], mode="valid", method="direct")[..., 0] + bias[n]
        np.testing.assert_allclose(reference.convolve(features, kernel, bias)[..., n], expected, rtol=1e-12)


@pytest.mark.parametrize(("pooling", "expected"), [("max", [[5, 7]]), ("avg", [[2.5, 4.5]])])
def test_pooling_drops_an_odd_edge(pooling, expected):
    image = np.concatenate([np.arange(4.0), [99], np.arange(4.0, 8), [99], np.full(5, 99)]).reshape(3, 5, 1)
    np.testing.assert_array_equal(reference.pool(image, pooling)[..., 0], expected)


def test_features_are_rectified_and_pooled_between_blocks():
    centre = np.zeros((3, 3, 3, 1))
    centre[1, 1, 2] = 1  # the red channel, last in BGR
    weights = {"block1_conv1": (centre, [0.0]), "block2_conv1": (-np.ones((3, 3, 1, 1)), [100.0])}
    image = np.full((2, 3, 3), 223.68)
    image[0, 0] = 0
    found = reference.vgg_features(image, weights, ["block1_conv1", "block2_conv1"], "max", blocks=(1, 1))
    np.testing.assert_allclose(found["block1_conv1"][..., 0], [[0, 100, 100], [100, 100, 100]])
    np.testing.assert_allclose(found["block2_conv1"], [[[0]]], atol=1e-9)
    with pytest.raises(KeyError):
        reference.vgg_features(image, weights, ["block9_conv1"], blocks=(1, 1))


def test_first_adam_step_is_the_learning_rate_whatever_the_gradient():
    points = reference.adam_steps(lambda x: np.array([1e-3, -50.0, -1.0]), [9.0, 9, 250], 6, 0.9, 0.999, 0, 1)
    np.testing.assert_allclose(points, [[9, 9, 250], [3, 15, 255]])


def test_finite_difference_of_a_cubic():
    assert reference.finite_difference(lambda x: (x**3).sum(), [1.0, 2.0], [1, 1]) == pytest.approx(15)


def test_objective_weighs_its_terms():
    centre = np.zeros((3, 3, 3, 1))
    centre[1, 1, 2] = 1
    config = SimpleNamespace(
        content_layers={"block1_conv1": 2.0}, style_layers={"block1_conv1": 3.0}, alpha=5, beta=7, gamma=11,
        content_loss="l1", reduction="sum", pooling="max",
    )  # fmt: skip
    image, content, style = (np.full((2, 2, 3), 123.68 + level) for level in (2, 1, 0))
    losses = reference.objective(image, content, [(style, 1.0)], config, {"block1_conv1": (centre, [0.0])})
    assert losses == pytest.approx({"content": 8, "style": 3 * 4**2 / 4, "tv": 0, "total": 5 * 8 + 7 * 12})
