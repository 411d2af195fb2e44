"""The steps of deploy/README.md: its make targets exist, and the program understands what they run."""

import json
import os
import re
import shlex
import subprocess

import pytest
from ruamel.yaml import YAML

from pipeline.beam_options import parse_options
from pipeline.cli import main as cli
from pipeline.dataflow.gpus import GPUS
from pipeline.dataflow.options import gpu_workers, only_submits
from tests.support.paths import ROOT

DEPLOY = ROOT / "deploy"
README = (DEPLOY / "README.md").read_text()
TARGETS = re.findall(r"^([a-z][\w-]*):", (DEPLOY / "Makefile").read_text(), re.MULTILINE)


def commands(target, **variables):
    """What a target would run."""
    settings = [f"{name}={value}" for name, value in {"PROJECT": "project", "BUCKET": "bucket", **variables}.items()]
    output = subprocess.check_output(["make", "-s", "-n", "-C", DEPLOY, target, *settings], text=True)
    return [line for line in output.replace("\\\n", " ").splitlines() if "is not set" not in line]


def test_the_readme_names_every_target_and_no_other():
    code = re.findall(r"`([^`\n]+)`", README) + re.findall(r"^    (.+)$", README, re.MULTILINE)
    lines = [re.split(r"\s{3,}", line)[0].split() for line in code if re.match(r"make [a-z]", line)]
    assert {word for _, *words in lines for word in words if "=" not in word} == set(TARGETS) - {"settings"}


@pytest.mark.parametrize("target", TARGETS)
def test_without_settings_nothing_runs(target):
    environment = {name: value for name, value in os.environ.items() if name not in ("PROJECT", "BUCKET")}
    done = subprocess.run(["make", "-C", DEPLOY, target], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "PROJECT is not set" in done.stdout
    assert "gcloud" not in done.stdout


@pytest.mark.parametrize("gpu", [gpu.accelerator for gpu in GPUS])
def test_run_is_a_command_that_the_program_takes(gpu):
    (line,) = commands("run", GPU=gpu)
    arguments = shlex.split(line)
    assert arguments[0].endswith("/stylebeam") and arguments[1] == "run"
    options = parse_options(arguments[2:])
    assert gpu_workers(options).required and only_submits(options)


@pytest.mark.parametrize("target", ["weights", "plan", "watch"])
def test_other_commands_of_the_program(target):
    lines = commands(target)
    assert lines
    for line in lines:
        assert shlex.split(line)[0].endswith("/stylebeam")
        cli.build_parser().parse_args(shlex.split(line)[1:])


def test_the_template_is_given_what_it_has(template_parameters):
    (line,) = commands("run-template")
    given = [argument.removeprefix("--parameters=") for argument in shlex.split(line) if "--parameters=" in argument]
    values = dict(pair.split("=", 1) for group in given for pair in group.split(","))
    for name, value in values.items():
        assert all(re.fullmatch(regex, value) for regex in template_parameters[name].get("regexes", []))
    assert {name for name, p in template_parameters.items() if not p.get("isOptional")} <= set(values)


@pytest.fixture
def template_parameters():
    return {p["name"]: p for p in json.loads((DEPLOY / "metadata.json").read_text())["parameters"]}


def test_both_ways_of_submitting_say_the_same():
    run, template = commands("run", JOB="j")[0], commands("run-template", JOB="j")[0]
    for pattern in (r"service.account.email=(\S+)", r"subnetwork=(\S+)", r"max\S*workers=(\S+)", r"(?:--|,)gpu=(\w+)"):
        (ours,), (theirs,) = re.findall(pattern, run), re.findall(pattern, template)
        assert ours == theirs
    for text in ("gs://bucket/weights", "gs://bucket/gallery", "pause_on_failure", "app=stylebeam", "public"):
        assert text in run and text in template


def test_cloud_build_is_given_what_it_asks_for():
    build = YAML(typ="safe").load(DEPLOY / "cloudbuild.yaml")
    (line,) = commands("image")
    (given,) = re.findall(r"--substitutions=(\S+)", line)
    assert set(build["substitutions"]) == {pair.partition("=")[0] for pair in given.split(",")}
    files = [argument for step in build["steps"] for argument in step["args"] if "deploy/" in argument]
    assert files and all((ROOT / argument.rpartition("=")[2]).exists() for argument in files)
    assert "--config=cloudbuild.yaml" in line and commands("smoke")[-1]


def test_the_smoke_script_is_bash():
    subprocess.run(["bash", "-n", DEPLOY / "smoke.sh"], check=True)


def test_accounts_get_roles_of_the_table_and_no_others():
    granted = set(re.findall(r"--role=(roles/\S+)", "\n".join(commands("accounts"))))
    table = README.partition("**2. Accounts.**")[2].partition("make accounts")[0]
    assert granted == set(re.findall(r"`(roles/[\w.]+)`", table))
    assert not any(role.endswith((".admin", "/owner", "/editor")) for role in granted)
