"""What a person sees: one line for every mistake, exit statuses, and nothing begun that cannot end."""

import json
import logging
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from pipeline.cli.main import main
from stylecore import Style, StyleConfig, stylize
from stylecore.images.codec import decode_image
from tests.support.disks import full_disk
from tests.support.inputs import TINY, write_manifest
from tests.support.outputs import metrics_of
from tests.support.paths import ROOT
from tests.support.processes import Process


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
    "too few weights": (
        ["stylize", "C", "C", "C", "--output=o.png", "--style_weight=1"],
        "--style_weight must be given once for each style, 2, got 1",
    ),
    "too many masks": (
        ["stylize", "C", "C", "--output=o.png", "--content_mask=none", "--content_mask=none"],
        "--content_mask must be given once for each style, 1, got 2",
    ),
    "no weight of a style": (
        ["stylize", "C", "C", "--output=o.png", "--style_weight=-1"],
        "content.png: the weight of a style must be a finite number >= 0, got -1.0",
    ),
    "missing mask": (["stylize", "C", "C", "--output=o.png", "--style_mask=no.png"], "no.png: not found"),
    "no picture to start from": (
        ["stylize", "C", "C", "--output=o.png", "--set=weights=random:1", "--set=init=image"],
        "init must be noise, content or style without initial, got image",
    ),
    "another start": (
        ["stylize", "C", "C", "--output=o.png", "--set=weights=random:1", "--set=init=style", "--initial=C"],
        "init must be image with initial, got style",
    ),
    "unknown backbone": (["weights", "--backbone=vgg11"], "--backbone must be one of vgg19"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_before_any_work(inputs, manifest, name, capsys, monkeypatch):
    monkeypatch.chdir(inputs)
    arguments, message = MISTAKES[name]
    replaced = [argument.replace("=M", f"={manifest}").replace("=O", "=out") for argument in arguments]
    assert (
        main(["content.png" if argument == "C" else argument.replace("=C", "=content.png") for argument in replaced])
        == 2
    )
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


TINY_SETTINGS = [
    f"--set={name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in TINY.items()
]


def picture_of(inputs, name):
    return decode_image((inputs / name).read_bytes())


def test_one_picture_is_that_of_the_direct_call(inputs, capsys):
    arguments = [str(inputs / "content.png"), str(inputs / "style_a.png"), "--output", str(inputs / "out.png")]
    assert main(["stylize", *arguments, *TINY_SETTINGS]) == 0
    content, style = picture_of(inputs, "content.png"), picture_of(inputs, "style_a.png")
    (expected,) = stylize([content], [style], [StyleConfig.from_dict(TINY)])
    assert expected.image is not None
    assert np.array_equal(np.asarray(Image.open(inputs / "out.png")), expected.image)
    assert "5 iterations, total loss" in capsys.readouterr().out


def test_several_styles_and_an_initial_picture_are_those_of_the_direct_call(inputs, monkeypatch):
    monkeypatch.chdir(inputs)
    styles = ["style_a.png", "tall.png", "--style_weight=0.5", "--style_weight=none", "--scale", "none", "--scale=0.7"]
    arguments = ["--initial=tall.png", "--set=style_fit=keep", "--set=noise_blend=0.5", *TINY_SETTINGS]
    assert main(["stylize", "content.png", *styles, "--output=out.png", *arguments]) == 0
    content, first, tall = (picture_of(inputs, name) for name in ("content.png", "style_a.png", "tall.png"))
    config = StyleConfig.from_dict({**TINY, "init": "image", "style_fit": "keep", "noise_blend": 0.5})
    (expected,) = stylize([content], [[Style(first, 0.5), Style(tall, scale=0.7)]], [config], initials=[tall])
    assert expected.image is not None
    assert np.array_equal(picture_of(inputs, "out.png"), expected.image)


def test_masks_are_those_of_the_direct_call_and_a_black_one_is_refused(inputs, monkeypatch, capsys):
    monkeypatch.chdir(inputs)
    left = np.zeros((8, 8), np.uint8)
    left[:, :4] = 255
    for name, mask in (("left", left), ("right", 255 - left), ("black", 0 * left)):
        Image.fromarray(mask).save(f"{name}.png")
    pair = ["stylize", "content.png", "style_a.png", "tall.png", "--output=out.png", *TINY_SETTINGS]
    halves = ["--content_mask=left.png", "--content_mask=right.png", "--style_mask=none", "--style_mask=left.png"]
    assert main([*pair, *halves]) == 0
    content, first, tall = (picture_of(inputs, name) for name in ("content.png", "style_a.png", "tall.png"))
    styles = [Style(first, content_mask=left), Style(tall, content_mask=255 - left, style_mask=left)]
    (expected,) = stylize([content], [styles], [StyleConfig.from_dict(TINY)])
    assert expected.image is not None
    assert np.array_equal(picture_of(inputs, "out.png"), expected.image)
    assert main([*pair, "--content_mask=left.png", "--content_mask=black.png"]) == 2
    assert "content_mask of style 2 is empty: one pixel at least must not be black" in capsys.readouterr().err


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


def test_a_gallery_that_cannot_be_written_does_not_fail_a_finished_job(inputs, manifest, capsys, caplog):
    output = inputs / "out"
    output.mkdir()
    (output / "gallery").touch()
    assert main(["run", "--manifest", manifest, "--output", str(output), "--title", "Two places"]) == 0
    said = capsys.readouterr().out
    assert "rows done" in said and "gallery:" not in said
    (warning,) = [record.getMessage() for record in caplog.records if "gallery" in record.getMessage()]
    assert warning.endswith(f"stylebeam gallery {output}") and "\n" not in warning
    (output / "gallery").unlink()
    assert main(["gallery", str(output)]) == 0
    assert "<title>Two places</title>" in (output / "gallery" / "index.html").read_text()
    assert main(["gallery", str(output), "--title", "Another"]) == 0
    assert "<title>Another</title>" in (output / "gallery" / "index.html").read_text()


def test_a_job_may_leave_the_gallery_out(inputs, manifest, capsys):
    output = inputs / "out"
    assert main(["run", "--manifest", manifest, "--output", str(output), "--gallery=none"]) == 0
    said = capsys.readouterr().out
    assert "rows done" in said and "gallery:" not in said
    assert not (output / "gallery").exists() and (output / "dataset").exists()
    assert main(["gallery", str(output)]) == 0
    assert (output / "gallery" / "index.html").exists()


def test_grid_needs_no_tensorflow(inputs):
    (inputs / "spec.yaml").write_text("contents: [c.png]\nstyles: [s.png]")
    code = (
        "import sys; from pipeline.cli.main import main; "
        f"assert main(['grid', {str(inputs / 'spec.yaml')!r}, '--output', {str(inputs / 'g.parquet')!r}]) == 0; "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# A job that takes its time, and where it stops for long says so in a file.
SLOW = """
import sys, time
from pathlib import Path
from pipeline.cli.main import main
from stylecore.run.engine import Engine
from transforms.output import checkpoints, storage
from transforms.stylize import loading

where, flag = sys.argv[1], Path(sys.argv[2])

def slow(function, seconds, is_meant=lambda *arguments: True):
    def slowly(*arguments):
        if is_meant(*arguments):
            flag.touch()
            time.sleep(seconds)
        return function(*arguments)
    return slowly

Engine.advance = slow(Engine.advance, 0.02, lambda *_: where == "computing")
storage.write = slow(storage.write, 600, lambda uri, *_: f"/{where}/" in uri)
storage.write_file = slow(storage.write_file, 600, lambda uri, *_: f"/{where}/" in uri)
loading.load_problem = slow(loading.load_problem, 600, lambda *_: where == "loading")
sys.exit(main(sys.argv[3:]))
"""


class SlowJob:
    """A job of one run that spends its time at `where`."""

    def __init__(self, inputs, where, iterations=5):
        config = {**TINY, "iterations": iterations}
        rows = [{"content": "content.png", "style": "style_a.png", "config": config}]
        self.output = inputs / "out"
        self.arguments = ["--manifest", write_manifest(inputs / "m.parquet", rows), "--output", str(self.output)]
        self._flag = inputs / "flag"
        self.process = Process(SLOW, where, str(self._flag), "run", "--checkpoint_secs=0.001", *self.arguments)

    def wait_until(self, happened):
        while not happened() and self.process.poll() is None:
            time.sleep(0.01)
        assert self.process.poll() is None

    def wait_until_there(self):
        self.wait_until(self._flag.exists)

    def end(self):
        """Returns exit status and lines on standard error."""
        said = self.process.errors()
        assert "Traceback" not in said
        return self.process.returncode, said.strip().splitlines()


def test_a_signal_in_the_middle_saves_what_is_under_way_and_the_next_job_goes_on(inputs, caplog):
    job = SlowJob(inputs, "computing", iterations=100)
    job.wait_until(lambda: list(job.output.glob("checkpoints/*.npz")))
    job.process.send_signal(signal.SIGINT)
    status, lines = job.end()
    assert status == 130
    kept = "what is finished is kept and what was under way is saved, the same command goes on from there"
    assert lines[-1] == f"stopped; {kept}"
    (checkpoint,) = job.output.glob("checkpoints/*.npz")
    with np.load(checkpoint) as arrays:
        made = int(arrays["iteration"]) - 1
    assert 0 < made < 100
    with caplog.at_level(logging.INFO, logger="transforms.stylize.stylize_runs"):
        assert main(["run", *job.arguments]) == 0
    assert f"optimizing {checkpoint.stem} from iteration {made}" in caplog.text
    (row,) = metrics_of(job.output)
    assert [entry["iteration"] for entry in row["history"]][-1] == row["iterations"] == 100


def test_a_second_signal_ends_the_job_at_once(inputs):
    job = SlowJob(inputs, "checkpoints", iterations=1_000_000)
    job.wait_until_there()
    job.process.send_signal(signal.SIGINT)
    lines = iter(job.process.stderr.readline, "")
    assert "stopping: saving what is under way; once more to stop at once\n" in lines
    job.process.send_signal(signal.SIGINT)
    assert job.end() == (130, ["stopped at once; what is finished is kept, the same command goes on from there"])


@pytest.mark.parametrize("where", ["loading", "metrics"])
def test_a_signal_when_nothing_is_computed_ends_the_job_and_the_next_one_completes_it(inputs, where):
    job = SlowJob(inputs, where)
    job.wait_until_there()
    job.process.send_signal(signal.SIGTERM)
    status, lines = job.end()
    assert status == 143
    assert lines[-1] == "stopped; what is finished is kept, the same command goes on from there"
    assert metrics_of(job.output) == []
    assert main(["run", *job.arguments]) == 0
    assert [row["status"] for row in metrics_of(job.output)] == ["done"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_job_runs_elsewhere_does_not_claim_that_it_stopped(number, status):
    program = "import signal; from pipeline.cli.signals import stop_well\nwith stop_well(is_elsewhere=True): "
    program += f"signal.raise_signal({int(number)}); print('went on')"
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert ended.stderr == "no longer waiting; if the job was submitted, it goes on where it runs\n"


def test_a_signal_ends_the_job_though_nobody_reads_what_it_says(inputs):
    """As after Ctrl-C in `stylebeam run ... 2>&1 | tee log`: tee is gone first."""
    job = SlowJob(inputs, "computing", iterations=1_000_000)
    job.wait_until(lambda: list(job.output.glob("checkpoints/*.npz")))
    job.process.stderr.close()
    job.process.send_signal(signal.SIGINT)
    assert job.process.wait() == 130


@pytest.mark.parametrize("options", [[], ["--direct_running_mode=multi_threading", "--direct_num_workers=2"]])
def test_a_full_disk_in_the_middle_is_one_line_and_status_1(inputs, capsys, monkeypatch, options):
    rows = [{"content": "content.png", "style": "style_a.png", "config": {**TINY, "seed": seed}} for seed in range(3)]
    arguments = ["run", "--manifest", write_manifest(inputs / "m.parquet", rows), "--output", str(inputs / "out")]
    with monkeypatch.context() as patch:
        full_disk(patch, "images", after=1)
        assert main([*arguments, "--batch_size=1", *options]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    if not options:  # Beam's other threads print what they meet, whatever is asked of their loggers.
        assert [line for line in lines if not line.startswith("weights of")] == lines[-1:]
    assert re.match(r"stylebeam: .*images/.*\.png: cannot write it: .*No space left on device", lines[-1])
    assert len(list((inputs / "out" / "images").iterdir())) == 1
    assert main(arguments) == 0
    assert "3 of 3 rows done, 2 runs computed by this job" in capsys.readouterr().out
