"""The image's own test tells what works from what does not, here on a machine without a GPU."""

import tensorflow as tf

from deploy import smoke_test
from stylecore import StyleConfig
from tests.support.inputs import TINY


def test_a_picture_is_made_and_xla_compiles():
    assert smoke_test.check_picture(StyleConfig.from_dict(TINY)).startswith("5 iterations, loss ")
    assert smoke_test.check_xla().startswith("compiled, on device:")


def test_what_is_missing_is_named_and_the_rest_is_tried(capsys, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
    monkeypatch.setattr(smoke_test, "check_picture", passes)
    assert smoke_test.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["FAILED", "FAILED", "ok", "ok"]
    assert "/opt/apache/beam/boot" in lines[0] and "TensorFlow sees no GPU" in lines[1]


def passes():
    return "made"
