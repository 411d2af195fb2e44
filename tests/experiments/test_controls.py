"""The rows of pictures of docs/controls.md: valid, and made again only where they are missing."""

import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from experiments import control_rows, controls
from experiments.control_rows import CONTROLS, CUP, TABLE, mask_images
from pipeline.cli.main import main
from pipeline.grid import write_grid
from tests.support.paths import ROOT
from tests.support.pictures import paint
from tests.support.simulated import simulate_engines
from transforms.manifest.files import open_manifest, read_slice
from transforms.manifest.parse import parse_row

TINY = {"weights": "random:1", "image_size": 32, "iterations": 2, "pyramid": [], "precision": "float32"}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Small pictures under the names of the real ones, and the masks."""
    folder = tmp_path_factory.mktemp("controls") / "inputs"
    for name in ("COFFEE", "CHELSEA", "ROCKET", "FLOW", "FORMS", "WAVES"):
        path = folder / getattr(control_rows, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        paint(path, 32, 48, len(name))
    controls.write_additions(folder)
    return folder


def rows_of(manifest):
    opened = open_manifest(str(manifest))
    return [parse_row(values, 0, 0, str(manifest)) for part in opened.slices for values in read_slice(part)]


def test_every_row_is_valid_and_every_label_its_own(inputs, tmp_path):
    controls.write_manifest(CONTROLS, inputs, tmp_path / "m.parquet")
    rows = rows_of(tmp_path / "m.parquet")
    assert len(rows) == sum(len(control.cells) for control in CONTROLS)
    for row in rows:
        assert all((inputs / uri).is_file() for uri in row.image_uris())
    for control in CONTROLS:
        labels = [*control.inputs, *(cell.label for cell in control.cells)]
        assert len(set(labels)) == len(labels) <= 6
        assert all((inputs / path).is_file() for path in control.inputs.values())


def test_the_masks_complete_each_other():
    masks = {path: np.asarray(mask, float) for path, mask in mask_images().items()}
    np.testing.assert_allclose(masks[CUP] + masks[TABLE], 255, atol=1)
    assert 0.2 < masks[CUP].mean() / 255 < 0.6


def test_a_rerun_makes_only_what_is_missing_and_notes_whose_commit_made_it(inputs, tmp_path, monkeypatch):
    simulate_engines(monkeypatch)
    shown = [control for control in CONTROLS if control.name in ("initial", "average_decay")]
    made = controls.Made(inputs, tmp_path / "output", tmp_path / "pictures", TINY)
    monkeypatch.setattr(controls, "commit", lambda: "first")
    assert controls.make(shown[:1], made) == []
    before = (tmp_path / "pictures" / "initial.webp").read_bytes()
    monkeypatch.setattr(controls, "commit", lambda: "second")
    assert controls.make(shown, made) == []
    notes = json.loads((tmp_path / "pictures" / "provenance.json").read_text())
    commits = {name: {note["commit"] for note in notes[name].values()} for name in notes}
    assert commits == {"initial": {"first"}, "average_decay": {"second"}}
    assert (tmp_path / "pictures" / "initial.webp").read_bytes() == before
    with Image.open(tmp_path / "pictures" / "average_decay.webp") as picture:
        assert picture.format == "WEBP" and picture.width > 4 * 32
    assert str(tmp_path) not in json.dumps(notes)


def test_the_grid_sweeps_colour_style_loss_and_region_and_can_be_planned(inputs, tmp_path, capsys):
    shutil.copy(ROOT / "experiments" / "controls.yaml", inputs.parent)
    write_grid(str(inputs.parent / "controls.yaml"), str(tmp_path / "m.parquet"), {"weights": "random:1"})
    rows = rows_of(tmp_path / "m.parquet")
    axes = {(row.config.color, row.config.style_loss, len(row.styles)) for row in rows}
    assert len(axes) == len(rows) == pq.read_metadata(tmp_path / "m.parquet").num_rows == 3 * 3 * 2
    assert all((inputs.parent / uri).is_file() for row in rows for uri in row.image_uris())
    assert main(["plan", "--manifest", str(tmp_path / "m.parquet")]) == 0
    assert "runs: 18 distinct" in capsys.readouterr().out
