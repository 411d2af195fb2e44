"""docs/architecture.md names files that exist, and every folder of the packages."""

import re

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = ("stylecore", "transforms", "pipeline")


def test_every_file_that_it_names_exists():
    named = re.findall(rf"`((?:{'|'.join(PACKAGES)}|tests|docs|benchmarks)/[\w./-]*)`", PAGE)
    assert len(named) >= 12
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_its_tree_has_every_folder_and_every_file_at_the_top_of_a_package():
    tree = PAGE.split("## The tree", 1)[1].split("\n## ", 1)[0]
    for package in PACKAGES:
        for path in sorted((ROOT / package).iterdir()):
            if path.name.startswith("_") or path.name == "py.typed" or path.name.startswith("."):
                continue
            assert path.name + ("/" if path.is_dir() else "") in tree, path
