"""The page on configuration names every field with its default, and every preset."""

import re

from stylecore.config.presets import PRESETS
from stylecore.config.style_config import field_kinds
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "configuration.md").read_text()


def first_cells(heading):
    section = PAGE.split(heading, 1)[1].split("\n## ", 1)[0]
    return {name for line in section.splitlines() if line.startswith("| `") for name in names(line)}


def names(line):
    return re.findall(r"`([a-z_0-9]+)`", line.split("|")[1])


def test_every_field_is_documented_and_no_other():
    assert first_cells("# Configuration") == set(field_kinds())


def test_every_preset_is_documented_and_no_other():
    assert first_cells("## Presets") == set(PRESETS)
