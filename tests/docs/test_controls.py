"""docs/controls.md: each control has its section with its picture, and each picture the commit that made it."""

import json
import re

import pytest

from experiments.control_rows import CONTROLS
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "controls.md").read_text()
PICTURES = ROOT / "docs" / "controls"


SHOWN = re.findall(r"\(controls/(\w+)\.webp\)", PAGE)
NOTES = json.loads((PICTURES / "provenance.json").read_text())


def test_the_page_shows_every_row_that_is_made_once_and_no_other():
    assert sorted(SHOWN) == sorted(path.stem for path in PICTURES.glob("*.webp")) == sorted(NOTES)
    assert {*SHOWN} <= {control.name for control in CONTROLS}


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_every_control_has_its_command(control):
    assert f"(controls/{control.name}.webp)" in PAGE or f"`python -m experiments.controls {control.name}`" in PAGE


@pytest.mark.parametrize("control", [c for c in CONTROLS if c.name in SHOWN], ids=lambda control: control.name)
def test_every_picture_is_small_and_has_the_commit_that_made_it(control):
    assert (PICTURES / f"{control.name}.webp").stat().st_size < 250_000
    assert NOTES[control.name].keys() == {cell.label for cell in control.cells}
    assert all(re.fullmatch("[0-9a-f]{40}", note["commit"]) for note in NOTES[control.name].values())
