"""How often L-BFGS passes over its history in an evaluation: counted in its graph, and where its buffers lie."""

import math

import pytest
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.optimizers.lbfgs import Lbfgs

BATCH, PAIRS, SHAPE = 2, 20, (12, 10, 3)
# A picture-sized tensor of each pair: s or y of all pairs.
HISTORY = BATCH * PAIRS * math.prod(SHAPE)

# Their results lie where their inputs do.
_SAME_BUFFER = {"Identity", "Reshape", "ExpandDims", "Squeeze", "Bitcast", "StopGradient"}
# They read as much as they write, not all of their input.
_READS_A_PART = {"GatherNd", "GatherV2", "StridedSlice", "Shape"}
# They write a part of their input's buffer where nothing else reads it: see the last test.
_IN_PLACE = {"ScatterNdNonAliasingAdd"}


def graphs_of(graph):
    """Yields a graph and those of the functions that it calls."""
    yield graph
    for name in graph._functions:
        yield from graphs_of(graph._get_function(name).graph)


def passes(graph):
    """Returns how often a picture-sized tensor of a pair is read or written, s and y counted each."""
    count = 0
    for part in graphs_of(graph):
        for operation in part.get_operations():
            count += values_moved(operation) / HISTORY
    return count


def values_moved(operation):
    """Returns the values of the history that an operation reads and writes, each tensor once."""
    if operation.type in _SAME_BUFFER | _IN_PLACE | {"Placeholder", "NoOp"}:
        return 0
    read = [] if operation.type in _READS_A_PART else operation.inputs
    sizes = [tensor.shape.num_elements() for tensor in (*read, *operation.outputs)]
    assert None not in sizes, operation
    return sum(size for size in sizes if size >= HISTORY)


def graph_of_an_evaluation(precondition):
    images = tf.zeros([BATCH, *SHAPE])
    parameters = Lbfgs.parameters([StyleConfig(optimizer="lbfgs", precondition=precondition)] * BATCH)
    prepared = Lbfgs.prepared(parameters, images)
    state = Lbfgs.init(images, parameters)
    step = tf.function(lambda *given: Lbfgs.propose(given[0], prepared, *given[1:]))
    return step.get_concrete_function(state, images, tf.zeros([BATCH]), images).graph


@pytest.mark.parametrize("precondition", ["none", "spectral"])
def test_eleven_passes_at_most(precondition):
    assert passes(graph_of_an_evaluation(precondition)) <= 11


def test_an_evaluation_makes_no_cosines():
    assert not [
        one
        for part in graphs_of(graph_of_an_evaluation("spectral"))
        for one in part.get_operations()
        if one.type == "Cos"
    ]


def test_the_history_stays_where_it_is():
    """In a loop, of which the first round alone copies what the caller holds."""
    parameters = Lbfgs.parameters([StyleConfig(optimizer="lbfgs")] * BATCH)
    with tf.Graph().as_default():
        start = tf.random.stateless_uniform([BATCH, *SHAPE], [0, 0], 60.0, 190.0)

        def evaluate(done, state, images):
            total = tf.reduce_sum(tf.square(images - 128.0), axis=[1, 2, 3])
            proposal = Lbfgs.propose(state, parameters, images, total, 2.0 * (images - 128.0))
            return done + 1, proposal.state, proposal.images

        loop = tf.while_loop(lambda done, *_: done < 6, evaluate, (0, Lbfgs.init(start, parameters), start))
        with tf.compat.v1.Session() as session:
            traced = tf.compat.v1.RunMetadata()
            options = tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE)
            session.run(loop, options=options, run_metadata=traced)
    nodes = [node for device in traced.step_stats.dev_stats for node in device.node_stats]
    written = [
        output.tensor_description.allocation_description.ptr
        for node in nodes
        if "ScatterNdNonAliasingAdd" in node.node_name
        for output in node.output
    ]
    assert len(written) == 4 * 6
    assert len(set(written)) == 2
