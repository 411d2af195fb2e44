"""The names that stylecore exports, and what stylize refuses."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import stylecore
from stylecore import Style, StyleConfig, api, stylize
from stylecore.planning.batches import CPU_BATCH, GPU_BATCH
from stylecore.planning.buckets import bucket_of
from stylecore.planning.room import Room
from tests.support.paths import ROOT
from tests.support.small_problems import problem


def test_every_exported_name_is_there():
    for name in stylecore.__all__:
        assert getattr(stylecore, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'stylise'"):
        _ = stylecore.stylise


def test_a_configuration_loads_neither_tensorflow_nor_beam():
    code = (
        "import sys, stylecore; stylecore.StyleConfig(seed=3);"
        "assert not {'tensorflow', 'keras', 'apache_beam'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_lists_of_different_lengths_are_refused():
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="contents, styles and configs must be as many, got 2, 1 and 1"):
        stylize([image, image], [image], [StyleConfig()])
    with pytest.raises(ValueError, match="contents and initials must be as many, got 1 and 2"):
        stylize([image], [image], [StyleConfig()], initials=[None, image])
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        stylize([image], [image], [StyleConfig()], batch_size=0)


def test_initial_pictures_and_styles_of_their_own_scale_reach_the_problem():
    image, initial = np.zeros((8, 8, 3), np.uint8), np.full((4, 4, 3), 77, np.uint8)
    shallow: Any = {"weights": "random:1", "content_layers": ["conv1_1"], "style_layers": ["conv1_1"], "iterations": 0}
    configs = [StyleConfig(init=init, style_fit="keep", **shallow) for init in ("image", "image", "content")]
    styles = (Style(image, scale=0.5), image, image)
    started, *refused = stylize([image] * 3, styles, configs, None, [initial, None, initial])
    np.testing.assert_array_equal(started.image, np.full((8, 8, 3), 77))
    assert [str(result.error) for result in refused] == [
        "init must be noise, content or style without initial, got image",
        "init must be image with initial, got content",
    ]


def batches_of(*iterations, height=40):
    bucket = bucket_of(StyleConfig(), "0", height, 32)
    members = [(index, problem(height=height, iterations=count)) for index, count in enumerate(iterations)]
    return list(api._sliced(bucket, members, len(members)))


def indices(batches):
    return [batch.indices for batch in batches]


def test_batches_are_halved_until_every_device_has_one():
    few = batches_of(1, 1, 1, 1, 1)
    assert indices(api._for_every_device(few, 1)) == [(0, 1, 2, 3, 4)]
    assert sorted(indices(api._for_every_device(few, 2))) == [(0, 1, 2), (3, 4)]
    assert sorted(indices(api._for_every_device(few, 8))) == [(0,), (1,), (2,), (3,), (4,)]
    longer_first = api._for_every_device([*batches_of(1, 1), *batches_of(9, 9, height=48)], 3)
    assert [len(batch.problems) for batch in longer_first] == [1, 1, 2]
    enough = [*batches_of(1, 1), *batches_of(9, 9, 9)]
    assert indices(api._for_every_device(enough, 1)) == [(0, 1), (0, 1, 2)]
    assert indices(api._for_every_device(enough, 2)) == [(0, 1, 2), (0, 1)]


def test_a_batch_is_as_large_as_the_device_and_its_hungriest_picture_let_it_be():
    members = [(0, problem(optimizer="lbfgs", history_size=pairs)) for pairs in (2, 100)]
    bucket = bucket_of(members[0][1].config, "0", 40, 32)
    assert api._batch_size(CPU_BATCH, Room(), bucket, members) == 64
    assert api._batch_size(GPU_BATCH, Room(), bucket, members) == 2**22 // (40 * 32)
    alone = api._batch_size(GPU_BATCH, Room(10**10), bucket, members[:1])
    assert 64 < api._batch_size(GPU_BATCH, Room(10**10), bucket, members) < alone


TWO_DEVICES = """
import threading
import numpy as np
import tensorflow as tf
from stylecore import StyleConfig, api, stylize
from stylecore.run import devices
from tests.support.pictures import gradient
from tests.support.small_problems import SHALLOW

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
contents = [gradient(40, 32, number) for number in range(4)] + [gradient(1, 1, 4)]  # The last is too small.
styles, configs = [gradient(32, 40, 9)] * 5, [StyleConfig(**SHALLOW)] * 5
alone = stylize(contents, styles, configs, batch_size=2)

names = ["/device:CPU:0", "/device:CPU:1"]
devices.device_names = lambda: names
used, told, made = set(), [], api.get_engine


def watched(kind, load, device, room):
    used.add((device, threading.current_thread().name.split("_")[0]))
    engine = made(kind, load, device, room=room)
    assert all(weight.value.device.endswith(device) for weight in engine._network.weights)
    return engine


api.get_engine = watched
spread = stylize(contents, styles, configs, on_progress=lambda state: told.append(threading.current_thread()))
assert used >= {(name, "device") for name in names}, used
assert set(told) == {threading.main_thread()} and len(told) >= 2
for ours, theirs in zip(spread[:4], alone[:4], strict=True):
    np.testing.assert_array_equal(ours.image, theirs.image)
    assert ours.history == theirs.history
assert "too small" in str(spread[4].error) == str(alone[4].error)


def refuse(state):
    raise KeyError("enough")


try:
    stylize(contents, styles, configs, on_progress=refuse)
except KeyError:
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("device")]
else:
    raise AssertionError("not raised")
"""


def test_two_devices_compute_the_pictures_of_one():
    subprocess.run([sys.executable, "-c", TWO_DEVICES], check=True, cwd=ROOT)
