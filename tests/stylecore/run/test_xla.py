"""Steps that XLA compiles, loop and optimiser and targets included, against those that TensorFlow runs.

In a process of their own: XLA does not go together with the deterministic operations of other tests.
"""

import subprocess
import sys

from tests.support.paths import ROOT

CODE = """
import numpy as np
import tensorflow as tf

from stylecore.networks.weights.sources import random_network
from stylecore.planning.buckets import step_kind
from stylecore.run import engine as engine_module
from stylecore.run.engine import Engine
from tests.support.small_problems import problem

# As on a GPU: ranks of the sliced loss are found in the graph, and products keep float32's bits.
tf.config.list_physical_devices = lambda kind=None: ["a GPU"]
engine_module._RECORDS = 4
network = random_network("vgg19", 0)
SMALL = {"content_layers": ["conv1_2"], "style_layers": ["conv1_1"], "learning_rate": 1.0}


def made(**settings):
    return [problem(image, 18, 14, **SMALL | settings, iterations=4 + image) for image in range(2)]


def engines(problems):
    return [Engine(step_kind(problems[0].config, "0"), network, xla=xla) for xla in (False, True)]


def one_program(engine, problems):
    state, constants = engine.start(problems), engine.constants(problems)
    function = engine.compiled_advance(state, constants, 3)
    return function.experimental_get_compiler_ir(state, constants, tf.constant(3))(stage="hlo")


def compared(settings):
    # Both engines compute the same until all problems end; returns the problems and XLA's engine.
    problems = made(**settings)
    plain, compiled = engines(problems)
    (end, wanted, losses), (xla_end, found, xla_losses) = (
        engine.advance(engine.start(problems), engine.constants(problems), 7) for engine in (plain, compiled)
    )
    np.testing.assert_array_equal(found, wanted, err_msg=str(settings))
    np.testing.assert_allclose(xla_losses[0], losses[0], rtol=1e-3, err_msg=str(settings))
    np.testing.assert_allclose(xla_end.delivered, end.delivered, atol=0.5, err_msg=str(settings))
    np.testing.assert_array_equal(xla_end.status, end.status, err_msg=str(settings))
    return problems, compiled


compared({"optimizer": "lbfgs", "history_size": 3, "precondition": "spectral"})
compared({"style_loss": "sliced", "early_stop_window": 2, "early_stop_tolerance": 1.0})
problems, compiled = compared({"init": "content", "average_decay": 0.5})
program = one_program(compiled, problems)
assert " while(" in program and "convolution" in program and "sqrt" in program  # Loop, objective and Adam.

# What XLA computes of the content is compared with what XLA has computed of it.
constants, state = compiled.constants(problems), compiled.start(problems)
state, numbers, losses = compiled.advance(state, constants, 3)
scale = np.square(constants.targets.content[0]).sum(axis=(1, 2, 3))
assert np.all(losses.content.numpy()[0] <= 1e-12 * scale)
assert all(made._jit_compile for made in vars(*compiled._targets._functions.values()).values())
assert numbers.numpy().tolist() == [[0, 0], [1, 1], [2, 2]]
state, numbers, losses = compiled.advance(state, constants, 9)  # More than there is room for; both end before.
assert numbers.numpy().tolist() == [[3, 3], [4, 4], [-1, 5]]
assert losses.total.shape == (3, 2) and np.all(losses.total.numpy() > 0)
assert compiled.compiled_advance(state, constants, 3) is compiled.compiled_advance(state, constants, 9)
"""


def test_xla_computes_the_same_in_one_program():
    subprocess.run([sys.executable, "-c", CODE], check=True, cwd=ROOT)
