"""docs/controls.md: each control has its section with its picture, and each picture the commit that made it."""

import json
import re

import pytest

from experiments.control_rows import CONTROLS
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "controls.md").read_text()
PICTURES = ROOT / "docs" / "controls"


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_every_control_has_its_section_with_its_picture(control):
    assert f"`{control.name}`" in PAGE or control.name in ("regions", "scale", "initial")
    assert PAGE.count(f"](controls/{control.name}.webp)") == 1


def test_the_page_shows_no_other_picture_and_every_one_has_its_commit():
    shown = re.findall(r"\(controls/(\w+)\.webp\)", PAGE)
    assert sorted(shown) == sorted(control.name for control in CONTROLS)
    notes = json.loads((PICTURES / "provenance.json").read_text())
    for control in CONTROLS:
        assert (PICTURES / f"{control.name}.webp").stat().st_size < 250_000
        assert notes[control.name].keys() == {cell.label for cell in control.cells}
        assert all(re.fullmatch("[0-9a-f]{40}", note["commit"]) for note in notes[control.name].values())
