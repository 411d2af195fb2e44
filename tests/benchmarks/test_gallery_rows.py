"""The synthetic metrics of the gallery's benchmark are metrics, and its gallery shows them."""

from benchmarks.gallery_rows import AXES, run_id, write_metrics
from tests.support.gallery_reader import details_of, index_of, runs_of
from transforms.gallery.build import write_gallery
from transforms.output.metrics_files import metrics_are_current
from transforms.output.paths import Output


def test_the_gallery_of_synthetic_metrics(tmp_path):
    output = Output(str(tmp_path))
    write_metrics(tmp_path, 120)
    assert metrics_are_current(output)
    write_gallery(output)
    folder = tmp_path / "gallery"
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert [run["run_id"] for run in runs_of(files)] == [run_id(number) for number in range(120)]
    # A grid of 120 runs has one seed and one content.
    assert {dimension["key"] for dimension in index_of(files)["dimensions"]} == set(AXES) - {"content", "seed"}
    first = details_of(files)[0]
    assert len(first["history"]["iteration"]) == len(first["history"]["style"]) == 60
    assert first["history"]["style"][-1] == runs_of(files)[0]["loss_style"]
