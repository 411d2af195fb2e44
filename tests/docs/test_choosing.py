"""docs/choosing.md: its commands take the choices of a finished grid to pictures of another size, as they stand."""

import json
import re
import shlex
import shutil
from typing import Any

from pipeline.cli.main import main
from tests.support.outputs import metrics_of
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "choosing.md"
SMALL = {"image_size=1024": "image_size=40"}


def section():
    (text,) = re.findall(
        r"^## From choices to pictures at full size\n(.*?)^## ", PAGE.read_text(), re.DOTALL | re.MULTILINE
    )
    return text


def test_the_commands_make_the_chosen_runs_again(small_output, tmp_path, monkeypatch):
    shutil.move(small_output, tmp_path / "results")
    chosen = [row["run_id"] for row in metrics_of(tmp_path / "results") if row["status"] == "done"][1:3]
    choices = [{"run_id": run_id, "rating": 4} for run_id in chosen]
    (tmp_path / "results" / "choices.json").write_text(json.dumps({"version": 1, "choices": choices}))
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^stylebeam (.*)$", section(), re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["pick", "plan", "run"]
    for command in commands:
        assert main([SMALL.get(word, word) for word in shlex.split(command)]) == 0
    again = metrics_of(tmp_path / "chosen")
    assert [json.loads(row["extra"])["picked_from"] for row in again] == chosen
    assert {max(row["height"], row["width"]) for row in again} == {40}


def test_the_example_in_python_picks_the_best_of_each_pair(small_output, tmp_path, monkeypatch):
    shutil.move(small_output, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```", section(), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(code, names)
    best: dict[str, float] = {}
    for row in metrics_of(tmp_path / "results"):
        if row["status"] == "done":
            pair = json.dumps([row["content"], row["style"]])
            best[pair] = min(row["loss_total"], best.get(pair, float("inf")))
    assert sorted(names["best"]["loss_total"].to_pylist()) == sorted(best.values())
