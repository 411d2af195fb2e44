"""What is submitted to Dataflow: the job's description, written off-line, against readable golden files.

`--template_location` makes Beam write the description instead of starting a job; storage is an emulator on loopback.
"""

import dataclasses
import graphlib
import json
import os
import sys
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.internal import pickler
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipeline.run import run
from stylecore.config.style_config import StyleConfig
from stylecore.networks.precision import Arithmetic
from stylecore.run.devices import MissingGpuError
from tests.support.gcs_emulator import put
from tests.support.inputs import TINY, write_manifest
from tests.support.pictures import paint
from transforms.batch import RunBatch
from transforms.output import storage
from transforms.output.paths import Output
from transforms.output.published_weights import publish_weights
from transforms.probe import image_facts
from transforms.records import ManifestRow, Run, StyleEntry
from transforms.resolve import resolve_run
from transforms.stylize.stylize_runs import StylizeRuns

GOLDEN = Path(__file__).parent / "golden"
UPDATE = "STYLEBEAM_UPDATE_GOLDEN"
COMMAND = f"{UPDATE}=1 .venv/bin/python -m pytest tests/deploy/test_job_description.py"
CASES = ("none", "t4", "l4", "a100:2", "a100-80gb", "h100:8")
ROWS = [{"content": "content.png", "style": "style_a.png", "config": TINY}]
ACCELERATOR = common_urns.resource_hints.ACCELERATOR.urn


@dataclasses.dataclass(frozen=True)
class Description:
    """A job as Dataflow gets it: the JSON of the template, the pipeline that it refers to, what was staged."""

    job: dict
    pipeline: beam_runner_api_pb2.Pipeline
    staged: list[str]

    @property
    def leaves(self):
        """Name -> transform, for the transforms that do something, in the order of the data."""
        transforms = {t.unique_name: t for t in self.pipeline.components.transforms.values() if not t.subtransforms}
        makers = {pcoll: name for name, t in transforms.items() for pcoll in t.outputs.values()}
        before = {n: {makers[p] for p in sorted(t.inputs.values()) if p in makers} for n, t in transforms.items()}
        order = graphlib.TopologicalSorter({name: sorted(before[name]) for name in sorted(before)}).static_order()
        return {name: transforms[name] for name in order}

    def hints(self, transform):
        """URN -> value, as it reaches the workers."""
        environment = self.pipeline.components.environments[transform.environment_id]
        return {urn: value.decode() for urn, value in environment.resource_hints.items()}

    def hinted(self):
        """The names of the transforms that have hints."""
        return {name for name, t in self.leaves.items() if t.environment_id and self.hints(t)}


def describe(emulator, gpu):
    """Writes the description of a job of one run."""
    folder = gpu.replace(":", "-")
    root = storage.join(emulator.bucket, folder)
    image = "europe-west4-docker.pkg.dev/project/stylebeam/stylebeam:tag"
    arguments = [
        f"--manifest={emulator.bucket}/in/m.parquet",
        f"--output={emulator.bucket}/out",
        "--runner=DataflowRunner",
        "--project=project",
        "--region=us-central1",
        "--job_name=golden",
        f"--temp_location={root}/temp",
        f"--staging_location={root}/staging",
        f"--template_location={root}/job.json",
        f"--sdk_container_image={image}",
        *([f"--gpu={gpu}"] if gpu != "none" else []),
    ]
    assert run(arguments) is None
    job = json.loads(storage.read_bytes(f"{root}/job.json"))
    staged = list(emulator.objects(f"{folder}/staging/"))
    (pipeline,) = (name for name in staged if name.endswith("/pipeline.pb"))
    data = storage.read_bytes(storage.join(emulator.bucket, pipeline))
    return Description(job, beam_runner_api_pb2.Pipeline.FromString(data), sorted(n.rpartition("/")[2] for n in staged))


@pytest.fixture(scope="module")
def descriptions(emulator, tmp_path_factory):
    """Describes a job per GPU type, once each."""
    inputs = tmp_path_factory.mktemp("inputs")
    paint(inputs / "content.png", 60, 80, 1)
    paint(inputs / "style_a.png", 64, 64, 3)
    write_manifest(inputs / "m.parquet", ROWS)
    put(emulator, "in", inputs, "m.parquet", "content.png", "style_a.png")
    known = {}

    def description(gpu):
        if gpu not in known:
            known[gpu] = describe(emulator, gpu)
        return known[gpu]

    return description


