"""What a job on Dataflow needs: hints for the one step with GPUs, options of the workers, and contradictions.

On Dataflow ("right fitting") a resource hint on the optimising transform alone asks for GPU workers and their machine
type; every other step runs on cheap workers. Contradictions are found before anything is submitted.

References:
  https://cloud.google.com/dataflow/docs/guides/right-fitting
  https://cloud.google.com/dataflow/docs/gpu/develop-with-gpus
"""

import dataclasses
from collections.abc import Iterator, Mapping

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
    WorkerOptions,
)

from pipeline.beam_options import StyleBeamOptions, runner_name, runs_here
from pipeline.dataflow.gpus import REGIONS_AS_OF, Gpu, GpuError, parse_gpu
from pipeline.options import OptionError

# For the steps without a GPU. They too run one process with one thread for each GPU, so more cores would be idle.
OTHER_MACHINE_TYPE = "e2-standard-2"
_OTHER_MACHINE_GB = 8.0
# Machine series with built-in GPUs, which the other steps do not need.
_GPU_SERIES = ("g2-", "g4-", "a2-", "a3-", "a4-", "a4x-")


@dataclasses.dataclass(frozen=True)
class GpuWorkers:
    """The demands of the optimising step.

    Attributes:
      required: whether a worker without a GPU stops the job.
      hints: Beam's resource hints.
    """

    required: bool = False
    hints: Mapping[str, str] = dataclasses.field(default_factory=dict)


def gpu_workers(options: PipelineOptions) -> GpuWorkers:
    """Adds to the options what workers on Dataflow need, and keeps the values that the user gave.

    Elsewhere the only consequence is that a GPU is required if --gpu asks for one.

    Raises:
      OptionError: the type is unknown, no machine has that number of GPUs, or the options contradict each other.
    """
    wanted = options.view_as(StyleBeamOptions).gpu
    try:
        gpu, count = parse_gpu(wanted) if wanted else (None, 1)
    except GpuError as error:
        raise OptionError(f"--gpu: {error}") from error
    if not on_dataflow(options):
        return GpuWorkers(required=gpu is not None)
    for contradiction in _contradictions(options, gpu, count):
        raise OptionError(contradiction)
    _set_worker_options(options, count)
    if gpu is None:
        return GpuWorkers()
    # No min_ram: the machine type fixes the memory, and a second demand could only contradict it.
    accelerator = f"type:{gpu.accelerator};count:{count};machine_type:{gpu.machine_types[count]};install-nvidia-driver"
    return GpuWorkers(required=True, hints={"accelerator": accelerator})


def on_dataflow(options: PipelineOptions) -> bool:
    """Returns whether the job goes to Dataflow, by any of the spellings that Beam accepts."""
    return runner_name(options) == "dataflow"


def only_submits(options: PipelineOptions) -> bool:
    """Returns whether the command ends with the submission: it writes a template, or has --no_wait for a remote job."""
    goes_on = options.view_as(StyleBeamOptions).no_wait and not runs_here(options)
    return bool(goes_on or options.view_as(GoogleCloudOptions).template_location)


def _set_worker_options(options: PipelineOptions, count: int) -> None:
    """Sets one process per worker, one thread per device, and all code from the image: none from this __main__."""
    own, debug = options.view_as(StyleBeamOptions), options.view_as(DebugOptions)
    workers, setup = options.view_as(WorkerOptions), options.view_as(SetupOptions)
    debug.add_experiment("no_use_multiple_sdk_containers")
    debug.number_of_worker_harness_threads = count
    if not workers.machine_type and not _prime(options):
        workers.machine_type = OTHER_MACHINE_TYPE
        if not own.gpu:
            own.device_memory_gb = own.device_memory_gb or _OTHER_MACHINE_GB
    if workers.sdk_container_image and setup.sdk_location == "default":
        setup.sdk_location = "container"
    if setup.save_main_session is None:
        setup.save_main_session = False


def _contradictions(options: PipelineOptions, gpu: Gpu | None, count: int) -> Iterator[str]:
    """Yields a message for each option that contradicts workers with `count` GPUs of a type, or with a CPU alone."""
    if options.view_as(StandardOptions).streaming:
        yield "--streaming: StyleBeam's jobs are batch jobs, leave it out"
    yield from _unfit_processes(options, gpu, count)
    if gpu:
        yield from _unfit_with_gpu(options, gpu, count)
    else:
        yield from _unfit_without_gpu(options)


