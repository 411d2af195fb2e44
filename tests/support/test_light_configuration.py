"""Testing a configuration loads neither Beam nor TensorFlow: conftest and the tests of stylecore/config stay light."""

import os
import subprocess
import sys

from tests.support.paths import ROOT

# Runs pytest in its own process, so that sys.modules shows afterwards what the tests imported.
RUN = """
import sys, pytest
status = pytest.main(["-q", "-p", "no:cacheprovider", "tests/stylecore/config"])
print("LOADED", *sorted({"apache_beam", "tensorflow", "keras"} & sys.modules.keys()))
sys.exit(status)
"""


def test_testing_a_configuration_loads_neither_beam_nor_tensorflow():
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    done = subprocess.run(
        [sys.executable, "-c", RUN], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].split() == ["LOADED"]
