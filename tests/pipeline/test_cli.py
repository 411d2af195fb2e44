"""What a person sees: one line for every mistake, exit statuses, and nothing begun that cannot end."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import TINY, write_manifest
from PIL import Image

from pipeline.cli import main
from stylecore import StyleConfig, stylize
from stylecore.images import decode_image


@pytest.fixture
def manifest(inputs):
    return write_manifest(inputs / "m.parquet", [{"content": "content.png", "style": "style_a.png"}])


MISTAKES = {
    "unknown option": (["run", "--manifest=M", "--output=O", "--runer=DirectRunner"], "did you mean --runner?"),
    "unknown own option": (["run", "--manifest=M", "--output=O", "--batchsize=3"], "did you mean --batch_size?"),
    "no manifest option": (["run", "--output=O"], "--manifest is required"),
    "no output option": (["run", "--manifest=M"], "--output is required"),
    "missing manifest": (["run", "--manifest=nothing.parquet", "--output=O"], "nothing.parquet: no such manifest"),
    "bad scheme": (["run", "--manifest=M", "--output=ftp://h/o"], "no file system for ftp://"),
    "missing spec": (["grid", "nothing.yaml", "--output=O"], "nothing.yaml: cannot read it"),
    "missing photograph": (["stylize", "nothing.png", "nothing.png", "--output=o.png"], "nothing.png: not found"),
    "unknown field": (
        ["stylize", "C", "C", "--output=o.png", "--set", "itrations=3"],
        "unknown field 'itrations', did you mean 'iterations'?",
    ),
    "no value": (["stylize", "C", "C", "--output=o.png", "--set", "iterations"], "--set must be FIELD=VALUE"),
    "unknown backbone": (["weights", "--backbone=vgg11"], "--backbone must be one of vgg19"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_before_any_work(inputs, manifest, name, capsys, monkeypatch):
    monkeypatch.chdir(inputs)
    arguments, message = MISTAKES[name]
    replaced = [argument.replace("=M", f"={manifest}").replace("=O", "=out") for argument in arguments]
    assert main(["content.png" if argument == "C" else argument for argument in replaced]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1]
    assert not any("Traceback" in line for line in lines)
    assert not (inputs / "out" / "images").exists()


@pytest.mark.parametrize("arguments", [[], ["paint"], ["grid"], ["stylize", "a", "b", "--output=x", "--colour"]])
def test_argparse_mistakes_exit_with_2(arguments):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_an_unknown_option_names_the_nearest(capsys):
    with pytest.raises(SystemExit):
        main(["stylize", "a", "b", "--output=x", "--presett=gatys"])
    assert "unknown option --presett=gatys, did you mean --preset?" in capsys.readouterr().err


def test_an_output_that_cannot_be_written(inputs, manifest, capsys):
    (inputs / "file").touch()
    assert main(["run", "--manifest", manifest, "--output", str(inputs / "file")]) == 2
    assert "cannot write it" in capsys.readouterr().err


def test_weights_that_cannot_be_had_stop_the_job_before_any_work(inputs, capsys):
    rows = [{"content": "content.png", "style": "style_a.png", "config": {**TINY, "weights": "mine.weights.h5"}}]
    manifest = write_manifest(inputs / "m.parquet", rows)
    assert main(["run", "--manifest", manifest, "--output", str(inputs / "out")]) == 2
    assert "mine.weights.h5: no such weights file" in capsys.readouterr().err
    assert not (inputs / "out" / "images").exists()


def test_one_picture_is_that_of_the_direct_call(inputs, capsys):
    settings = [f"--set={name}={json.dumps(value)}" for name, value in TINY.items() if name != "weights"]
    arguments = [str(inputs / "content.png"), str(inputs / "style_a.png"), "--output", str(inputs / "out.png")]
    assert main(["stylize", *arguments, *settings, "--set", "weights=random:1"]) == 0
    content, style = (decode_image((inputs / name).read_bytes()) for name in ("content.png", "style_a.png"))
    (expected,) = stylize([content], [style], [StyleConfig(**TINY)])
    assert np.array_equal(np.asarray(Image.open(inputs / "out.png")), expected.image)
    assert "5 iterations, total loss" in capsys.readouterr().out


def test_a_grid_runs_as_it_stands(inputs, capsys):
    tiny = "{" + ", ".join(f"{name}: {json.dumps(value)}" for name, value in TINY.items()) + "}"
    (inputs / "spec.yaml").write_text(
        f"contents: [content.png, tall.png]\nstyles: [style_a.png]\nconfig: {tiny}\nsweep: {{seed: [1, 2]}}\n"
    )
    manifest, output = str(inputs / "grid.parquet"), str(inputs / "out")
    assert main(["grid", str(inputs / "spec.yaml"), "--output", manifest]) == 0
    assert main(["run", "--manifest", manifest, "--output", output]) == 0
    said = capsys.readouterr().out
    assert "4 rows in" in said and "4 of 4 rows done, 4 runs computed by this job" in said
    assert (inputs / "out" / "gallery" / "index.html").exists()
    assert main(["gallery", output]) == 0


def test_grid_needs_no_tensorflow(inputs):
    (inputs / "spec.yaml").write_text("contents: [c.png]\nstyles: [s.png]")
    code = (
        "import sys; from pipeline.cli import main; "
        f"assert main(['grid', {str(inputs / 'spec.yaml')!r}, '--output', {str(inputs / 'g.parquet')!r}]) == 0; "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_of_a_run_ends_it_with_one_line(inputs, number, status):
    rows = [{"content": "content.png", "style": "style_a.png", "config": {**TINY, "iterations": 1_000_000}}]
    manifest = write_manifest(inputs / "m.parquet", rows)
    command = [sys.executable, "-m", "pipeline", "run", "--manifest", manifest, "--output", str(inputs / "out")]
    job = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list((inputs / "out").glob("sources/*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)
    job.send_signal(number)
    said = job.communicate(timeout=30)[1]
    assert job.returncode == status
    assert said.strip().splitlines()[-1].startswith("stopped; what is finished is kept")
    assert "Traceback" not in said
