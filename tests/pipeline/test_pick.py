"""Picked runs: which rows, and a manifest that makes them again from anywhere."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli.main import main
from pipeline.pick import Criterion, PickError, Selection, pick
from stylecore.images.codec import read_png_record
from tests.support.jobs import run
from tests.support.outputs import metrics_of
from transforms.output.choices import Choice

STYLE, CONTENT = Criterion("loss_style"), Criterion("loss_content")


def table(*rows):
    """(run_id, content, style, loss_content, loss_style) or (run_id, None) for a failed row."""
    return pa.Table.from_pylist(
        [
            {
                "manifest_row": number,
                "run_id": row[0],
                "status": "failed" if row[1] is None else "done",
                "content": row[1] or "c",
                "style": [{"uri": row[2] if len(row) > 2 else "s", "weight": 1.0}],
                "loss_content": row[3] if len(row) > 2 else None,
                "loss_style": row[4] if len(row) > 2 else None,
            }
            for number, row in enumerate(rows)
        ],
        pa.schema(
            [
                ("manifest_row", pa.int64()),
                ("run_id", pa.string()),
                ("status", pa.string()),
                ("content", pa.string()),
                ("style", pa.list_(pa.struct([("uri", pa.string()), ("weight", pa.float64())]))),
                ("loss_content", pa.float32()),
                ("loss_style", pa.float32()),
            ]
        ),
    )


GRID = table(
    ("a", "cat", "sea", 1, 9),
    ("b", "cat", "sea", 2, 5),
    ("c", "cat", "sky", 3, 7),
    ("d", "dog", "sea", 4, 2),
    ("e", "dog", "sky", 5, 2),
    ("b", "cat", "sea", 2, 5),
    ("f", None),
    ("g", "dog", "sky", None, None),
)


def ids(selection, metrics=GRID):
    return pick(metrics, selection)["run_id"].to_pylist()


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(best=STYLE), ["d"]),
        (Selection(best=Criterion("loss_style", largest=True)), ["a"]),
        (Selection(best=STYLE, top=3), ["d", "e", "b"]),
        (Selection(best=STYLE, per=("content",)), ["b", "d"]),
        (Selection(best=STYLE, per=("style",)), ["d", "e"]),
        (Selection(best=STYLE, per=("content", "style")), ["b", "c", "d", "e"]),
        (Selection(best=STYLE, per=("content",), top=2), ["b", "c", "d", "e"]),
        (Selection(front=(CONTENT, STYLE)), ["a", "b", "d"]),
        (Selection(front=(CONTENT, Criterion("loss_style", largest=True))), ["a"]),
        (Selection(front=(CONTENT, STYLE), per=("style",)), ["a", "b", "d", "c", "e"]),
        (Selection(front=(CONTENT, STYLE), top=1), ["a"]),
        (
            Selection(chosen={"c": Choice(2), "e": Choice(5), "f": Choice(5), "g": Choice(None, ("x",))}),
            ["e", "c", "g"],
        ),
        (Selection(chosen={"c": Choice(2), "a": Choice(5)}, best=STYLE), ["c"]),
    ],
)
def test_which_runs_are_picked(selection, expected):
    assert ids(selection) == expected


def test_equal_points_of_a_front_are_all_picked():
    assert ids(Selection(front=(CONTENT, STYLE)), table(("a", "c", "s", 1, 1), ("b", "c", "s", 1, 1))) == ["a", "b"]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20))
def test_a_front_is_what_no_run_dominates(points):
    metrics = table(*((str(number), "c", "s", x, y) for number, (x, y) in enumerate(points)))
    expected = {
        str(number)
        for number, (x, y) in enumerate(points)
        if not any((u <= x and v <= y) and (u, v) != (x, y) for u, v in points)
    }
    found = ids(Selection(front=(CONTENT, STYLE)), metrics)
    assert set(found) == expected and len(found) == len(expected)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("loss_stile", "'loss_stile' is not a number of the metrics, did you mean 'loss_style'"),
        ("content", "'content' is not a number of the metrics"),
        ("manifest", "is not a number of the metrics"),
    ],
)
def test_a_column_that_is_no_number_is_named_with_the_nearest_one(column, message):
    with pytest.raises(PickError, match=message):
        ids(Selection(best=Criterion(column)))


def test_a_column_without_values_is_refused():
    with pytest.raises(PickError, match="'loss_style' is null in every row"):
        ids(Selection(best=STYLE), table(("a", "c", "s", 1, None)))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("measure_ssim", 1),
        ("measure_ssim:min", 0),
        ("measure_ssim:max", 0),
        ("measure_palette", 0),
        ("loss_style", 0),
    ],
)
def test_the_least_of_what_is_better_large_is_picked_with_a_warning(text, lines, caplog):
    criterion = Criterion.parse(text)
    assert criterion.largest == text.endswith(":max")
    assert [record.message for record in caplog.records] == lines * [
        "measure_ssim: more of it is better, and the least is picked: measure_ssim:max picks the largest"
    ]


@pytest.fixture
def picked(small_output, tmp_path):
    """Runs `stylebeam pick` on a finished job; returns its exit status and the manifest's rows, if there are any."""

    def picking(*options):
        manifest = tmp_path / "elsewhere" / "picked.parquet"
        status = main(["pick", str(small_output), "--output", str(manifest), *options])
        return status, pq.read_table(manifest).to_pylist() if manifest.exists() else None

    return picking


