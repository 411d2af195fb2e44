"""docs/analysis.md: every block is run against a finished job, and says what the job's markers say."""

import ast
import json
import os
import re
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median

os.environ["HF_HUB_OFFLINE"] = "1"

import datasets
import duckdb
import pytest
from PIL import Image

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "analysis.md"
_BLOCK = re.compile(r"^## (?P<heading>[^\n]+)$|^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks():
    """(heading, language, n-th block in this language under the heading) -> code."""
    found, heading = {}, ""
    counts: Counter[tuple[str, str]] = Counter()
    for match in _BLOCK.finditer(PAGE.read_text()):
        if match["heading"]:
            heading = match["heading"]
            continue
        key = (heading, match["language"])
        counts[key] += 1
        found[*key, counts[key]] = match["code"]
    return found


def execute(language, code):
    """Rows of a query as dicts, or the value of a program's last expression."""
    if language == "sql":
        relation = duckdb.connect().sql(code)
        return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    *statements, last = ast.parse(code).body
    names: dict[str, object] = {}
    exec(compile(ast.Module(statements, []), str(PAGE), "exec"), names)
    return eval(compile(ast.Expression(last.value), str(PAGE), "eval"), names)


@pytest.fixture
def truth(small_output, tmp_path, monkeypatch):
    """The markers of the job, in whose directory the test runs from here."""
    monkeypatch.chdir(small_output)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    markers = [json.loads(path.read_text()) for path in sorted(Path("runs").glob("*.json"))]
    assert len(markers) == 4
    return markers


def by_ratio(truth):
    groups = defaultdict(list)
    for run in truth:
        groups[run["config"]["content_weight"] / run["config"]["style_weight"]].append(run)
    return sorted(groups.items())


def product(run):
    return run["loss_content"] * run["loss_style"]


def best_runs(truth):
    paintings = sorted({run["style"][0]["uri"] for run in truth})
    return {
        painting: min((run for run in truth if run["style"][0]["uri"] == painting), key=product)["run_id"]
        for painting in paintings
    }


def check_ratio_sql(rows, truth):
    assert [(row["ratio"], row["runs"]) for row in rows] == [(10.0, 2), (100.0, 2)]
    for row, (_, runs) in zip(rows, by_ratio(truth), strict=True):
        for term in ("content", "style", "tv"):
            assert row[term] == pytest.approx(median(run[f"loss_{term}"] for run in runs), rel=1e-5)


def check_ratio_pandas(frame, truth):
    assert list(frame.index) == [ratio for ratio, _ in by_ratio(truth)]
    for term in ("loss_content", "loss_style", "loss_tv"):
        assert list(frame[term]) == pytest.approx(
            [median(run[term] for run in runs) for _, runs in by_ratio(truth)], rel=1e-5
        )


def expected_points(truth):
    return [(run["run_id"], point["iteration"], point["total"]) for run in truth for point in run["history"]]


def check_points(points, truth):
    expected = expected_points(truth)
    assert [point[:2] for point in points] == [point[:2] for point in expected]
    assert [point[2] for point in points] == pytest.approx([point[2] for point in expected], rel=1e-5)


def check_curves_sql(rows, truth):
    assert set(rows[0]) == {"run_id", "iteration", "total", "content", "style", "tv"}
    check_points([(row["run_id"], row["iteration"], row["total"]) for row in rows], truth)


def check_curves_pandas(frame, truth):
    assert list(frame.index) == [0, 1, 2, 3, 4, 5]
    check_points([(run_id, step, value) for run_id in frame for step, value in frame[run_id].items()], truth)


def check_curves_arrow(batch, truth):
    rows = batch.to_pylist()
    assert len(rows) == 5 * 6  # Five rows are done; two of them share a run.
    check_points(sorted({(row["run_id"], row["iteration"], row["total"]) for row in rows}), truth)


def check_progress(rows, truth):
    assert {row["run_id"] for row in rows} == {run["run_id"] for run in truth}
    histories = {run["run_id"]: [point["total"] for point in run["history"]] for run in truth}
    for row in rows:
        totals = histories[row["run_id"]]
        assert row["remaining"] == pytest.approx(totals[-1] / totals[0], rel=1e-5)
        bound = totals[-1] + 0.1 * (totals[0] - totals[-1])
        assert row["nine_tenths_after"] == next(step for step, total in enumerate(totals) if total <= bound)


def check_best_sql(rows, truth):
    assert {row["painting"]: row["run_id"] for row in rows} == best_runs(truth)
    configs = {run["run_id"]: run["config"] for run in truth}
    assert [row["alpha"] for row in rows] == [configs[row["run_id"]]["content_weight"] for row in rows]


def check_best_pandas(frame, truth):
    assert dict(zip(frame["painting"], frame["run_id"], strict=True)) == best_runs(truth)


def nearest_palettes(truth):
    """The best run of each pair; the job has one content image."""
    assert {run["content"] for run in truth} == {"content.png"}
    return {
        painting: min(
            (run for run in truth if run["style"][0]["uri"] == painting), key=lambda run: run["measure_palette"]
        )
        for painting in ("style_a.png", "style_b.png")
    }


def check_pairs_sql(rows, truth):
    assert {row["painting"]: row["image"] for row in rows} == {
        painting: run["image"] for painting, run in nearest_palettes(truth).items()
    }
    assert [row["content"] for row in rows] == ["content.png"] * 2


def check_pairs_pandas(frame, truth):
    assert sorted(frame["run_id"]) == sorted(run["run_id"] for run in nearest_palettes(truth).values())
    for row in frame.itertuples():
        assert row.measure_palette == pytest.approx(nearest_palettes(truth)[row.style[0]["uri"]]["measure_palette"])


def check_pairs_arrow(table, truth):
    found = {row["painting"]: row["run_id_first"] for row in table.to_pylist()}
    assert found == {painting: run["run_id"] for painting, run in nearest_palettes(truth).items()}
    assert table["image_first"].to_pylist() == [f"images/{run_id}.png" for run_id in found.values()]


def check_pairs_datasets(pictures, truth):
    assert sorted(run_id for run_id, _ in pictures) == sorted(run["run_id"] for run in nearest_palettes(truth).values())
    for run_id, picture in pictures:
        assert picture == Image.open(f"images/{run_id}.png")


def check_layers(rows, truth):
    assert [(row["style_layers"], row["rows"]) for row in rows] == [("block1_conv1 block2_conv1", 5)]
    assert rows[0]["weight_of_the_first"] == 0.5
    assert rows[0]["least_style_loss"] == pytest.approx(min(run["loss_style"] for run in truth), rel=1e-5)


def check_labels_sql(rows, _):
    assert [(row["split"], row["rows"]) for row in rows] == [("test", 2), ("train", 3)]


def check_labels_pandas(frame, _):
    assert list(frame["manifest_row"]) == list(range(6))
    assert list(frame["status"]) == ["done"] * 5 + ["failed"]
    assert list(frame["split"]) == ["train", "test", "train", "test", "train", "train"]
    assert list(frame["label"]) == [0, 1, 2, 3, 0, 0]


def check_duplicates_sql(rows, truth):
    assert [(row["rows"], row["manifest_rows"]) for row in rows] == [(2, [0, 4])]
    assert rows[0]["run_id"] == next(run["run_id"] for run in truth if run["manifest_row"] == 0)


def check_duplicates_arrow(table, truth):
    shared = next(run["run_id"] for run in truth if run["manifest_row"] == 0)
    assert table.to_pylist() == [{"run_id": shared, "manifest_row_count": 2}]


def check_failures_sql(rows, _):
    assert [(row["error_type"], row["rows"]) for row in rows] == [("NotFoundError", 1)]
    assert "missing.png" in rows[0]["example"]


def check_failures_pandas(counts, _):
    assert counts.to_dict() == {"NotFoundError": 1}


def check_time(rows, truth):
    assert [(row["device"], row["pixels"], row["runs"]) for row in rows] == [(truth[0]["device"], 36 * 48, 4)]
    assert rows[0]["seconds"] == pytest.approx(sum(run["seconds"] for run in truth))
    assert rows[0]["seconds_per_iteration"] == pytest.approx(rows[0]["seconds"] / 20)


def check_picture(picture, truth):
    record = json.loads(picture.text["stylebeam"])
    assert record["run_id"] == min(truth, key=lambda run: run["loss_style"])["run_id"]


CHECKS = {
    ("Loss by ratio of content to style weight", "sql", 1): check_ratio_sql,
    ("Loss by ratio of content to style weight", "python", 1): check_ratio_pandas,
    ("Convergence curves", "sql", 1): check_curves_sql,
    ("Convergence curves", "python", 1): check_curves_pandas,
    ("Convergence curves", "python", 2): check_curves_arrow,
    ("Convergence curves", "sql", 2): check_progress,
    ("The best configuration for each style", "sql", 1): check_best_sql,
    ("The best configuration for each style", "python", 1): check_best_pandas,
    ("The best picture of each pair", "sql", 1): check_pairs_sql,
    ("The best picture of each pair", "python", 1): check_pairs_pandas,
    ("The best picture of each pair", "python", 2): check_pairs_arrow,
    ("The best picture of each pair", "python", 3): check_pairs_datasets,
    ("Layers", "sql", 1): check_layers,
    ("Labels and splits", "sql", 1): check_labels_sql,
    ("Labels and splits", "python", 1): check_labels_pandas,
    ("Duplicates", "sql", 1): check_duplicates_sql,
    ("Duplicates", "python", 1): check_duplicates_arrow,
    ("Failures by reason", "sql", 1): check_failures_sql,
    ("Failures by reason", "python", 1): check_failures_pandas,
    ("Where the time went", "sql", 1): check_time,
    ("From a row to its picture", "python", 1): check_picture,
}


def test_every_block_has_its_check():
    assert blocks().keys() == CHECKS.keys()


@pytest.mark.parametrize("key", CHECKS, ids=lambda key: f"{key[0]} {key[1]} {key[2]}")
def test_block(key, truth):
    CHECKS[key](execute(key[1], blocks()[key]), truth)
