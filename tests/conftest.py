"""Small inputs and one small finished job, shared by the tests.

Fixtures import what they need themselves: a test of a configuration loads neither Beam nor TensorFlow.
"""

import functools
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import stylecore  # noqa: F401 - first of all, before TensorFlow: see stylecore/kernels.py
from tests.support import quick_jobs
from tests.support.inputs import TINY, write_manifest
from tests.support.paths import copied
from tests.support.pictures import paint, paint_halves

# What `stylebeam run` may fetch or find on a machine, a test without these markers does not.
OUTSIDE = ("imagenet", "index")
REACH = ("PIP_NO_INDEX", "PIP_FIND_LINKS", "XDG_CACHE_HOME")
_here = {name: os.environ.get(name) for name in REACH}
_cache = tempfile.TemporaryDirectory(prefix="stylebeam_cache_")
_nowhere = {"PIP_NO_INDEX": "1", "XDG_CACHE_HOME": _cache.name}

if TYPE_CHECKING:
    from tests.support.gcs_emulator import Emulator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Lets marked tests reach the package index and the user's cache, and no others."""
    is_outside = any(item.get_closest_marker(name) for name in OUTSIDE)
    for name, value in (_here if is_outside else {**dict.fromkeys(REACH), **_nowhere}).items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def pytest_collection_finish() -> None:
    """Makes each network of random weights, and its file, once a process, and has Beam prepare small jobs quicker."""
    quick_jobs.install()
    for module, name, kept in (
        ("stylecore.networks.weights.sources", "random_network", 4),
        ("transforms.output.published_weights", "network_bytes", 1),
    ):
        if loaded := sys.modules.get(module):
            setattr(loaded, name, functools.lru_cache(kept)(getattr(loaded, name)))


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder with content.png (60x80), tall.png (80x50), style_a.png, style_b.png, and masks left.png, right.png."""
    paint(tmp_path / "content.png", 60, 80, 1)
    paint_halves(tmp_path / "left.png", tmp_path / "right.png", 60, 80)
    paint(tmp_path / "tall.png", 80, 50, 2)
    paint(tmp_path / "style_a.png", 64, 64, 3)
    paint(tmp_path / "style_b.png", 50, 70, 4)
    return tmp_path


@pytest.fixture(scope="session")
def finished_job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """manifest.parquet of 4 good rows, a duplicate and a row without its image, and output/ of its job."""
    from pipeline.run import run

    folder = tmp_path_factory.mktemp("job")
    for name, seed in (("content", 1), ("style_a", 3), ("style_b", 4)):
        paint(folder / f"{name}.png", 60, 80, seed)
    rows = [
        {
            "content": "content.png",
            "style": style,
            "config": {**TINY, "content_weight": weight},
            "split": "train" if weight > 1e4 else "test",
            "label": index,
        }
        for index, (style, weight) in enumerate((s, w) for s in ("style_a.png", "style_b.png") for w in (1e5, 1e4))
    ]
    rows += [dict(rows[0]), {**rows[0], "content": "missing.png"}]
    run(["--manifest", write_manifest(folder / "manifest.parquet", rows), "--output", str(folder / "output")])
    return folder


@pytest.fixture
def small_output(finished_job: Path, tmp_path: Path) -> Path:
    """A copy of the output directory of `finished_job`, to do with as one likes."""
    return copied(finished_job / "output", tmp_path / "small_output")


@pytest.fixture(scope="module")
def emulator() -> Iterator["Emulator"]:
    """Cloud Storage on loopback, which Beam and google-cloud-storage of this process talk to."""
    pytest.importorskip("gcp_storage_emulator", reason="NOT RUN: gcp-storage-emulator is not installed")
    from tests.support.gcs_emulator import running

    with running() as server:
        yield server


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses between attempts begin at 10 ms instead of a second, so that storms take seconds."""
    from tests.support.gcs_emulator import retry_policies

    for policy in retry_policies():
        monkeypatch.setattr(policy, "_initial", 0.01)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """Playwright, once for all browsers of a process; None where it is not installed."""
    if importlib.util.find_spec("playwright") is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        yield running
