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
from stylecore.planning.room import UNLIMITED, Room
from stylecore.run import engine as engine_module
from stylecore.run.engine import Engine
from tests.support.small_problems import problem

# As on a GPU: ranks of the sliced loss are found in the graph, and products keep float32's bits.
tf.config.list_physical_devices = lambda kind=None: ["a GPU"]
network = random_network("vgg19", 0)
SMALL = {"content_layers": ["conv1_2"], "style_layers": ["conv1_1"], "learning_rate": 1.0}


def made(size=(18, 14), **settings):
    return [problem(image, *size, **SMALL | settings, iterations=4 + image) for image in range(2)]


def engines(problems, room=UNLIMITED):
    return [Engine(step_kind(problems[0].config, "0"), network, xla=xla, room=room) for xla in (False, True)]


def one_program(engine, problems):
    state, constants = engine.start(problems), engine.constants(problems)
    function = engine.compiled_advance(state, constants, 3)
    return function.experimental_get_compiler_ir(state, constants, tf.constant(3))(stage="hlo")


cases = [
    ({"average_decay": 0.5, "early_stop_window": 3, "early_stop_tolerance": 1e-9}, UNLIMITED),
    ({"optimizer": "lbfgs", "history_size": 3, "precondition": "spectral"}, UNLIMITED),
    ({"style_loss": "sliced"}, UNLIMITED),
    ({"size": (18, 60)}, Room(tile_px=56)),
]
for settings, room in cases:
    problems = made(**settings)
    (plain, wanted, losses), (xla, found, xla_losses) = (
        engine.advance(engine.start(problems), engine.constants(problems), 7) for engine in engines(problems, room)
    )
    np.testing.assert_array_equal(found, wanted, err_msg=str(settings))
    np.testing.assert_allclose(xla_losses, losses, rtol=1e-3, err_msg=str(settings))
    np.testing.assert_allclose(xla.delivered, plain.delivered, atol=0.5, err_msg=str(settings))
    np.testing.assert_array_equal(xla.status, plain.status, err_msg=str(settings))

problems = made(init="content")
_, compiled = engines(problems)
program = one_program(compiled, problems)
assert " while(" in program and "convolution" in program and "sqrt" in program  # Loop, objective and Adam.

# What XLA computes of the content is compared with what XLA has computed of it.
constants, state = compiled.constants(problems), compiled.start(problems)
engine_module._RECORDS = 4
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
