"""The Dockerfile, as far as can be seen without Docker: lint, sources, versions, and what its pip step resolves."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
LINES = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
COPIES = [line.split()[1:] for line in LINES if line.startswith("COPY ") and "--from=" not in line]
PIP = [line.removeprefix("RUN pip ") for line in LINES if line.startswith("RUN pip install")]


def pins():
    """Package -> version, of deploy/constraints.txt for this Python."""
    lines = (DEPLOY / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    here = [pin for pin in pinned if pin.marker is None or pin.marker.evaluate()]
    return {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in here}


def test_the_linter_has_nothing_to_say():
    hadolint = Path(sys.executable).parent / "hadolint"
    found = subprocess.run([hadolint, "--no-color", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_the_linter_would_say_something(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN cd /tmp && pip install numpy\n")
    hadolint = Path(sys.executable).parent / "hadolint"
    assert subprocess.run([hadolint, tmp_path / "Dockerfile"], capture_output=True, check=False).returncode == 1


def test_what_is_copied_exists_and_is_all_that_docker_is_sent():
    sources = {source for *sources, _ in COPIES for source in sources}
    assert all((ROOT / source).exists() for source in sources)
    sent = (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n")
    assert sources == {line.removeprefix("!") for line in sent if line.startswith("!")}
    assert sent.index("*") < min(sent.index(f"!{source}") for source in sources)


def test_no_weights_reach_the_image():
    sources = [ROOT / source for *sources, _ in COPIES for source in sources]
    files = [path for source in sources for path in ([source] if source.is_file() else source.rglob("*"))]
    sizes = [path.stat().st_size for path in files if path.is_file() and path.suffix != ".pyc"]
    assert sizes and max(sizes) < 100_000


def test_python_and_beam_are_those_of_the_constraints():
    text = "\n".join(LINES)
    assert f"FROM apache/beam_python3.11_sdk:{pins()['apache-beam']} AS beam" in text
    assert "FROM python:3.11-slim" in text and "python311-template-launcher-base" in text
    assert set(re.findall(r"python3?\.?(\d\d)(?!\d)", text)) == {"11"}


def test_cuda_is_what_tensorflow_was_built_with():
    required = [Requirement(text) for text in importlib.metadata.requires("tensorflow") or []]
    cuda = [r for r in required if r.marker and r.marker.evaluate({"extra": "and-cuda"}) and "nvidia" in r.name]
    lowest = {canonicalize_name(r.name): s.version for r in cuda for s in r.specifier if s.operator == ">="}
    assert len(lowest) > 10
    assert lowest == {name: version for name, version in pins().items() if name.startswith("nvidia-")}


@pytest.mark.slow
@pytest.mark.index
def test_the_pip_step_resolves_to_the_constraints_alone(tmp_path):
    """With nothing installed, from what has been copied when it runs; a package without a pin would float."""
    context = tmp_path / "context"
    context.mkdir()
    for source in COPIES[0][:-1]:
        shutil.copy(ROOT / source, context)
    assert PIP[0].startswith('install --no-cache-dir --constraint constraints.txt ".[gpu]" && pip check')
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    command += ["--report", str(tmp_path / "report.json"), "--constraint", "constraints.txt", ".[gpu]"]
    subprocess.run(command, cwd=context, check=True, stderr=subprocess.DEVNULL)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["environment"]["python_version"] == "3.11"
    installed = {canonicalize_name(item["metadata"]["name"]): item for item in report["install"]}
    assert {"tensorflow", "apache-beam", "nvidia-cudnn-cu12", "stylebeam"} <= set(installed)
    assert set(installed) - set(pins()) == {"stylebeam"}
    # A slim image has no compiler: what is not a wheel must be plain Python.
    sources = {name for name, item in installed.items() if not item["download_info"]["url"].endswith(".whl")}
    assert sources == {"stylebeam", "google-apitools"}