def digest(description):
    """What a person wants to see of a description; steps by their label, in the order in which data leaves them."""
    environment = description.job["environment"]
    (pool,) = environment["workerPools"]
    return {
        "name": description.job["name"],
        "type": description.job["type"],
        "experiments": environment["experiments"],
        "service_options": environment.get("serviceOptions", []),
        "worker_pool": {
            "machine_type": pool.get("machineType"),
            "threads": pool.get("numThreadsPerWorker"),
            "images": sorted({image["containerImage"] for image in pool["sdkHarnessContainerImages"]}),
        },
        "staged": description.staged,
        "steps": steps(description),
    }


def steps(description):
    """One line a step: its label, and the hints of what is in it."""
    found: dict[str, dict[str, str]] = {}
    for name, transform in description.leaves.items():
        label = name.partition("/")[0]
        hints = found.pop(label, {}) | (description.hints(transform) if transform.environment_id else {})
        found[label] = hints
    return [" ".join([label, *(f"[{urn} {value}]" for urn, value in hints.items())]) for label, hints in found.items()]


@pytest.mark.parametrize("gpu", CASES)
def test_the_description_is_the_golden_one(descriptions, gpu):
    path = GOLDEN / f"{gpu.replace(':', '-')}.json"
    found = digest(descriptions(gpu))
    if os.environ.get(UPDATE):
        path.write_text(json.dumps(found, indent=2) + "\n")
        pytest.skip(f"{path.name} written")
    assert found == json.loads(path.read_text()), f"if this is what you want: {COMMAND}"


@pytest.mark.parametrize("gpu", CASES[1:])
def test_one_step_alone_asks_for_gpus(descriptions, gpu):
    description = descriptions(gpu)
    assert description.hinted() == {"StylizeRuns"}
    hints = description.hints(description.leaves["StylizeRuns"])
    assert set(hints) == {ACCELERATOR}
    assert hints[ACCELERATOR].startswith("type:nvidia-") and hints[ACCELERATOR].endswith(";install-nvidia-driver")


def test_without_gpu_no_step_asks_for_anything(descriptions):
    assert descriptions("none").hinted() == set()


def test_workers_need_nothing_but_the_image(descriptions):
    """No package and no pickled main session is staged: the list of versions is for the service's information."""
    assert descriptions("l4").staged == ["pipeline.pb", "submission_environment_dependencies.txt"]
    options = descriptions("l4").job["environment"]["sdkPipelineOptions"]["options"]
    assert options["sdk_location"] == "container"


def test_the_hinted_step_commits_before_it_yields(descriptions, emulator, monkeypatch):
    """No barrier can come between optimising and committing: the very DoFn that goes to the GPU workers does both."""
    stylize = step_of(descriptions("l4"))
    assert isinstance(stylize, StylizeRuns)
    monkeypatch.setattr(sys.modules[StylizeRuns.__module__], "check_gpu", lambda: None)
    output = Output(storage.join(emulator.bucket, "out"))
    batches = [(RunBatch(1, (make_run(output, emulator.bucket, seed),)),) for seed in (1, 2)]

    def committed(run_id, record):
        assert storage.exists(output.image(run_id)) and storage.exists(output.marker(run_id))
        return run_id, record.status

    with beam.Pipeline(runner=FnApiRunner()) as root:
        found = root | beam.Create(batches) | beam.ParDo(stylize) | beam.MapTuple(committed)
        assert_that(found, equal_to([(run.run_id, "done") for (batch,) in batches for run in batch.runs]))


def test_a_worker_without_its_gpu_would_stop_the_job(descriptions, monkeypatch):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind=None: [])
    with pytest.raises(MissingGpuError):
        step_of(descriptions("l4")).setup()


def step_of(description):
    """The DoFn of the optimising step, as a worker gets it."""
    payload = beam_runner_api_pb2.ParDoPayload.FromString(description.leaves["StylizeRuns"].spec.payload)
    return pickler.loads(payload.do_fn.payload)[0]


def make_run(output, bucket, seed):
    """A run of the job's images, as the steps before make it."""
    content, style = (storage.join(bucket, "in", name) for name in ("content.png", "style_a.png"))
    config = StyleConfig.from_dict({**TINY, "seed": seed})
    styles = (StyleEntry(style, style, 1.0),)
    row = ManifestRow(seed, "m.parquet", f"row-{seed}", content, content, styles, config, None)
    facts = {uri: image_facts(uri) for uri in (content, style)}
    run = resolve_run(row, facts, publish_weights(output, [(config.backbone, config.weights)], None), Arithmetic("any"))
    assert isinstance(run, Run)
    return run
