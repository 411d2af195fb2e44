"""How a way compares with a gradient, band by band."""

import numpy as np
import pytest

from benchmarks.curvature import agreement, lengths
from benchmarks.quasi_newton import BANDS, Curve, Spectral, bands

SHAPE = (48, 64)
CHROMA_GAIN = 3.0
B = Spectral(Curve(1.0, 0.1), Curve(0.0, 1.0, 0.0, CHROMA_GAIN))
gradient = np.random.default_rng(3).normal(size=(*SHAPE, 3))


def test_a_way_along_the_scaled_gradient_agrees_with_it_alone():
    way = -B(gradient)
    assert agreement(way, gradient, B.gains(*SHAPE)) == pytest.approx(1, abs=1e-6)
    assert agreement(way, gradient, Spectral(Curve(0.0, 1.0)).gains(*SHAPE)) < 0.9
    assert agreement(-way, gradient, B.gains(*SHAPE)) == pytest.approx(-1, abs=1e-6)


def test_lengths_are_the_gains_of_their_bands():
    found = lengths(-B(gradient), gradient)
    is_there = np.bincount(bands(*SHAPE).ravel(), minlength=len(BANDS)) > 0
    np.testing.assert_allclose(found[1][is_there], CHROMA_GAIN, rtol=1e-5)
    assert (np.diff(found[0][is_there]) < 0).all()
