"""The trials of L-BFGS: a search in NumPy that does what the product does, and what is read off its losses."""

import numpy as np
import pytest
import scipy.fft
import tensorflow as tf

from benchmarks.evaluations import EVERY, evaluations_until, summary
from benchmarks.quasi_newton import Curve, FirstHessian, LearnedSpectrum, Search, Spectral, built_in
from stylecore import StyleConfig
from stylecore.optimizers.lbfgs import Lbfgs

SHAPE = (16, 24, 3)
rng = np.random.default_rng(5)


def flat_where_smooth(image):
    """A quadratic whose curvature rises with frequency; some pixels of its minimum lie outside 0..255."""
    height, width, _ = image.shape
    f_squared = (np.arange(height) / height)[:, None] ** 2 + (np.arange(width) / width)[None] ** 2
    centre = 300.0 * np.cos(np.arange(image.size).reshape(image.shape) / 50) + 100.0
    spectrum = scipy.fft.dctn(image.astype(np.float64) - centre, axes=(0, 1), norm="ortho")
    scaled = (f_squared + 1e-3)[..., None] * spectrum
    gradient = 2 * scipy.fft.idctn(scaled, axes=(0, 1), norm="ortho")
    return float((scaled * spectrum).sum()), gradient.astype(np.float32)


def losses_of(search, evaluations):
    totals = []
    for _ in range(evaluations):
        total, gradient = flat_where_smooth(search.at)
        search.tell(total, gradient)
        totals.append(search.best)
    return np.array(totals)


@pytest.mark.parametrize("precondition", ["none", "spectral"])
def test_a_search_takes_the_steps_of_the_product(precondition):
    start = rng.uniform(0, 255, SHAPE).astype(np.float32)
    parameters = Lbfgs.parameters([StyleConfig(preset="gatys", precondition=precondition, history_size=4)])
    state, images = Lbfgs.init(tf.constant(start[None]), parameters), tf.constant(start[None])
    first = built_in() if precondition == "spectral" else FirstHessian()
    search = Search(start, first, history_size=4)
    for _ in range(15):
        np.testing.assert_allclose(search.at, images.numpy()[0], atol=0.5)
        total, gradient = flat_where_smooth(images.numpy()[0])
        proposal = Lbfgs.propose(
            state, parameters, images, tf.constant([total], tf.float32), tf.constant(gradient[None])
        )
        state, images = proposal.state, proposal.images
        search.tell(*flat_where_smooth(search.at))


@pytest.mark.parametrize("first", [Spectral(Curve(0.5, 0.05)), Spectral(Curve(1.0, 0.05, 0.1, 0.9))])
def test_gains_that_fall_with_frequency_help_where_curvature_rises(first):
    start = rng.uniform(0, 255, SHAPE).astype(np.float32)
    plain, tried = (losses_of(Search(start, b, history_size=3), 12) for b in (FirstHessian(), first))
    assert (np.diff(tried) <= 0).all()
    assert tried[-1] < plain[-1]


def test_learnt_gains_are_long_where_curvature_is_low():
    learnt = LearnedSpectrum(Curve(0.0, 1.0))
    assert (learnt.gains(*SHAPE[:2])[0] == 1).all()
    for _ in range(20):
        step = rng.normal(size=SHAPE)
        # Twice the curvature along chroma, and ten times as much in the highest frequencies.
        coefficients = scipy.fft.dctn(step, axes=(0, 1), norm="ortho")
        mean = coefficients.mean(axis=2, keepdims=True)
        coefficients = mean + 2 * (coefficients - mean)
        coefficients[8:] *= 10
        learnt.learn(step, scipy.fft.idctn(coefficients, axes=(0, 1), norm="ortho"))
    luminance, chroma = learnt.gains(*SHAPE[:2])
    np.testing.assert_allclose(luminance[2, 2] / chroma[2, 2], 2, rtol=0.1)
    assert luminance[2, 2] > 3 * luminance[-1, -1]


def test_the_gain_of_chroma_leaves_grey_alone():
    grey = np.repeat(rng.normal(size=(*SHAPE[:2], 1)), 3, axis=2).astype(np.float32)
    coloured = grey * np.array([1, -1, 0], np.float32)
    curve = Curve(0.5, 0.1)
    one, half = Spectral(curve), Spectral(curve, curve.times(0.5))
    np.testing.assert_allclose(half(grey), one(grey), atol=1e-5)
    np.testing.assert_allclose(half(coloured), 0.5 * one(coloured), atol=1e-5)


def test_when_a_loss_is_reached():
    totals = np.array([np.inf, 100.0, 25.0, 24.0])
    assert evaluations_until(totals, 50.0) == 2.5 * EVERY
    assert evaluations_until(totals, 100.0) == 2 * EVERY
    assert evaluations_until(totals, 24.0) == 4 * EVERY
    assert evaluations_until(totals, 1.0) == float("inf")


def test_ratios_and_reach():
    plain = np.repeat(np.linspace(100.0, 41.0, 60)[:, np.newaxis], 3, axis=1)
    totals = plain[:20] * [0.5, 0.5, 2.0]
    found = summary(totals, plain)
    assert found["ratios"]["100"] == [pytest.approx(0.5 ** (1 / 3), rel=1e-3), 2.0]
    assert found["reach"] == [pytest.approx(EVERY * 19, abs=1), None]
