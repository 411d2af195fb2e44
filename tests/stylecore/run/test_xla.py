"""Steps that XLA compiles whole, loop and optimiser and targets included, against those that TensorFlow runs.

In a process of their own: XLA does not go together with the deterministic operations of other tests.
"""

import subprocess
import sys

from tests.support.paths import ROOT

COMMON = """
import sys
import time

import numpy as np
import tensorflow as tf

from stylecore.config.style_config import StyleConfig
from stylecore.networks.weights.sources import random_network
from stylecore.planning.buckets import step_kind
from stylecore.planning.room import UNLIMITED, Room
from stylecore.run import engine as engine_module
from stylecore.run.engine import Engine
from tests.support.small_problems import problem, run

network = random_network("vgg19", 0)
SMALL = {"content_layers": ["conv1_2"], "style_layers": ["conv1_1"], "learning_rate": 1.0}


def made(iterations=4, **settings):
    return [problem(image, 18, 14, **SMALL | settings, iterations=iterations + image) for image in range(2)]


def engines(problems, room=UNLIMITED):
    kind = step_kind(problems[0].config, "0", problems[0].has_regions)
    return [Engine(kind, network, xla=xla, room=room) for xla in (False, True)]
"""

SAME = """
cases = {
    "adam": {},
    "lbfgs": {"optimizer": "lbfgs", "history_size": 3},
    "spectral": {"optimizer": "lbfgs", "history_size": 3, "precondition": "spectral"},
    "sliced": {"style_loss": "sliced"},
    "gaussian": {"style_loss": "gaussian"},
    "softmax and average pooling": {"feature_map": "softmax", "pooling": "avg", "average_decay": 0.5},
    "early stop": {"early_stop_window": 2, "early_stop_tolerance": 0.99},
}
for name, settings in cases.items():
    began = time.monotonic()
    problems = made(**settings)
    plain, compiled = engines(problems)
    for ours, theirs in zip(run(compiled, problems), run(plain, problems), strict=True):
        assert ours.error is None and ours.stop_reason == theirs.stop_reason, (name, ours.error)
        np.testing.assert_allclose(ours.history, theirs.history, rtol=1e-3, err_msg=name)
    print(name, round(time.monotonic() - began, 1), file=sys.stderr)
"""

WHOLE = """
problems = made(iterations=5)
_, compiled = engines(problems)
constants, state = compiled.constants(problems), compiled.start(problems)
function = compiled.compiled_advance(state, constants, 3)
program = function.experimental_get_compiler_ir(state, constants, tf.constant(3))(stage="hlo")
assert "convolution" in program and "sqrt" in program  # The objective; Adam.

engine_module._RECORDS = 4
ends, numbers, losses = compiled.advance(state, constants, 3)
assert numbers.numpy().tolist() == [[0, 0], [1, 1], [2, 2]]
ends, numbers, losses = compiled.advance(ends, constants, 9)  # More than there is room for; both end before.
assert numbers.numpy().tolist() == [[3, 3], [4, 4], [5, 5], [-1, 6]]
assert losses.total.shape == (4, 2) and np.all(losses.total.numpy() > 0)
assert compiled.compiled_advance(state, constants, 3) is compiled.compiled_advance(state, constants, 9)
"""

TARGETS = """
for precision in ("float32", "bfloat16"):
    problems = made(precision=precision)
    plain, compiled = engines(problems)
    targets = [engine.constants(problems).targets for engine in (plain, compiled)]
    for ours, theirs in zip(*map(tf.nest.flatten, targets), strict=True):
        tolerance = 1e-5 if precision == "float32" else 2e-2
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())
    # A run that begins at its content is at its content's target.
    _, _, losses = compiled.advance(compiled.start(problems), compiled.constants(problems), 1)
    scale = np.square(targets[1].content[0]).sum(axis=(1, 2, 3))
    print(precision, losses.content.numpy()[0] / scale, file=sys.stderr)
    assert np.all(losses.content.numpy()[0] <= 1e-10 * scale)
"""

ROOMS = """
problems = made()
whole, _ = engines(problems)
for room in (Room(tile_px=64), Room(1)):
    _, compiled = engines(problems, room)
    np.testing.assert_allclose(
        [result.loss_total for result in run(compiled, problems)],
        [result.loss_total for result in run(whole, problems)],
        rtol=1e-3,
    )
"""


def in_a_process(code):
    subprocess.run([sys.executable, "-c", COMMON + code], check=True, cwd=ROOT)


def test_the_loop_computes_the_same():
    in_a_process(SAME)


def test_the_loop_is_one_program_and_takes_as_many_evaluations_as_it_is_asked_for():
    in_a_process(WHOLE)


def test_targets_round_as_the_pictures_do():
    in_a_process(TARGETS)


def test_pictures_in_tiles_run_too():
    in_a_process(ROOMS)
