"""What --gpu adds to a job on Dataflow, and what it refuses."""

import pytest
from apache_beam.options.pipeline_options import DebugOptions, SetupOptions, WorkerOptions

from pipeline.beam_options import parse_options
from pipeline.dataflow.gpus import GPUS
from pipeline.dataflow.options import OTHER_MACHINE_TYPE, GpuWorkers, gpu_workers, on_dataflow, only_submits
from pipeline.options import OptionError
from pipeline.run import run
from tests.support.inputs import TINY, write_manifest

DATAFLOW = ("--runner=DataflowRunner", "--region=us-central1", "--sdk_container_image=example/image:tag")


def configured(*arguments):
    options = parse_options([*DATAFLOW, *arguments])
    return options, gpu_workers(options)


@pytest.mark.parametrize(("gpu", "count"), [(gpu, count) for gpu in GPUS for count in gpu.machine_types])
def test_the_hint_names_type_count_and_machine(gpu, count):
    _, workers = configured(f"--gpu={gpu.accelerator}:{count}", "--gpu_any_region")
    assert workers.required
    assert workers.hints == {
        "accelerator": f"type:{gpu.accelerator};count:{count};machine_type:{gpu.machine_types[count]};"
        "install-nvidia-driver"
    }


def test_one_process_one_thread_to_a_gpu_cheap_machines_elsewhere():
    options, _ = configured("--gpu=l4:4")
    assert options.view_as(DebugOptions).experiments == ["no_use_multiple_sdk_containers"]
    assert options.view_as(DebugOptions).number_of_worker_harness_threads == 4
    assert options.view_as(WorkerOptions).machine_type == OTHER_MACHINE_TYPE
    assert options.view_as(SetupOptions).sdk_location == "container"
    assert options.view_as(SetupOptions).save_main_session is False


def test_what_the_user_gave_is_kept():
    options, _ = configured(
        "--gpu=l4:2",
        "--experiments=shuffle_mode=service,no_use_multiple_sdk_containers",
        "--number_of_worker_harness_threads=2",
        "--worker_machine_type=n2-highmem-4",
        "--sdk_location=gs://bucket/beam.tar.gz",
        "--save_main_session",
        "--dataflow_service_options=pause_on_failure",
    )
    assert options.view_as(DebugOptions).experiments == ["shuffle_mode=service", "no_use_multiple_sdk_containers"]
    assert options.view_as(WorkerOptions).machine_type == "n2-highmem-4"
    assert options.view_as(SetupOptions).sdk_location == "gs://bucket/beam.tar.gz"
    assert options.view_as(SetupOptions).save_main_session is True


def test_without_gpu_nothing_is_touched():
    options, workers = configured()
    assert workers == GpuWorkers()
    assert options.get_all_options() == parse_options(DATAFLOW).get_all_options()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpu=l5"], r"--gpu: unknown GPU type 'l5', did you mean nvidia-l4\?"),
        (["--gpu=l4:3"], "--gpu: a worker has 1, 2, 4, 8 of nvidia-l4, got 'l4:3'"),
        (["--gpu=l4", "--sdk_container_image="], "--gpu needs --sdk_container_image"),
        (
            ["--gpu=l4", "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver"],
            "--dataflow_service_options=worker_accelerator=type:nvidia-l4.* asks for GPUs for every step",
        ),
        (["--gpu=l4", "--experiments=worker_accelerator=type:nvidia-l4"], "--experiments=worker_accelerator"),
        (["--gpu=l4", "--resource_hint=accelerator=type:nvidia-l4"], "--resource_hints=accelerator"),
        (["--gpu=l4", "--flexrs_goal=COST_OPTIMIZED"], "--flexrs_goal=COST_OPTIMIZED: FlexRS has no GPUs"),
        (["--gpu=l4", "--streaming"], "--streaming: a job with --gpu is a batch job"),
        (["--gpu=l4", "--experiments=use_multiple_sdk_containers"], "--gpu means one process to a worker"),
        (
            ["--gpu=l4:2", "--number_of_worker_harness_threads=12"],
            "--number_of_worker_harness_threads=12: --gpu nvidia-l4:2 means 2, one a GPU",
        ),
        (
            ["--gpu=l4", "--worker_machine_type=g2-standard-8"],
            "--worker_machine_type=g2-standard-8 .* the optimisation gets g2-standard-4 from --gpu",
        ),
        (["--gpu=a100", "--machine_type=a2-highgpu-1g"], "a2-highgpu-1g is for the steps without a GPU"),
        (["--gpu=a100-80gb", "--region=us-west1"], "region us-west1 has no nvidia-a100-80gb as of .*us-central1"),
        (["--gpu=l4", "--worker_region=us-west2"], "region us-west2 has no nvidia-l4"),
        (["--gpu=l4", "--worker_zone=us-west2-b"], "region us-west2 has no nvidia-l4"),
        (["--gpu=l4", "--region=us-centrall1"], "region us-centrall1 has no nvidia-l4 .*--gpu_any_region"),
    ],
)
def test_contradictions_are_found_before_anything_is_submitted(arguments, message):
    with pytest.raises(OptionError, match=message):
        configured(*arguments)


def test_a_list_of_regions_grows_old():
    assert configured("--gpu=l4", "--region=us-west2", "--gpu_any_region")[1].required


def test_where_the_region_is_not_said_it_is_not_judged():
    options = parse_options(["--runner=DataflowRunner", "--sdk_container_image=i", "--gpu=a100-80gb"])
    assert gpu_workers(options).required


@pytest.mark.parametrize(
    ("runner", "expected"),
    [
        ("DataflowRunner", True),
        ("dataflowrunner", True),
        ("dataflow", True),
        ("apache_beam.runners.dataflow.dataflow_runner.DataflowRunner", True),
        ("DirectRunner", False),
        ("FlinkRunner", False),
    ],
)
def test_dataflow_in_every_spelling(runner, expected):
    assert on_dataflow(parse_options([f"--runner={runner}"])) is expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], False),
        (["--no_wait", "--runner=DataflowRunner"], True),
        (["--no_wait", "--runner=FlinkRunner"], True),
        (["--no_wait"], False),
        (["--no_wait", "--runner=DirectRunner"], False),
        (["--no_wait", "--runner=apache_beam.runners.direct.DirectRunner"], False),
        (["--template_location=gs://bucket/job"], True),
    ],
)
def test_only_a_template_or_a_job_elsewhere_is_not_waited_for(arguments, expected):
    assert only_submits(parse_options(arguments)) is expected


def test_elsewhere_a_gpu_is_required_and_nothing_else_changes():
    options = parse_options(["--runner=DirectRunner", "--gpu=l4"])
    assert gpu_workers(options) == GpuWorkers(required=True)
    assert options.view_as(DebugOptions).experiments is None


def test_a_machine_without_the_promised_gpu_is_told_at_once(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind=None: [])
    manifest = write_manifest(
        inputs / "m.parquet", [{"content": "content.png", "style": "style_a.png", "config": TINY}]
    )
    with pytest.raises(OptionError, match="--gpu: this worker should have a GPU, and TensorFlow finds none"):
        run(["--manifest", str(manifest), "--output", str(tmp_path / "out"), "--gpu=l4"])
    assert not (tmp_path / "out").exists()