def _unfit_without_gpu(options: PipelineOptions) -> Iterator[str]:
    workers = options.view_as(WorkerOptions)
    if not workers.sdk_container_image and not options.view_as(SetupOptions).setup_file:
        yield (
            "--runner=DataflowRunner needs --sdk_container_image or --setup_file: Beam's own image has no StyleBeam, "
            "see deploy/README.md"
        )
    if _prime(options) and workers.machine_type:
        yield (
            "enable_prime: Dataflow Prime chooses the machines, leave it or "
            f"--worker_machine_type={workers.machine_type} out"
        )
    if (workers.machine_type or _prime(options)) and not options.view_as(StyleBeamOptions).device_memory_gb:
        machine = f"--worker_machine_type={workers.machine_type}" if workers.machine_type else "enable_prime"
        yield f"{machine} without --gpu needs --device_memory_gb, the memory of a worker in GB: it bounds the batches"


def _unfit_with_gpu(options: PipelineOptions, gpu: Gpu, count: int) -> Iterator[str]:
    if not options.view_as(WorkerOptions).sdk_container_image:
        yield "--gpu needs --sdk_container_image: Beam's own has neither StyleBeam nor CUDA, see deploy/README.md"
    yield from _other_demands(options)
    goal = options.view_as(GoogleCloudOptions).flexrs_goal
    if goal:
        yield f"--flexrs_goal={goal}: FlexRS has no GPUs, leave it or --gpu out"
    if _prime(options):
        yield "enable_prime: Dataflow Prime chooses the machines, --gpu names their type: leave one of the two out"
    machine_type = options.view_as(WorkerOptions).machine_type
    if machine_type and machine_type.startswith(_GPU_SERIES):
        yield (
            f"--worker_machine_type={machine_type} is for the steps without a GPU, the optimisation gets "
            f"{gpu.machine_types[count]} from --gpu: leave it out, or name a machine without GPUs"
        )
    region = _region(options)
    if region and region not in gpu.regions and not options.view_as(StyleBeamOptions).gpu_any_region:
        yield (
            f"region {region} has no {gpu.accelerator} as of {REGIONS_AS_OF}, but {', '.join(sorted(gpu.regions))}; "
            "if it has by now: --gpu_any_region"
        )


def _other_demands(options: PipelineOptions) -> Iterator[str]:
    given = {
        "dataflow_service_options": options.view_as(GoogleCloudOptions).dataflow_service_options,
        "experiments": options.view_as(DebugOptions).experiments,
        "resource_hints": options.view_as(StandardOptions).resource_hints,
    }
    for name, values in given.items():
        for value in values or ():
            if value.startswith(("worker_accelerator", "accelerator")):
                yield f"--{name}={value} asks for GPUs for every step, --gpu for the optimisation alone: choose one"


def _unfit_processes(options: PipelineOptions, gpu: Gpu | None, count: int) -> Iterator[str]:
    debug = options.view_as(DebugOptions)
    if debug.lookup_experiment("use_multiple_sdk_containers"):
        yield (
            "--experiments=use_multiple_sdk_containers: a worker is one process, since several would share "
            f"{'a GPU' if gpu else 'the memory that bounds a batch'}"
        )
    threads = debug.number_of_worker_harness_threads
    if threads not in (None, count):
        means = f"--gpu {gpu.accelerator}:{count} means {count}, one a GPU" if gpu else "a CPU computes one batch: 1"
        yield f"--number_of_worker_harness_threads={threads}: {means}"


def _prime(options: PipelineOptions) -> bool:
    services = options.view_as(GoogleCloudOptions).dataflow_service_options or ()
    return "enable_prime" in services or bool(options.view_as(DebugOptions).lookup_experiment("enable_prime"))


def _region(options: PipelineOptions) -> str | None:
    """Returns the region of the workers; None if the options do not name one."""
    workers = options.view_as(WorkerOptions)
    zone = workers.worker_zone or workers.zone
    if zone:
        return str(zone).rpartition("-")[0]
    region = workers.worker_region or options.view_as(GoogleCloudOptions).region
    return str(region) if region else None
