"""The report of an output directory, from its metrics alone."""

import re
from html.parser import HTMLParser

import pytest

from pipeline.cli.main import main
from pipeline.report import report
from tests.support.gallery_rows import failed_row, grid_rows, metrics_row
from tests.support.outputs import write_metrics

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """The tags, the attributes and the text of a page."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


def page_of(directory, *options):
    assert main(["report", str(directory), *options]) == 0
    return Page((directory / "report.html").read_text())


def test_the_page_shows_axes_best_pictures_effects_and_failures(tmp_path):
    rows = grid_rows()
    grid = write_metrics(tmp_path / "grid", [*rows, rows[0]])
    for row in rows[:36]:
        (grid / "thumbs" / f"{row['run_id']}.webp").write_bytes(b"RIFF")
    page = page_of(grid, "--title", "Three painters")
    assert "Three painters" in page.text and "36 pictures, 3 failed rows. 6 pairs" in page.text
    assert "1000 · 10000 · 100000" in page.text
    assert page.tags.count("figure") == page.tags.count("img") == 18, "6 pairs x 3 content weights"
    assert page.tags.count("svg") == 6, "content weight and seed, three terms each"
    assert "ImageError" in page.text and "the total loss is not finite" in page.text


def test_the_page_shows_what_moves_which_measure_and_the_best_by_each(tmp_path):
    """SSIM rises and the palette's distance falls with the content weight, by 0.1 from one to the next."""
    steps = {1e3: 0, 1e4: 1, 1e5: 2}
    rows = []
    for row in grid_rows():
        step = steps[row["config"]["content_weight"]] if row["config"] else None
        moved = {} if step is None else {"measure_ssim": 0.5 + step / 10, "measure_palette": 0.7 - step / 10}
        rows.append({**row, **moved})
    page = page_of(write_metrics(tmp_path / "grid", rows))
    assert "structure of the content (SSIM), more is better" in page.text
    assert page.text.count("0.2 (0.2 to 0.2), best at 100000") == 2
    assert page.text.count("0 (0 to 0), best at 1") == 2, "the seed moves nothing"
    assert page.text.count("structure of the content (SSIM) 0.7") == 6, "the best of each pair"
    assert page.text.count("distance to the palette 0.5") == 6
    assert "0 (0 to 0)" in page.text and "e-1" not in page.text, "nothing is 0"
    assert page.tags.count("figure") == 6 + 18
    assert page.tags.count("svg") == 2 * (2 + 3), "content weight and seed: two measures, three terms"


def test_measures_are_compared_where_losses_are_not(tmp_path):
    layers = ([("block1_conv1", 1.0)], [("block2_conv1", 1.0)])
    rows = [
        metrics_row(number, measure_ssim=0.2 * (number + 1), config={"style_layers": one})
        for number, one in enumerate(layers)
    ]
    page = page_of(write_metrics(tmp_path / "grid", rows))
    assert "0.2 (0.2 to 0.2), best at conv2_1" in page.text
    assert "loss terms by style layers (they are defined by it)" in page.text


def test_the_page_asks_for_nothing_and_escapes_all_names(tmp_path):
    rows = [
        metrics_row(
            number, HOSTILE, HOSTILE + str(number), config={"weights": HOSTILE * number}, extra=f'{{"{key}": 1}}'
        )
        for number, key in enumerate(("<b>", "<i>"))
    ]
    rows += [failed_row(2, HOSTILE, HOSTILE), metrics_row(3, run_id="../../../secret")]
    grid = write_metrics(tmp_path / "grid", rows)
    (tmp_path / "secret.webp").write_bytes(b"secret")
    page = page_of(grid, "--title", HOSTILE)
    assert not {"script", "b", "i", "link", "iframe"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "href"]
    assert [value for name, value in page.attributes if name == "src"] == []
    assert HOSTILE in page.text


def test_pictures_are_bounded_in_number_and_bytes(tmp_path, monkeypatch, caplog):
    rows = [metrics_row(number, f"{number:03}.jpg") for number in range(100)]
    grid = write_metrics(tmp_path / "grid", rows)
    for row in rows:
        size = 2 if row["manifest_row"] else report.MAX_PICTURE_BYTES + 1
        (grid / "thumbs" / f"{row['run_id']}.webp").write_bytes(b"x" * size)
    page = page_of(grid)
    assert page.tags.count("figure") == report.MAX_PICTURES
    assert page.tags.count("img") == report.MAX_PICTURES - 1, "the first is too large"
    assert f"{report.MAX_PICTURES} of 100 are shown" in page.text


def test_reasons_are_bounded(tmp_path):
    rows = [failed_row(number, f"Reason{number:03}", "no") for number in range(50)]
    page = page_of(write_metrics(tmp_path / "grid", rows))
    assert len(re.findall(r"Reason\d+", page.text)) == report.MAX_REASONS
    assert "30 rows failed for 30 further reasons" in page.text


def test_the_same_metrics_give_the_same_bytes(tmp_path):
    grid = write_metrics(tmp_path / "grid", grid_rows())
    pages = []
    for name in ("a.html", "b.html"):
        assert main(["report", str(grid), "--output", str(tmp_path / name)]) == 0
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]


@pytest.mark.parametrize("exists", [True, False])
def test_a_directory_without_metrics_is_one_line(tmp_path, capsys, exists):
    directory = tmp_path / "grid"
    if exists:
        directory.mkdir()
    assert main(["report", str(directory)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and "no metrics: expected the output directory of a finished job" in lines[0]
    assert not (directory / "report.html").exists()
