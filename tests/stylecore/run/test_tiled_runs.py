"""Runs in tiles: the pictures of whole runs, within the memory that there is, and nothing for runs that fit."""

import numpy as np
import pytest
import tensorflow as tf

from stylecore.networks.weights.sources import random_network
from stylecore.planning.buckets import step_kind
from stylecore.planning.costs import evaluation_cost
from stylecore.planning.room import UNLIMITED, Room
from stylecore.planning.tiles import tile_count, tile_start, usual_cut
from stylecore.run.engine import Engine, _loose_spec
from tests.support.small_problems import problem, run

SIZE = (80, 88)
LAYERS = {"content_layers": ["conv3_1"], "style_layers": ["conv1_1", "conv2_1", "conv3_1"]}
ASKED = Room(tile_px=64)


@pytest.fixture(scope="module")
def network():
    return random_network("vgg19", 0)


def made(iterations=50, **settings):
    return problem(0, *SIZE, **{**LAYERS, "iterations": iterations, **settings})


def engine_of(network, problem, room=UNLIMITED):
    return Engine(step_kind(problem.config, "0"), network, room=room)


def picture(engine, problem, **options):
    (result,) = run(engine, [problem], **options)
    return result.image.astype(np.float64), result.loss_total


def in_batch(engine, problem, size):
    return run(engine, [problem] * size)[0].image.astype(np.float64)


def test_after_50_steps_tiles_differ_by_rounding_and_at_seams_no_more_than_elsewhere(network):
    # At a learning rate of 15, 50 steps blow up any difference of the last bit to several grey levels.
    single = made(learning_rate=1.0, pooling="avg")
    whole, tiled = engine_of(network, single), engine_of(network, single, ASKED)
    (alone, loss), (in_tiles, tiled_loss) = picture(whole, single), picture(tiled, single)
    assert tiled_loss == pytest.approx(loss, rel=1e-4)
    count = tile_count(SIZE[0], 64, usual_cut(tiled.kind).stride)
    seam = tile_start(1, count, SIZE[0], usual_cut(tiled.kind).stride)
    differences = np.abs(in_tiles - alone)
    assert differences.mean() < 0.1  # Of a grey level.
    # Each is a draw of the same rounding. In another arithmetic batches may agree to the bit.
    batches = [np.abs(in_batch(whole, single, size) - alone).mean() for size in (2, 3)]
    assert differences.mean() <= max(2 * max(batches), 0.03)
    assert differences[seam - 4 : seam + 4].mean() <= 2 * max(differences.mean(), 0.01)


@pytest.mark.parametrize("settings", [{"optimizer": "lbfgs"}, {"pyramid": ((0.4, 0.5), (1.0, 0.5))}])
def test_optimisers_and_pyramids_run_in_tiles(network, settings):
    # With max pooling a last bit decides which pixel is the greatest, and a step of 40 grey levels shows it.
    single = made(6, pooling="avg", **settings)
    tiled = engine_of(network, single, ASKED)
    assert picture(tiled, single)[1] == pytest.approx(picture(engine_of(network, single), single)[1], rel=1e-3)
    assert tiled.traces == (2 if "pyramid" in settings else 1)  # The coarse stage fits into one tile, and is whole.


def test_tiles_are_chosen_by_memory(network):
    single = made(2)
    whole = evaluation_cost(step_kind(single.config, "0"), *SIZE).bytes_held
    engine = engine_of(network, single, Room(whole // 3))
    picture(engine, single)
    ((tiles, step),) = ((tiles, step) for (tiles, _), step in engine._steps.items() if step.advance)
    assert tiles is not None and step.measure


def operations(engine, problem):
    constants = engine.constants([problem])
    arguments = (tf.constant(problem.initial[np.newaxis]), constants.targets, constants.weights)
    step = engine._step_for(arguments[0], constants)
    specs = tf.nest.map_structure(_loose_spec, arguments)
    return [node.type for node in step.value_and_gradient.get_concrete_function(*specs).graph.get_operations()]


def test_what_fits_has_no_operation_of_tiles(network):
    single = made(1)
    whole = operations(engine_of(network, single, Room(10**12, tile_px=256)), single)
    assert whole == operations(engine_of(network, single), single)
    assert not {"While", "StatelessWhile", "TensorStridedSliceUpdate"} & {*whole}
    assert {"While", "StatelessWhile"} & {*operations(engine_of(network, single, ASKED), single)}
