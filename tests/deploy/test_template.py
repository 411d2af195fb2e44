"""The Flex Template: its parameters are the program's options, and its launcher hands them over without waiting."""

import argparse
import json
import re

import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions

from deploy import launcher
from pipeline.beam_options import StyleBeamOptions, flags, parse_options
from pipeline.dataflow.options import gpu_workers, only_submits
from tests.support.paths import ROOT

METADATA = json.loads((ROOT / "deploy" / "metadata.json").read_text())
PARAMETERS = {parameter["name"]: parameter for parameter in METADATA["parameters"]}
# Options of `stylebeam run` that a template does not offer, and why.
NOT_OFFERED = {
    "no_wait": "the launcher never waits",
}
# Options of Beam that it offers, because `gcloud dataflow flex-template run` has no flag for them.
BEAMS = {"sdk_container_image", "dataflow_service_options"}


def options_of_run():
    parser = argparse.ArgumentParser()
    StyleBeamOptions._add_argparse_args(parser)
    return {name.removeprefix("--") for a in parser._actions for name in a.option_strings} - {"h", "-h", "help"}


def test_every_parameter_is_an_option_and_every_option_a_parameter():
    assert set(PARAMETERS) == (options_of_run() - set(NOT_OFFERED)) | BEAMS
    assert set(NOT_OFFERED) <= options_of_run()


def test_booleans_are_the_flags():
    booleans = {f"--{name}" for name, parameter in PARAMETERS.items() if parameter.get("paramType") == "BOOLEAN"}
    assert booleans == {f"--{name}" for name in PARAMETERS} & flags()


def test_what_the_program_requires_the_template_requires():
    required = {name for name, parameter in PARAMETERS.items() if not parameter.get("isOptional")}
    assert required == {"manifest", "output", "sdk_container_image"}


EXAMPLES = {
    "manifest": "gs://bucket/manifest.parquet",
    "output": "gs://bucket/gallery",
    "sdk_container_image": "us-central1-docker.pkg.dev/project/stylebeam/stylebeam:tag",
    "gpu": "l4:2",
    "gpu_any_region": "false",
    "weights_dir": "gs://bucket/weights",
    "weights_source": "pypi",
    "limit": "4",
    "batch_size": "8",
    "max_batch_secs": "300",
    "device_memory_gb": "22.5",
    "tile_px": "512",
    "checkpoint_secs": "60",
    "frames": "10",
    "run_timeout_secs": "3600",
    "xla": "true",
    "deterministic": "true",
    "dataset": "metadata",
    "gallery": "none",
    "measures": "none",
    "title": "Two places, three painters",
    "dataflow_service_options": "pause_on_failure",
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_sensible_value_passes_the_template_and_the_program(name):
    for regex in PARAMETERS[name].get("regexes", []):
        assert re.fullmatch(regex, EXAMPLES[name])
    parse_options(list(launcher.run_arguments([f"--{name}={EXAMPLES[name]}"])))


@pytest.mark.parametrize(
    ("name", "value"),
    [("manifest", "/tmp/m.parquet"), ("gpu", "l4:"), ("limit", "0"), ("weights_source", "hub"), ("dataset", "all")],
)
def test_a_mistake_is_found_before_a_machine_is_started(name, value):
    assert not all(re.fullmatch(regex, value) for regex in PARAMETERS[name]["regexes"])


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        (["--deterministic=true"], ["--deterministic", "--no_wait"]),
        (["--deterministic=False", "--limit=3"], ["--limit=3", "--no_wait"]),
        (["--gpu=l4", "--no_use_public_ips"], ["--gpu=l4", "--no_use_public_ips", "--no_wait"]),
        (["--no_wait"], ["--no_wait"]),
        ([], ["--no_wait"]),
    ],
)
def test_flags_lose_their_value_and_nobody_waits(parameters, arguments):
    assert list(launcher.run_arguments(parameters)) == arguments


def test_a_flag_is_true_or_false():
    with pytest.raises(SystemExit, match="--deterministic must be true or false, got maybe"):
        list(launcher.run_arguments(["--deterministic=maybe"]))


def test_a_launch():
    """What the service adds to the parameters, as far as it is documented, is understood; nothing contradicts --gpu."""
    service = [
        "--runner=DataflowRunner",
        "--project=project",
        "--region=us-central1",
        "--job_name=stylebeam",
        "--template_location=gs://staging/template_launches/id/job_object",
        "--temp_location=gs://bucket/temp",
        "--staging_location=gs://bucket/staging",
        "--service_account_email=worker@project.iam.gserviceaccount.com",
        "--subnetwork=regions/us-central1/subnetworks/stylebeam",
        "--max_num_workers=4",
        "--labels=app=stylebeam",
    ]
    parameters = [f"--{name}={value}" for name, value in EXAMPLES.items()]
    options = parse_options(list(launcher.run_arguments([*parameters, *service])))
    assert gpu_workers(options).required and only_submits(options)
    assert options.view_as(GoogleCloudOptions).dataflow_service_options == ["pause_on_failure"]
    assert options.view_as(StyleBeamOptions).deterministic and not options.view_as(StyleBeamOptions).gpu_any_region
