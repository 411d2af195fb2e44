"""Small inputs and one small finished job, shared by the tests."""

import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.run import run
from tests.support.gcs_emulator import emulator, quick_retries  # noqa: F401

TINY = {
    "weights": "random:1",
    "image_size": 48,
    "iterations": 5,
    "content_layers": ["conv2_2"],
    "style_layers": ["conv1_1", "conv2_1"],
}
SHARED = Path(__file__).resolve().parents[2] / "shared"


def paint(path: Path, height: int, width: int, seed: int) -> Path:
    """Writes a picture of a few large coloured patches."""
    patches = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder with content.png (60x80), tall.png (80x50), style_a.png and style_b.png."""
    paint(tmp_path / "content.png", 60, 80, 1)
    paint(tmp_path / "tall.png", 80, 50, 2)
    paint(tmp_path / "style_a.png", 64, 64, 3)
    paint(tmp_path / "style_b.png", 50, 70, 4)
    return tmp_path


def write_manifest(path: Path, rows: list[dict]) -> str:
    """Writes rows as a manifest; configurations as JSON."""
    table = pa.Table.from_pylist([{**row, "config": json.dumps(row.get("config", TINY))} for row in rows])
    pq.write_table(table, path)
    return str(path)


def metrics_of(output: Path) -> list[dict]:
    """The metrics rows of an output directory."""
    return [row for path in sorted((output / "metrics").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


@pytest.fixture(scope="session")
def finished_job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """manifest.parquet of 4 good rows, a duplicate and a row without its image, and output/ of its job."""
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
    return Path(shutil.copytree(finished_job / "output", tmp_path / "small_output"))
