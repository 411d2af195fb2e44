"""The specifications of docs/grid.md are expanded, and give good rows."""

import re
from pathlib import Path

import pytest

from pipeline.grid import write_grid
from transforms.manifest.files import open_manifest, read_slice
from transforms.manifest.parse import parse_row

PAGE = Path(__file__).parents[2] / "docs" / "grid.md"
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("town", "sea"):
        (tmp_path / "photos" / f"{name}.jpg").touch()
    return tmp_path


@pytest.mark.parametrize(("example", "rows"), zip(EXAMPLES, [3 * 2 * 4 * 2, 2 * 3 * 2 * 2], strict=True))
def test_an_example_gives_good_rows(folder, example, rows):
    (folder / "grid.yaml").write_text(example)
    manifest = str(folder / "m.parquet")
    assert write_grid(str(folder / "grid.yaml"), manifest) == rows
    values = [value for part in open_manifest(manifest).slices for value in read_slice(part)]
    assert len([parse_row(value, number, number, manifest) for number, value in enumerate(values)]) == rows