def test_picked_runs_are_made_again_from_anywhere_with_changes(picked, small_output, tmp_path, monkeypatch, capsys):
    status, rows = picked("--best=loss_style", "--per=style", "--set=iterations=2", "--set=seed=5")
    assert status == 0 and len(rows) == 2
    assert "2 rows in " in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    manifest = str(tmp_path / "elsewhere" / "picked.parquet")
    assert main(["plan", "--manifest", manifest]) == 0
    summary = run(["--manifest", manifest, "--output", str(tmp_path / "again")])
    assert (summary.done, summary.failed) == (2, {})
    before = {row["run_id"]: row for row in metrics_of(small_output)}
    for row in metrics_of(tmp_path / "again"):
        extra = json.loads(row["extra"])
        source = before[extra["picked_from"]]
        assert {name: extra[name] for name in ("split", "label")} == json.loads(source["extra"])
        assert row["content_sha256"] == source["content_sha256"] and row["style_sha256"] == source["style_sha256"]
        assert row["config"] == {**source["config"], "iterations": 2, "seed": 5}


def test_without_changes_a_picked_run_is_the_same_run(picked, small_output, tmp_path):
    _, (row,) = picked("--best=loss_total")
    summary = run(["--manifest", str(tmp_path / "elsewhere" / "picked.parquet"), "--output", str(small_output)])
    assert (summary.done, summary.computed) == (1, 0)
    assert [found["run_id"] for found in metrics_of(small_output)] == [row["picked_from"]]


def test_choices_lie_in_the_directory_or_where_the_option_says(picked, small_output, tmp_path, capsys):
    done = list(dict.fromkeys(row["run_id"] for row in metrics_of(small_output) if row["status"] == "done"))
    assert picked() == (2, None)
    assert "choices.json: not found: give --choices FILE.json, --best COLUMN or --front X,Y" in capsys.readouterr().err
    choices = [
        {"run_id": done[0], "rating": 2},
        {"run_id": done[1], "rating": 5},
        {"run_id": done[2], "rejected": True},
    ]
    path = small_output / "choices.json"
    path.write_text(json.dumps({"version": 1, "choices": choices}))
    assert [row["picked_from"] for row in picked()[1]] == [done[1], done[0]]
    path.rename(tmp_path / "mine.json")
    status, rows = picked(f"--choices={tmp_path}/mine.json", "--top=1")
    assert status == 0 and [row["picked_from"] for row in rows] == [done[1]]


def only_rejected(folder):
    run_id = metrics_of(folder)[0]["run_id"]
    (folder / "choices.json").write_text(json.dumps({"version": 1, "choices": [{"run_id": run_id, "rejected": True}]}))


def no_metrics(folder):
    shutil.rmtree(folder / "metrics")


def older_metrics(folder):
    for path in (folder / "metrics").glob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(["uris"]), path)


@pytest.mark.parametrize(
    ("damage", "options", "message"),
    [
        (None, ["--best=loss_stile"], "did you mean 'loss_style'"),
        (None, ["--best=loss_style:least"], "'loss_style:least': expected COLUMN, COLUMN:min or COLUMN:max"),
        (None, ["--front=loss_style"], "--front must be two columns, X,Y, got 'loss_style'"),
        (None, ["--best=loss_style", "--per=picture"], "--per must be content, style or content,style, got 'picture'"),
        (None, ["--best=loss_style", "--set=itrations=3"], "did you mean 'iterations'"),
        (None, ["--best=loss_style", "--set=iterations=-3"], "iterations must be a whole number"),
        (only_rejected, [], "no finished run is chosen"),
        (no_metrics, ["--best=loss_style"], "expected the output directory of a finished job"),
        (older_metrics, ["--best=loss_style"], "its metrics do not say where its images lie"),
    ],
)
def test_what_cannot_be_picked_is_one_line_and_nothing_is_written(
    picked, small_output, capsys, damage, options, message
):
    if damage:
        damage(small_output)
    assert picked(*options) == (2, None)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("stylebeam: ") and message in line


def test_pictures_do_not_say_where_their_inputs_lie(small_output):
    (row, *_) = (row for row in metrics_of(small_output) if row["status"] == "done")
    assert all(uri.startswith("/") for uri in row["uris"]) and len(row["uris"]) == 2
    marker = (small_output / "runs" / f"{row['run_id']}.json").read_text()
    carried = read_png_record((small_output / row["image"]).read_bytes())
    assert all(uri not in text for uri in row["uris"] for text in (marker, carried))
