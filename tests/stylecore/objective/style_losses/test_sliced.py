"""The sliced Wasserstein loss against the float64 reference; its directions; transport on a CPU and in the graph."""

import numpy as np
import pytest
import tensorflow as tf

from stylecore.objective.style_losses import transport
from stylecore.objective.style_losses.guides import padded_guides
from stylecore.objective.style_losses.sliced import Sliced
from tests.support import reference
from tests.support.loss_checks import CHANNELS, REDUCTIONS, batch, check

DRAW = Sliced().draws(tf.constant([7, 8], tf.int64), tf.constant([3, 3]), [CHANNELS])[0]
STYLES = {
    "same size": [((5, 7), 1.0)],
    "own size": [((3, 11), 1.0)],
    "larger": [((9, 8), 1.0)],
    "one position": [((1, 1), 1.0)],
    "two weighted": [((4, 4), 0.3), ((9, 2), 0.7)],
    "weights as given": [((6, 5), 2.0), ((2, 3), 0.5), ((5, 7), 0.0)],
}


@pytest.fixture(params=["on_cpu", "in_graph"])
def machine(request, monkeypatch):
    """Computes transport as a machine without or with a GPU does."""
    gpus = {"on_cpu": [], "in_graph": ["a GPU"]}[request.param]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: gpus)


def styles_of(sizes):
    return [(batch(size, seed=10 + n).astype(np.float32), weight) for n, (size, weight) in enumerate(sizes)]


def target_of(styles):
    """Returns the target of two pictures, made one by one as the engine does."""
    loss = Sliced()
    targets = [
        loss.blend(
            [loss.statistics(tf.constant(style[n : n + 1])) for style, _ in styles], [weight for _, weight in styles]
        )
        for n in range(2)
    ]
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis=0), *targets)


@pytest.mark.parametrize("sizes", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_loss(sizes, reduction, machine):
    styles, loss = styles_of(sizes), Sliced()
    target = target_of(styles)

    def term(x):
        statistics = loss.statistics(x)
        factor = loss.mean_factor(statistics) if reduction == "mean" else 1.0
        return loss.loss(statistics, target, DRAW) * factor

    def expected(x, index):
        own = [(style[index], weight) for style, weight in styles]
        return reference.sliced_loss_layer(x, own, DRAW[index], reduction)

    check(term, expected, batch((5, 7), seed=4))


def test_loss_of_two_regions(machine):
    styles = [styles_of(STYLES["own size"]), styles_of([((3, 11), 0.5)])]
    weights = np.random.default_rng(3).uniform(-0.3, 1, (2, 2, 5, 7)).clip(0).astype(np.float32)
    guides = padded_guides([[region / region.mean() for region in picture] for picture in weights], 2)
    target = tf.nest.map_structure(lambda *parts: tf.stack(parts, axis=1), *(target_of(region) for region in styles))
    loss = Sliced()

    def term(x):
        return tf.reduce_sum(loss.loss(loss.statistics(x, guides), target, DRAW), axis=1)

    def expected(x, index):
        return sum(
            reference.sliced_loss_layer(x, [(s[index], w) for s, w in region], DRAW[index], "sum", weights[index, r])
            for r, region in enumerate(styles)
        )

    check(term, expected, batch((5, 7), seed=4))


def test_at_equal_sizes_sorted_projections_are_compared():
    """The printed form of the loss."""
    x, y = batch((5, 7), seed=4), batch((5, 7), seed=5)
    found = Sliced().loss(
        Sliced().statistics(tf.constant(x, tf.float32)), target_of([(y.astype(np.float32), 1.0)]), DRAW
    )
    for index, value in enumerate(found):
        ends = (np.sort(z[index].reshape(-1, CHANNELS) @ DRAW[index].numpy(), axis=0) for z in (x, y))
        assert float(value) == pytest.approx(np.square(np.subtract(*ends)).mean(axis=0).sum(), rel=1e-5)


def test_points_that_fill_a_batch_up_do_not_count(machine):
    styles, x = styles_of(STYLES["two weighted"]), tf.constant(batch((5, 7), seed=4), tf.float32)
    target, loss = target_of(styles), Sliced()
    filled = target._replace(
        points=tf.pad(target.points, [[0, 0], [0, 0], [0, 5], [0, 0]]),
        weights=tf.pad(target.weights, [[0, 0], [0, 0], [0, 5], [0, 0]]),
    )
    found, wanted = (loss.loss(loss.statistics(x), goal, DRAW) for goal in (filled, target))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_directions_are_unit_vectors_that_depend_on_seed_and_iteration_alone():
    seeds = tf.constant([2**62, 5, 5, 5], tf.int64)
    layers = Sliced().draws(seeds, tf.constant([4, 4, 9, 4]), [3, 6])
    assert [layer.shape.as_list() for layer in layers] == [[4, 3, 3], [4, 6, 6]]
    for layer in layers:
        np.testing.assert_allclose(tf.norm(layer, axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(layer[1], layer[3])
        assert all(np.abs(layer[1] - layer[other]).max() > 0.1 for other in (0, 2))
    alone = Sliced().draws(seeds[2:3], tf.constant([9]), [3, 6])
    for layer, single in zip(layers, alone, strict=True):
        np.testing.assert_array_equal(layer[2], single[0])


def test_directions_point_everywhere_alike():
    (layer,) = Sliced().draws(tf.range(200, dtype=tf.int64), tf.zeros([200], tf.int32), [4])
    vectors = tf.transpose(layer, [0, 2, 1]).numpy().reshape(-1, 4)
    assert np.abs(vectors.mean(axis=0)).max() < 0.06
    np.testing.assert_allclose(vectors.T @ vectors / len(vectors), np.eye(4) / 4, atol=0.03)


def test_a_large_layer_is_transported_alike_on_both_machines():
    random = np.random.default_rng(0)
    values = random.normal(size=(2, 1, 3, 5000)).astype(np.float32)
    target = random.normal(1, 2, size=(2, 1, 3, 3500)).astype(np.float32)
    weights, masses = random.uniform(0, 1, (2, 1, 5000)), random.uniform(-0.5, 1, (2, 1, 3500)).clip(0)
    arguments = (values, weights.astype(np.float32), target, masses.astype(np.float32))
    np.testing.assert_allclose(
        transport.in_graph(*map(tf.constant, arguments)), transport.on_cpu(*arguments), atol=1e-4
    )
