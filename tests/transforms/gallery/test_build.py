"""write_gallery: what the page is called, and what its choices belong to."""

import json
import re
from pathlib import Path

import pytest

from tests.support.gallery_rows import grid_rows
from transforms.gallery.build import write_gallery
from transforms.output.job import JobRecord, write_job
from transforms.output.paths import Output


class Rows:
    """The rows of a gallery, numbered."""

    def rows(self, columns=None, within=None):
        for number, row in enumerate(grid_rows()):
            yield number, {**row, "content_sha256": None, "style_sha256": None}


def index(directory: Path, manifest: str, title: str | None = None) -> dict:
    output = Output(str(directory))
    write_job(output, JobRecord(manifest=manifest))
    page = Path(write_gallery(output, Rows(), title)).read_text()
    (text,) = re.findall(r'id="index">(.*?)</script>', page)
    return json.loads(text)


@pytest.mark.parametrize(("title", "shown"), [(None, "grid.parquet"), ("Two places & a river", "Two places & a river")])
def test_title(tmp_path, title, shown):
    assert index(tmp_path, "runs/grid.parquet", title)["title"] == shown


def test_the_title_of_the_job_holds_unless_another_is_given(tmp_path):
    output = Output(str(tmp_path))
    write_job(output, JobRecord(manifest="grid.parquet", title="<Two> places"))
    for title, shown in ((None, "&lt;Two&gt; places"), ("Another", "Another")):
        page = Path(write_gallery(output, Rows(), title)).read_text()
        assert f"<title>{shown}</title>" in page


def test_choices_belong_to_the_manifest_whatever_the_title(tmp_path):
    grid = index(tmp_path / "a", "runs/grid.parquet")["grid"]
    assert index(tmp_path / "b", "runs/grid.parquet", "another title")["grid"] == grid
    assert index(tmp_path / "c", "other/grid.parquet")["grid"] != grid
