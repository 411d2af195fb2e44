"""Errors of use share a base class; messages are one line and name the nearest name."""

import pickle
import subprocess
import sys

import pytest

from pipeline.clean import CleanError
from pipeline.dataflow.estimates import PriceError
from pipeline.grid import SpecError
from pipeline.options import OptionError
from stylecore.config.style_config import ConfigError
from stylecore.errors import UsageError, hint, nearest, one_line
from stylecore.images.codec import ImageError
from stylecore.networks.weights.sources import WeightsError
from transforms.manifest.files import ManifestError
from transforms.output.storage import NotFoundError, StorageError

ERRORS = {
    CleanError: RuntimeError,
    PriceError: ValueError,
    SpecError: ValueError,
    OptionError: ValueError,
    ConfigError: ValueError,
    ImageError: ValueError,
    WeightsError: RuntimeError,
    ManifestError: ValueError,
    StorageError: OSError,
    NotFoundError: OSError,
}


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_of_use_keep_their_other_base_and_their_message(kind):
    error = pickle.loads(pickle.dumps(kind("a.png: not found")))
    assert isinstance(error, UsageError) and isinstance(error, ERRORS[kind])
    assert str(error) == "a.png: not found"


def test_a_text_becomes_one_line():
    assert one_line(ValueError(" two\n\tlines  here ")) == "two lines here"
    assert one_line("abcdef", 3) == "abc"


def test_the_nearest_name():
    assert nearest("itrations", ["iterations", "seed"]) == "iterations"
    assert nearest("zzz", ["iterations", "seed"]) is None
    assert nearest("conv9_9", ["block1_conv1"], cutoff=0) == "block1_conv1"


def test_the_hint_names_one_or_all():
    assert hint("sead", ["iterations", "seed"], "fields") == ", did you mean 'seed'?"
    assert hint("zzz", ["iterations", "seed"], "fields") == "; the fields are iterations, seed"


def test_the_module_is_light():
    code = "import sys, stylecore.errors; assert not {'tensorflow', 'keras', 'apache_beam'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
