"""The first Hessian that is smooth in frequency, against SciPy's transform and a dense float64 L-BFGS matrix."""

import numpy as np
import pytest
import scipy.fft
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.optimizers import lbfgs, spectral
from stylecore.optimizers.lbfgs import Lbfgs, LbfgsParameters
from stylecore.optimizers.spectral import smooth_square, smoothed, spectrum

rng = np.random.default_rng(0)


def reference(image):
    """B times an image [height, width, channels], in float64."""
    height, width = image.shape[:2]
    f_squared = (np.arange(height) / height)[:, None] ** 2 + (np.arange(width) / width)[None] ** 2
    luminance, chroma = (
        (level + rise / (1 + f_squared / spectral.CORNER**2))[..., None]
        for level, rise in (spectral.LUMINANCE, spectral.CHROMA)
    )
    coefficients = scipy.fft.dctn(image.astype(np.float64), axes=(0, 1), norm="ortho")
    mean = coefficients.mean(axis=2, keepdims=True)
    return scipy.fft.idctn(luminance * mean + chroma * (coefficients - mean), axes=(0, 1), norm="ortho")


def basis_for(images):
    return spectrum(images, np.array([True]))


@pytest.mark.parametrize("corner", [0.03, 0.3])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (17, 32), (40, 23)])
def test_it_is_the_filter_in_the_cosine_transform(shape, corner, monkeypatch):
    monkeypatch.setattr(spectral, "CORNER", corner)
    images = rng.normal(size=(2, *shape, 3)).astype(np.float32)
    arguments = images, np.array([True, True]), basis_for(images)
    squares = smooth_square(*arguments).numpy()
    for image, result, square in zip(images, smoothed(*arguments).numpy(), squares, strict=True):
        expected = reference(image)
        np.testing.assert_allclose(result, expected, atol=2e-6 * np.abs(expected).max())
        assert square == pytest.approx((image * expected).sum(), rel=1e-4)


def test_luminance_and_chroma_have_gains_of_their_own():
    flat = np.ones((1, 8, 8, 1), np.float32)
    for direction, (level, rise) in (([1, 1, 1], spectral.LUMINANCE), ([1, -1, 0], spectral.CHROMA)):
        image = flat * np.array(direction, np.float32)
        scaled = smoothed(image, np.array([True]), basis_for(image)).numpy()
        np.testing.assert_allclose(scaled, (level + rise) * image, atol=1e-4)


def test_an_image_that_is_not_chosen_stays_to_the_bit_as_it_is():
    images = rng.normal(size=(2, 12, 9, 3)).astype(np.float32)
    arguments = images, np.array([False, True]), basis_for(images)
    found, squares = smoothed(*arguments).numpy(), smooth_square(*arguments).numpy()
    np.testing.assert_array_equal(found[0], images[0])
    assert not np.array_equal(found[1], images[1])
    plain = np.square(images).sum(axis=(1, 2, 3))
    assert squares[0] == pytest.approx(plain[0]) and squares[1] > 1.1 * plain[1]


def test_where_no_image_is_chosen_there_is_no_filter():
    images = rng.normal(size=(2, 12, 9, 3)).astype(np.float32)
    basis = spectrum(images, np.array([False, False]))
    assert not any(part.numpy().any() for part in basis)
    np.testing.assert_array_equal(smoothed(images, np.array([False, False]), basis), images)


@pytest.mark.parametrize("shape", [(31, 45), (64, 64), (33, 7)])
def test_position_and_neighbours_change_no_bit(shape):
    images = rng.normal(size=(4, *shape, 3)).astype(np.float32)
    arguments = np.ones(4, bool), basis_for(images)
    backwards = np.ascontiguousarray(images[::-1])
    for function in (smoothed, smooth_square):
        turned = function(backwards, *arguments).numpy()[::-1]
        np.testing.assert_array_equal(turned, function(images, *arguments).numpy())


