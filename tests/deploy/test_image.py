"""The Dockerfile, as far as can be seen without Docker: lint, sources, versions, and what its pip step resolves."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

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


def needed():
    """The requirements of StyleBeam with its GPU extra, and of all that it needs; CUDA's wheels need one another."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["gpu"])]
    found: dict[str, Requirement] = {}
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in found:
            continue
        found[str(requirement)] = requirement
        if not requirement.name.startswith("nvidia-"):
            waiting += required_by(requirement)
    return list(found.values())


def required_by(requirement):
    """What the installed version of a package requires here, with the extras that were asked for."""
    texts = importlib.metadata.requires(requirement.name) or []
    extras = ("", *requirement.extras)
    return [
        part
        for part in map(Requirement, texts)
        if part.marker is None or any(part.marker.evaluate({"extra": extra}) for extra in extras)
    ]


def test_the_pip_step_resolves_to_the_constraints_alone():
    """Every package that it installs has a pin, which satisfies all that require it: none would float."""
    assert PIP[0].startswith('install --no-cache-dir --constraint constraints.txt ".[gpu]" && pip check')
    pinned = pins()
    requirements = needed()
    assert {"tensorflow", "apache-beam", "google-apitools", "nvidia-cudnn-cu12"} <= {part.name for part in requirements}
    for part in requirements:
        name = canonicalize_name(part.name)
        assert name in pinned, f"{part} has no pin"
        assert part.specifier.contains(pinned[name], prereleases=True), f"{part}: {pinned[name]} does not fit"
        # What it requires was read from this very version.
        assert name.startswith("nvidia-") or importlib.metadata.version(name) == pinned[name]


def test_what_is_compiled_comes_in_wheels():
    """A slim image has no compiler. What pip has compiled on this machine has the tag of no distributor."""
    names = {part.name for part in needed() if not part.name.startswith("nvidia-")}
    files = {name: importlib.metadata.distribution(name).read_text("WHEEL") or "" for name in names}
    compiled = {name: text for name, text in files.items() if "Root-Is-Purelib: false" in text}
    assert "tensorflow" in compiled
    assert [name for name, text in compiled.items() if re.search(r"^Tag: .*-linux_", text, re.MULTILINE)] == []
