"""The check of the contract finds each kind of damage to an output directory that was sound."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, PngImagePlugin

from tests.support.contract import main, violations


def run_id_of(output):
    return min(path.stem for path in (output / "runs").iterdir())


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_metrics(output, change):
    """Rewrites the metrics by `change(rows)`."""
    (path,) = (output / "metrics").iterdir()
    table = pq.read_table(path)
    rows = table.to_pylist()
    pq.write_table(pa.Table.from_pylist(change(rows) or rows, schema=table.schema), path)


def edit_first(output, **changes):
    edit_metrics(output, lambda rows: rows[0].update(changes))


def edit_history(output, change):
    edit_metrics(output, lambda rows: change(rows[0]["history"]))


def strip_the_record(output):
    path = output / "images" / f"{run_id_of(output)}.png"
    with Image.open(path) as image:
        image.load()
    image.save(path, pnginfo=PngImagePlugin.PngInfo())


def drop_column(output):
    (path,) = (output / "metrics").iterdir()
    pq.write_table(pq.read_table(path).drop(["device"]), path)


def change_type(output):
    (path,) = (output / "metrics").iterdir()
    table = pq.read_table(path)
    index = table.schema.get_field_index("height")
    pq.write_table(table.set_column(index, "height", table["height"].cast(pa.int32())), path)


def failure_of(output):
    return next(path for path in (output / "failures").iterdir())


DAMAGE = {
    "no metrics": (lambda o: shutil.rmtree(o / "metrics"), "metrics/ holds no Parquet file"),
    "a column is missing": (drop_column, "no column device"),
    "a column has another type": (change_type, "height is int32, not int64"),
    "a row is missing": (lambda o: edit_metrics(o, lambda rows: rows[1:]), "manifest_row is not 0..4"),
    "rows are not sorted": (lambda o: edit_metrics(o, lambda rows: rows[::-1]), "each once and in order"),
    "no job.json": (lambda o: (o / "job.json").unlink(), "job.json is missing"),
    "another number of rows": (lambda o: (o / "job.json").write_text('{"rows": 7}'), "nowhere says 6 rows"),
    "no page": (lambda o: (o / "gallery" / "index.html").unlink(), "gallery/index.html is missing"),
    "a page cut short": (lambda o: (o / "gallery" / "index.html").write_text("<html>"), "cut short"),
    "a temporary file": (lambda o: (o / "images" / "x.png.tmp").touch(), "what a write left behind"),
    "an unknown status": (lambda o: edit_first(o, status="lost"), "status 'lost'"),
    "done and failed": (lambda o: edit_first(o, status="failed", error_type="E"), "both done and failed"),
    "a bad run_id": (lambda o: edit_first(o, run_id="../../x"), "run_id '../../x'"),
    "another picture": (lambda o: edit_first(o, image="images/other.png"), "image 'images/other.png'"),
    "a stale failure": (lambda o: (o / "failures" / f"{run_id_of(o)}.json").touch(), "is still there"),
    "no picture": (lambda o: (o / "images" / f"{run_id_of(o)}.png").unlink(), "is missing or damaged"),
    "no marker": (lambda o: (o / "runs" / f"{run_id_of(o)}.json").unlink(), "the marker is missing"),
    "no thumbnail": (lambda o: (o / "thumbs" / f"{run_id_of(o)}.webp").unlink(), "the thumbnail is missing"),
    "a frame that is not there": (lambda o: edit_first(o, frames=[0]), "the thumbnail is missing"),
    "frames out of order": (lambda o: edit_first(o, frames=[2, 1]), "frames [2, 1], iterations"),
    "a picture without its record": (strip_the_record, "does not carry its row"),
    "another marker": (lambda o: edit_json(o / "runs" / f"{run_id_of(o)}.json", width=3), "disagree about ['width']"),
    "other metrics": (lambda o: edit_first(o, device="abacus"), "metrics and marker disagree about ['device']"),
    "another size": (lambda o: edit_first(o, height=7), "the row says"),
    "a total that is no sum": (lambda o: edit_first(o, loss_total=1.0), "loss as delivered: 1 is not the weighted sum"),
    "a total that is not finite": (lambda o: edit_first(o, loss_style=float("nan")), "weighted sum of its terms, nan"),
    "an early total that is no sum": (lambda o: edit_history(o, lambda h: h[1].update(total=1.0)), "loss 1: 1 is not"),
    "history without its start": (
        lambda o: edit_history(o, lambda h: h.pop(0) and None),
        "history runs over [1, 2, 3]",
    ),
    "history with a gap": (lambda o: edit_history(o, lambda h: h.pop(2) and None), "lacks some of the first ten"),
    "an unknown stop_reason": (lambda o: edit_first(o, stop_reason="tired"), "stop_reason 'tired'"),
    "no weights": (lambda o: edit_first(o, weights_sha256=None), "done without weights_sha256"),
    "no time": (lambda o: edit_first(o, seconds=0.0), "seconds 0.0"),
    "an error of a finished run": (lambda o: edit_first(o, error_type="Oops"), "done, with the error Oops"),
    "no reason": (
        lambda o: edit_metrics(o, lambda rows: rows[5].update(error_message="")),
        "without a one-line reason",
    ),
    "a reason of two lines": (
        lambda o: edit_metrics(o, lambda rows: rows[5].update(error_message="a\nb")),
        "without a one-line reason",
    ),
}


def test_a_finished_job_keeps_the_contract(finished_job, capsys):
    assert violations(finished_job / "output") == []
    assert main([str(finished_job / "output")]) == 0
    assert capsys.readouterr().out == "the output directory keeps the contract\n"


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found(small_output, damage):
    inflict, expected = DAMAGE[damage]
    inflict(small_output)
    assert any(expected in text for text in violations(small_output)), violations(small_output)


def test_the_command_prints_what_is_wrong(small_output, capsys):
    (small_output / "job.json").unlink()
    assert main([str(small_output)]) == 1
    assert capsys.readouterr().out == "job.json is missing or damaged\n"
    assert main([]) == 2
