"""`stylebeam run`: opens the manifest, publishes the weights, builds the pipeline and runs it."""

import contextlib
import dataclasses
import datetime
import platform
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.beam_options import StyleBeamOptions, parse_options
from pipeline.build import Job, define_pipeline
from pipeline.cli.progress_bar import run_bar
from pipeline.computing import arithmetic, batch_limits, stylize_options
from pipeline.dataflow.options import GpuWorkers, gpu_workers, only_submits
from pipeline.options import OptionError
from pipeline.status.process import this_process
from stylecore.networks.weights.sources import WeightsError
from stylecore.run.devices import MissingGpuError, check_gpu
from stylecore.version import __version__
from transforms.manifest.read import ManifestError, distinct_backbones, open_manifest
from transforms.metrics import job_json, summary
from transforms.output import storage
from transforms.output.paths import JSON, Output
from transforms.output.published_weights import publish_weights


class JobError(RuntimeError):
    """A job that ended before it was finished; what is finished is kept."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """How a job ended: rows done and failed (by error type), runs computed by this job, where the gallery is."""

    done: int
    failed: dict[str, int]
    computed: int
    gallery: str


def run(arguments: Sequence[str]) -> Summary | None:
    """Runs a job; returns None if it was only submitted.

    Raises:
      OptionError, ManifestError, WeightsError, StorageError: before any work.
      JobError: in the middle of it.
    """
    options = parse_options(arguments)
    # What is looked at before there is a pipeline is read and written under its identity too.
    FileSystems.set_options(options)
    workers = gpu_workers(options)
    if workers.required and _computes_here(options):
        _check_gpu_here()
    job = prepare_job(options.view_as(StyleBeamOptions), workers)
    with run_bar(job.output, _computes_here(options)):
        pipeline = beam.Pipeline(runner=_runner(options), options=options)
        define_pipeline(pipeline, job)
        with _job_errors():
            result = pipeline.run()
            if only_submits(options):
                return None
            result.wait_until_finish()
            done, failed = summary(job.output)
    return Summary(done, failed, _counter(result, "runs_computed"), job.output.gallery("index.html"))


def prepare_job(options: StyleBeamOptions, workers: GpuWorkers) -> Job:
    """Looks at everything that a job needs before any work; see `run` for what is raised."""
    for name in ("manifest", "output"):
        if not getattr(options, name):
            raise OptionError(f"--{name} is required")
        try:
            storage.check_scheme(getattr(options, name))
        except ValueError as error:
            raise OptionError(f"--{name}: {error}") from error
    manifest = open_manifest(options.manifest, options.limit)
    output = Output(options.output)
    description = {
        "manifest": options.manifest,
        "rows": manifest.rows,
        "runs": None,
        "dataset": options.dataset,
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "stylebeam_version": __version__,
        "tensorflow_version": tf.__version__,
        "beam_version": beam.__version__,
        "python_version": platform.python_version(),
        "process": this_process() if _runs_here(options) else None,
    }
    storage.write(output.job, job_json(description), JSON)
    _check_output(output)
    fingerprints = publish_weights(output, distinct_backbones(manifest), options.weights_dir, options.weights_source)
    return Job(
        manifest=manifest,
        output=output,
        fingerprints=fingerprints,
        description=description,
        arithmetic=arithmetic(options),
        limits=batch_limits(options),
        stylize=stylize_options(options, require_gpu=workers.required),
        stylize_hints=workers.hints,
        dataset=options.dataset,
    )


@contextlib.contextmanager
def _job_errors() -> Iterator[None]:
    """Tells what cannot be read or written in the middle of the work from the same before it."""
    try:
        yield
    except (ManifestError, WeightsError, storage.StorageError) as error:
        raise JobError(f"{error}; what is finished is kept, the same command goes on from there") from error


def _check_output(output: Output) -> None:
    """What could be written can be read and listed? Better refused now than on a worker."""
    storage.read_bytes(output.job)
    list(storage.list_names(storage.join(output.root, "weights")))


def _runs_here(options: PipelineOptions) -> bool:
    """Whether the job ends with this process."""
    return options.view_as(StandardOptions).runner in (None, "DirectRunner") and not only_submits(options)


def _runner(options: PipelineOptions) -> Any:
    """Without --runner everything runs in this process; DirectRunner may fetch another engine where there is a net."""
    return options.view_as(StandardOptions).runner or FnApiRunner()


def _computes_here(options: PipelineOptions) -> bool:
    local = options.view_as(StandardOptions).runner is None
    return local and options.view_as(DirectOptions).direct_running_mode != "multi_processing"


def _check_gpu_here() -> None:
    try:
        check_gpu()
    except MissingGpuError as error:
        raise OptionError(f"--gpu: {error}") from error


def _counter(result: Any, name: str) -> int:
    found = result.metrics().query(beam.metrics.MetricsFilter().with_name(name))["counters"]
    return sum(counter.result for counter in found)
