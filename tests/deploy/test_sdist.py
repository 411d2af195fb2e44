"""What --setup_file stages: an environment made from it alone can import every module and has the data files."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from apache_beam.runners.portability.stager import Stager

from deploy.cluster import build_sdist, clean_environment, make_environment
from tests.support.paths import ROOT

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
    python = make_environment(folder / "environment", Path(sdist))
    site = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    assert Path(site.strip()).is_relative_to(folder / "environment")
    return python, Path(site.strip())


def test_every_module_can_be_imported(environment, tmp_path):
    python, site = environment
    output = subprocess.check_output(
        [python, "-c", SURVEY, *PACKAGES], cwd=tmp_path, env=clean_environment(), text=True
    )
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
    shown = subprocess.check_output(
        [python.parent / "stylebeam", "--help"], cwd=tmp_path, env=clean_environment(), text=True
    )
    assert "run" in shown and "plan" in shown


def test_the_cluster_installs_the_same(environment, tmp_path):
    _, site = environment
    with tarfile.open(build_sdist(tmp_path)) as sdist:
        names = {Path(name).relative_to(Path(name).parts[0]) for name in sdist.getnames()}
    modules = {name for name in names if name.parts[:1] and name.parts[0] in PACKAGES and name.suffix}
    assert modules == {
        path.relative_to(site)
        for package in PACKAGES
        for path in (site / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