def dense_product(steps, changes, free, vector, first_hessian, lengthened):
    """H v by the two-loop recursion in float64, with H0 = gamma M B M; pairs oldest first, all masked."""
    shape = steps[0].shape
    mask = free.astype(np.float64)
    pairs = [(s * mask, y * mask) for s, y in zip(steps.astype(np.float64), changes.astype(np.float64), strict=True)]

    def first(x):
        return mask * first_hessian((mask * x).reshape(shape))

    q, alphas = vector.astype(np.float64), []
    for s, y in reversed(pairs):
        alphas.append((s * q).sum() / (s * y).sum())
        q = q - alphas[-1] * y
    s, y = pairs[-1]
    r = lengthened * (s * y).sum() / (y * first(y)).sum() * first(q)
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        r = r + (alpha - (y * r).sum() / (s * y).sum()) * s
    return r


@pytest.mark.parametrize(
    ("is_spectral", "first_hessian", "lengthened"), [(False, np.asarray, 1.0), (True, reference, spectral.LENGTHENED)]
)
def test_the_compact_form_is_the_two_loop_recursion_on_the_free_pixels(is_spectral, first_hessian, lengthened):
    shape, kept, size = (6, 7, 3), 4, 5
    diagonal = rng.uniform(0.5, 2.0, shape)
    steps = rng.normal(size=(kept, *shape)).astype(np.float32)
    changes = (diagonal * steps).astype(np.float32)
    free = (rng.uniform(size=shape) > 0.2).astype(np.float32)
    vector = (free * rng.normal(size=shape)).astype(np.float32)
    # The ring is full past its end: the newest pair stands in place 1.
    places = (1 - np.arange(kept)) % size
    ring_steps, ring_changes = (np.zeros((1, size, *shape), np.float32) for _ in range(2))
    ring_steps[0, places], ring_changes[0, places] = steps[::-1], changes[::-1]
    parameters = LbfgsParameters(np.array([size], np.int32), np.array([is_spectral]))
    state = Lbfgs.init(np.zeros((1, *shape), np.float32), parameters)._replace(
        steps=tf.constant(ring_steps),
        changes=tf.constant(ring_changes),
        kept=tf.constant([kept]),
        newest=tf.constant([1]),
    )
    found, curved = lbfgs._newton(
        state, Lbfgs.prepared(parameters, state.images), tf.constant(vector[None]), tf.constant(free[None])
    )
    assert curved.numpy().all()
    expected = dense_product(steps, changes, free, vector, first_hessian, lengthened)
    np.testing.assert_allclose(found.numpy()[0], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_it_is_a_field_of_its_own_that_changes_no_finished_name():
    plain = StyleConfig(preset="gatys")
    assert StyleConfig(preset="gatys", precondition="none").canonical_json() == plain.canonical_json()
    assert StyleConfig(preset="gatys", precondition="spectral").canonical_json() != plain.canonical_json()
    assert StyleConfig(precondition="spectral").canonical_json() == StyleConfig().canonical_json(), "Adam has none"
    parameters = Lbfgs.parameters([plain, StyleConfig(preset="gatys", precondition="spectral")])
    assert parameters.spectral.tolist() == [False, True]


def flat_where_smooth(images):
    """A quadratic whose curvature rises with frequency, as that of deep features does."""
    height, width = images.shape[1:3]
    f_squared = (np.arange(height) / height)[:, None] ** 2 + (np.arange(width) / width)[None] ** 2
    spectrum = scipy.fft.dctn(images - 100.0, axes=(1, 2), norm="ortho")
    scaled = (f_squared + 1e-4)[None, ..., None] * spectrum
    return (scaled * spectrum).sum(axis=(1, 2, 3)), 2 * scipy.fft.idctn(scaled, axes=(1, 2), norm="ortho")


def test_where_curvature_rises_with_frequency_it_needs_fewer_evaluations():
    start = np.repeat(rng.uniform(0, 255, (1, 32, 32, 3)), 2, axis=0).astype(np.float32)
    parameters = LbfgsParameters(np.array([5, 5], np.int32), np.array([False, True]))
    state, images = Lbfgs.init(tf.constant(start), parameters), tf.constant(start)
    for _ in range(30):
        total, gradient = flat_where_smooth(images.numpy().astype(np.float64))
        proposal = Lbfgs.propose(
            state, parameters, images, tf.constant(total, tf.float32), tf.constant(gradient, tf.float32)
        )
        state, images = proposal.state, proposal.images
    plain, smooth = state.total.numpy()
    assert smooth < 0.5 * plain
