"""L-BFGS on problems whose minima are known: every image its own history, step and end, inside 0..255."""

import dataclasses

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.optimizers.lbfgs import MAX_TRIALS, Lbfgs

SHAPE = (5, 20, 1)


@dataclasses.dataclass
class Path:
    """What an optimisation did: per evaluation the best losses so far, the accepted masks and the images asked for."""

    image: np.ndarray
    totals: np.ndarray
    accepted: np.ndarray
    stalled: np.ndarray
    failed: np.ndarray
    asked: np.ndarray


def minimise(loss, start, evaluations, history_sizes=None):
    start = tf.constant(start, tf.float32)
    sizes = history_sizes or [20] * len(start)
    parameters = Lbfgs.parameters([StyleConfig(optimizer="lbfgs", history_size=size) for size in sizes])

    @tf.function
    def step(state, images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            totals = loss(images)
        return Lbfgs.propose(state, parameters, images, totals, tape.gradient(totals, images))

    state, images = Lbfgs.init(start, parameters), start
    rows = []
    for _ in range(evaluations):
        proposal = step(state, images)
        rows.append((proposal.state.total, proposal.accepted, proposal.stalled, proposal.failed, images))
        state, images = proposal.state, proposal.images
    return Path(state.images.numpy(), *(np.stack([value.numpy() for value in column]) for column in zip(*rows)))


def quadratic(condition, centre):
    """Returns a loss whose Hessian has eigenvalues from 2 to 2 * condition, and its minimum at `centre`."""
    scale = tf.constant(np.logspace(0, np.log10(condition), 100).reshape(SHAPE), tf.float32)
    return lambda images: tf.reduce_sum(scale * tf.square(images - centre), axis=[1, 2, 3])


def rosenbrock(images):
    z = tf.reshape((images - 100.0) / 20.0, [tf.shape(images)[0], -1])
    return tf.reduce_sum(100.0 * tf.square(z[:, 1:] - tf.square(z[:, :-1])) + tf.square(1.0 - z[:, :-1]), axis=1)


def somewhere(count=1, seed=0, low=50.0, high=200.0):
    return np.random.default_rng(seed).uniform(low, high, (count, *SHAPE)).astype(np.float32)


def test_a_quadratic_of_condition_1e4():
    centre, start = somewhere(1, 1), somewhere(1, 2)
    path = minimise(quadratic(1e4, centre), start, 700)
    assert path.totals[-1] < 1e-6 * path.totals[0]
    assert np.abs(path.image - centre).max() < 1.0


def test_rosenbrock_in_100_dimensions():
    start = somewhere(1, 3, 70.0, 90.0)
    path = minimise(rosenbrock, start, 600)
    assert path.totals[-1] < 1e-3
    assert np.abs((path.image - 100) / 20 - 1).max() < 0.1


def test_as_good_as_scipy_after_the_same_evaluations():
    centre, start = somewhere(1, 4, -50.0, 300.0), somewhere(1, 5)
    loss = quadratic(100.0, centre)

    def both(flat):
        images = tf.constant(flat.reshape(1, *SHAPE), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = loss(images)
        return float(total[0]), tape.gradient(total, images).numpy().ravel().astype(np.float64)

    bounds = [(0, 255)] * 100
    found = scipy.optimize.minimize(both, start.ravel(), jac=True, method="L-BFGS-B", bounds=bounds)
    path = minimise(loss, start, found.nfev)
    assert path.totals[-1] <= 1.001 * found.fun


def test_the_minimum_on_the_edge_of_the_box_and_never_outside():
    centre = somewhere(1, 6, -300.0, 500.0)
    path = minimise(quadratic(10.0, centre), somewhere(1, 7), 80)
    np.testing.assert_allclose(path.image, np.clip(centre, 0, 255), atol=0.01)
    assert path.asked.min() >= 0 and path.asked.max() <= 255


def test_problems_of_one_batch_end_each_at_its_own_time_and_as_if_alone():
    centres, starts = somewhere(3, 8), somewhere(3, 9)
    scales = tf.constant(np.stack([np.logspace(0, power, 100).reshape(SHAPE) for power in (0.0, 1.0, 3.0)]), tf.float32)
    together = minimise(lambda x: tf.reduce_sum(scales * tf.square(x - centres), axis=[1, 2, 3]), starts, 60)
    ends = [int(np.argmax(totals < 1e-3)) for totals in together.totals.T]
    assert 0 < ends[0] < ends[1] and ends[2] == 0
    for index in range(3):
        alone = minimise(
            lambda x, i=index: tf.reduce_sum(scales[i] * tf.square(x - centres[i]), axis=[1, 2, 3]),
            starts[index : index + 1],
            25,
        )
        np.testing.assert_allclose(alone.totals[:25, 0], together.totals[:25, index], rtol=1e-3, atol=1e-3)


def test_an_iterate_never_has_a_higher_loss():
    path = minimise(rosenbrock, somewhere(4, 10, 20.0, 200.0), 120)
    assert (np.diff(path.totals, axis=0) <= 0).all()


def test_a_step_that_is_not_finite_poisons_neither_history_nor_neighbours():
    centre, starts = somewhere(1, 11)[0], np.repeat(somewhere(1, 12), 2, axis=0)
    smooth = quadratic(10.0, centre)

    def with_a_hole(images):
        """Beyond a wall that the first step crosses the first image's loss is not a number."""
        hole = tf.stack([tf.reduce_max(tf.abs(images[0] - starts[0])) > 20.0, False])
        return tf.where(hole, np.float32(np.nan), smooth(images))

    path = minimise(with_a_hole, starts, 60)
    healthy = minimise(smooth, starts, 60)
    assert np.isfinite(path.totals).all()
    assert not path.accepted[1, 0] and path.accepted[2:, 0].any()
    assert path.totals[-1, 0] < path.totals[0, 0]
    np.testing.assert_array_equal(path.totals[:, 1], healthy.totals[:, 1])


def test_a_start_that_is_not_finite_fails():
    parameters = Lbfgs.parameters([StyleConfig(optimizer="lbfgs")] * 2)
    images = tf.constant(somewhere(2))
    totals = tf.constant([np.inf, 1.0])
    proposal = Lbfgs.propose(Lbfgs.init(images, parameters), parameters, images, totals, tf.ones_like(images))
    assert proposal.failed.numpy().tolist() == [True, False]
    assert proposal.accepted.numpy().tolist() == [False, True]


def test_where_nothing_descends_it_stalls_instead_of_turning_for_ever():
    def uphill(images):
        """Returns a value that rises with any step, while the gradient promises a fall."""
        return tf.stop_gradient(tf.reduce_sum(tf.abs(images - start), axis=[1, 2, 3])) + 1e-3 * (
            tf.reduce_sum(images - tf.stop_gradient(images), axis=[1, 2, 3])
        )

    start = somewhere(1, 13)
    path = minimise(uphill, start, MAX_TRIALS + 2)
    assert path.stalled.any() and not path.failed.any()
    np.testing.assert_array_equal(path.image, start)


@pytest.mark.parametrize("iterates", [1, 4])
def test_a_line_search_without_one_finite_trial_fails(iterates):
    """The first image's loss is a number only where it was evaluated so far; the second goes on."""
    centre, starts = somewhere(1, 16)[0], np.repeat(somewhere(1, 17), 2, axis=0)
    smooth = quadratic(10.0, centre)
    undisturbed = minimise(smooth, starts, iterates)
    known = tf.constant(undisturbed.asked[:, 0])

    def known_so_far(images):
        new = ~tf.reduce_any(tf.reduce_all(tf.equal(images[0], known), axis=[1, 2, 3]))
        return tf.where(tf.stack([new, False]), np.float32(np.nan), smooth(images))

    path = minimise(known_so_far, starts, iterates + 2 * MAX_TRIALS)
    assert path.failed[:, 0].any() and not path.stalled[: int(np.argmax(path.failed[:, 0])) + 1, 0].any()
    assert not path.failed[:, 1].any()
    np.testing.assert_array_equal(path.image[0], undisturbed.image[0])


@pytest.mark.parametrize("size", [1, 3])
def test_the_history_size_of_an_image_is_its_own(size):
    centres, starts = somewhere(2, 14), somewhere(2, 15)
    loss = quadratic(100.0, centres[0])
    mixed = minimise(loss, np.stack([starts[0], starts[0]]), 30, [size, 20])
    own = minimise(loss, starts[:1], 30, [size])
    np.testing.assert_allclose(mixed.totals[:10, 0], own.totals[:10, 0], rtol=1e-4)
    assert mixed.totals[-1, 0] > mixed.totals[-1, 1]


@pytest.mark.parametrize("precondition", ["none", "spectral"])
def test_xla_compiles_it(precondition):
    parameters = Lbfgs.parameters([StyleConfig(optimizer="lbfgs", history_size=3, precondition=precondition)] * 2)
    loss, start = quadratic(10.0, somewhere(1, 18)[0]), tf.constant(somewhere(2, 19))

    def step(state, images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            totals = loss(images)
        return Lbfgs.propose(state, parameters, images, totals, tape.gradient(totals, images))

    def asked(function):
        state, images = Lbfgs.init(start, parameters), start
        for _ in range(6):
            proposal = function(state, images)
            state, images = proposal.state, proposal.images
        return images

    np.testing.assert_allclose(asked(tf.function(step, jit_compile=True)), asked(tf.function(step)), atol=0.05)
