"""What --setup_file stages: an environment made from it alone can import every module and has the data files."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from apache_beam.runners.portability.stager import Stager

from tests.support.paths import ROOT

# A checkout on PYTHONPATH would be found before what is installed.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
PACKAGES = ("stylecore", "transforms", "pipeline")
# In the environment itself: every module by name, where it came from, what its package has beside modules.
SURVEY = """
import importlib, json, os, pkgutil, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
found = {}
for package in sys.argv[1:]:
    root = importlib.import_module(package)
    names = [m.name for m in pkgutil.walk_packages(root.__path__, package + ".") if not m.name.endswith("__main__")]
    found |= {name: importlib.import_module(name).__file__ for name in [package, *names]}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment: the sdist installed, its dependencies borrowed from this one, the checkout out of reach."""
    folder = tmp_path_factory.mktemp("sdist")
    checkout = folder / "checkout"
    checkout.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, checkout / package, ignore=shutil.ignore_patterns("__pycache__"))
    sdist = Stager._build_setup_package(str(checkout / "setup.py"), str(folder / "staged"))
    shutil.rmtree(checkout)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "environment"], check=True)
    python = folder / "environment" / "bin" / "python"
    here, there = (json.loads(subprocess.check_output([p, "-c", _PATHS], env=CLEAN)) for p in (sys.executable, python))
    assert here["purelib"] == sysconfig.get_path("purelib")
    # A path in a .pth file is searched, but its own .pth files, such as that of the editable checkout, are not read.
    (Path(there["purelib"]) / "dependencies.pth").write_text(here["purelib"] + "\n")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--no-build-isolation", sdist], check=True, env=CLEAN, stderr=subprocess.DEVNULL)
    return python, Path(there["purelib"])


_PATHS = "import json, sysconfig; print(json.dumps(sysconfig.get_paths()))"


def test_every_module_can_be_imported(environment, tmp_path):
    python, site = environment
    output = subprocess.check_output([python, "-c", SURVEY, *PACKAGES], cwd=tmp_path, env=CLEAN, text=True)
    found = json.loads(output.splitlines()[-1])
    assert all(Path(file).is_relative_to(site) for file in found.values())
    expected = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__main__.py"
    }
    assert set(found) == expected


def test_data_files_are_in_it(environment):
    _, site = environment
    data = {path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()}
    data = {path for path in data if path.suffix not in (".py", ".pyc")}
    assert {path.suffix for path in data} >= {".js", ".css", ".html"}
    assert not {path for path in data if not (site / path).exists()}


def test_the_command_runs(environment, tmp_path):
    python, _ = environment
    shown = subprocess.check_output([python.parent / "stylebeam", "--help"], cwd=tmp_path, env=CLEAN, text=True)
    assert "run" in shown and "plan" in shown
