"""What a job on Dataflow gets beside the options that the user gave, and what is refused."""

import pytest
from apache_beam.options.pipeline_options import DebugOptions, SetupOptions, WorkerOptions

from pipeline.beam_options import outlives_this_process, parse_options, workers_are_here
from pipeline.computing import batch_limits
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


def test_without_gpu_a_worker_is_one_process_with_one_thread_and_known_memory():
    options, workers = configured()
    assert workers == GpuWorkers()
    assert options.view_as(DebugOptions).experiments == ["no_use_multiple_sdk_containers"]
    assert options.view_as(DebugOptions).number_of_worker_harness_threads == 1
    assert options.view_as(WorkerOptions).machine_type == OTHER_MACHINE_TYPE
    assert batch_limits(options).room.memory_bytes == 8 * 10**9


def test_without_gpu_the_memory_that_the_user_names_bounds_batches():
    options, _ = configured("--worker_machine_type=n2-highmem-4", "--device_memory_gb=30")
    assert options.view_as(WorkerOptions).machine_type == "n2-highmem-4"
    assert batch_limits(options).room.memory_bytes == 30 * 10**9


def test_without_gpu_the_code_may_come_from_setup_file():
    options, _ = configured("--sdk_container_image=", "--setup_file=./setup.py")
    assert options.view_as(SetupOptions).sdk_location == "default"


def test_prime_chooses_the_machines_without_gpu():
    options, _ = configured("--dataflow_service_options=enable_prime", "--device_memory_gb=8")
    assert options.view_as(WorkerOptions).machine_type is None


@pytest.mark.parametrize("name", ["manifest", "output"])
@pytest.mark.parametrize("runner", [DATAFLOW, ("--runner=FlinkRunner",), ("--runner=PortableRunner",)])
def test_a_path_of_this_machine_is_refused_where_workers_do_not_see_it(runner, name, tmp_path):
    paths = {"manifest": "gs://bucket/m.parquet", "output": "gs://bucket/out", name: str(tmp_path / name)}
    with pytest.raises(OptionError, match=f"--{name}: .* is a path of this machine, .* use gs://"):
        run([*runner, *(f"--{option}={path}" for option, path in sorted(paths.items(), reverse=True))])
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("arguments", "outlives"),
    [
        ([], False),
        (["--runner=DirectRunner"], False),
        (["--runner=DataflowRunner"], True),
        (["--runner=PortableRunner", "--job_endpoint=localhost:1", "--environment_type=EXTERNAL"], True),
        (["--runner=PortableRunner", "--job_endpoint=localhost:1", "--environment_type=LOOPBACK"], False),
        (["--runner=PortableRunner", "--job_endpoint=embed"], False),
        (["--runner=FlinkRunner"], False),
    ],
)
def test_which_jobs_go_on_without_the_command(arguments, outlives):
    assert outlives_this_process(parse_options(arguments)) == outlives


@pytest.mark.parametrize(
    ("arguments", "here"),
    [
        (["--environment_type=LOOPBACK"], True),
        (["--environment_type=EXTERNAL", "--environment_config=localhost:50000"], True),
        (["--environment_type=EXTERNAL", "--environment_config=[::1]:50000"], True),
        (["--environment_type=EXTERNAL", "--environment_config=worker-1:50000"], False),
        (["--environment_type=EXTERNAL"], False),
        (["--environment_type=DOCKER", "--environment_config=localhost:50000/image"], False),
    ],
)
def test_workers_at_an_address_of_this_machine_have_its_files(arguments, here):
    assert workers_are_here(parse_options(["--runner=PortableRunner", *arguments])) == here


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
        (["--gpu=l4", "--streaming"], "--streaming: StyleBeam's jobs are batch jobs"),
        (["--gpu=l4", "--experiments=use_multiple_sdk_containers"], "a worker is one process, .* share a GPU"),
        (
            ["--gpu=l4:2", "--number_of_worker_harness_threads=12"],
            "--number_of_worker_harness_threads=12: --gpu nvidia-l4:2 means 2, one a GPU",
        ),
        (
            ["--gpu=l4", "--worker_machine_type=g2-standard-8"],
            "--worker_machine_type=g2-standard-8 .* the optimisation gets g2-standard-4 from --gpu",
        ),
        (["--sdk_container_image="], "--runner=DataflowRunner needs --sdk_container_image or --setup_file"),
        (["--streaming"], "--streaming: StyleBeam's jobs are batch jobs"),
        (["--experiments=use_multiple_sdk_containers"], "a worker is one process, .* the memory that bounds a batch"),
        (["--number_of_worker_harness_threads=12"], "=12: a CPU computes one batch: 1"),
        (["--worker_machine_type=n2-highmem-4"], "n2-highmem-4 without --gpu needs --device_memory_gb"),
        (["--dataflow_service_options=enable_prime"], "enable_prime without --gpu needs --device_memory_gb"),
        (
            ["--dataflow_service_options=enable_prime", "--worker_machine_type=n2-highmem-4"],
            "enable_prime: Dataflow Prime chooses the machines, .*--worker_machine_type=n2-highmem-4 out",
        ),
        (["--gpu=l4", "--dataflow_service_options=enable_prime"], "enable_prime: .* --gpu names their type"),
        (["--gpu=l4", "--experiments=enable_prime"], "enable_prime: .* --gpu names their type"),
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
