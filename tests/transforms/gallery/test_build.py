"""write_gallery and WriteGallery: what the page is called, which files are written, and what a failure leaves."""

import json
import re
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.testing.test_pipeline import TestPipeline

from tests.support.gallery_reader import index_of, part_records, runs_of
from tests.support.gallery_rows import grid_rows, write_metrics
from transforms.gallery.build import WriteGallery, write_gallery
from transforms.output.job import JobRecord, write_job
from transforms.output.metrics_files import file_rows
from transforms.output.paths import ROWS_PER_METRICS_FILE, Output


class Rows:
    """The rows of a gallery, numbered."""

    def rows(self, columns=None, within=None):
        for number, row in enumerate(grid_rows()):
            yield number, {**row, "content_sha256": None, "style_sha256": None}

    def files(self):
        return [file_rows(0)]


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


@pytest.fixture
def output(tmp_path: Path) -> Output:
    """Three metrics files of a grid's rows, and no gallery."""
    write_metrics(tmp_path, grid_rows(), files=3)
    write_job(Output(str(tmp_path)), JobRecord(id="the job", manifest="grid.parquet"))
    return Output(str(tmp_path))


def run_job(output: Output, job_id: str = "the job") -> int:
    """Runs the job's step; returns how many galleries failed."""
    with TestPipeline() as pipeline:
        start = pipeline | beam.Create([output])
        _ = start | WriteGallery(output, 2 * ROWS_PER_METRICS_FILE + 1, job_id)
    counters = pipeline.result.metrics().query(beam.metrics.MetricsFilter().with_name("galleries_failed"))["counters"]
    return sum(counter.committed for counter in counters)


def files(output: Output) -> dict[str, bytes]:
    gallery = Path(output.gallery(""))
    return {str(path.relative_to(gallery)): path.read_bytes() for path in gallery.rglob("*") if path.is_file()}


def stamps(output: Output) -> dict[str, tuple[int, int]]:
    gallery = Path(output.gallery(""))
    stats = {str(path.relative_to(gallery)): path.stat() for path in gallery.rglob("*") if path.is_file()}
    return {name: (stat.st_mtime_ns, stat.st_ino) for name, stat in stats.items()}


def test_the_job_writes_what_the_command_writes_a_part_a_metrics_file(output):
    assert run_job(output) == 0
    written = files(output)
    assert [part["rows"] for part in index_of(written)["parts"]] == [13, 13, 10]
    assert [run["run_id"] for run in runs_of(written)] == [row["run_id"] for row in grid_rows()[:36]]
    assert len(part_records(written, "failures")) == 3
    stamped = stamps(output)
    write_gallery(output)
    assert stamps(output) == stamped


def test_only_the_parts_of_changed_metrics_files_are_written(output):
    run_job(output)
    before = stamps(output)
    rows = grid_rows()
    rows[20]["loss_style"] = 0.125
    write_metrics(Path(output.root), rows, files=3)
    assert run_job(output) == 0
    after = stamps(output)
    changed = {re.sub("-[0-9a-f]{8}", "", name) for name in after if after[name] != before.get(name)}
    assert changed == {"index.html", "data/numbers-00001.js"}
    assert len(after) == len(before)  # the older chunk is gone
    assert runs_of(files(output))[20]["loss_style"] == 0.125


def damage(output: Output) -> Path:
    path = sorted(Path(output.metrics()).iterdir())[1]
    path.write_bytes(b"no Parquet")
    return path


def test_a_part_that_fails_leaves_the_page_as_it_was_and_the_job_successful(output, caplog):
    assert run_job(output) == 0
    before = files(output)
    rows = grid_rows()
    rows[0]["loss_style"] = 0.125
    write_metrics(Path(output.root), rows, files=3)
    damaged = damage(output)
    assert run_job(output) == 1
    (warning,) = [record.getMessage() for record in caplog.records if "gallery" in record.getMessage()]
    assert "(part 1 of 3: ArrowInvalid: " in warning and warning.endswith(f"stylebeam gallery {output.root}")
    assert "\n" not in warning
    assert before.items() <= files(output).items()
    damaged.unlink()
    write_metrics(Path(output.root), rows, files=3)
    assert run_job(output) == 0
    assert runs_of(files(output))[0]["loss_style"] == 0.125


def test_a_first_gallery_with_a_part_that_fails_has_no_page(output):
    damage(output)
    assert run_job(output) == 1
    assert "index.html" not in files(output)


def test_a_job_that_no_longer_owns_the_directory_writes_no_gallery(output, caplog):
    assert run_job(output, "an earlier job") == 1
    assert not Path(output.gallery("")).exists()
    assert "TakenOverError" in caplog.text
