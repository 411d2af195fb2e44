"""`stylebeam run`: opens the manifest, publishes the weights, builds the pipeline and runs it."""

import contextlib
import dataclasses
import datetime
import logging
import platform
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import grpc
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipeline.beam_options import StyleBeamOptions, parse_options, runs_here, workers_are_here
from pipeline.build import Job, define_pipeline
from pipeline.cli.progress import job_progress
from pipeline.computing import arithmetic, batch_limits, stylize_options
from pipeline.dataflow.options import GpuWorkers, gpu_workers, only_submits
from pipeline.lost import lost_part
from pipeline.options import OptionError, check_paths
from pipeline.status.process import is_alive, this_process
from stylecore.errors import UsageError
from stylecore.kernels import KernelsError, arithmetic_description, check_deterministic
from stylecore.run.devices import MissingGpuError, check_gpu
from stylecore.version import __version__
from transforms.manifest.files import open_manifest
from transforms.manifest.networks import distinct_backbones
from transforms.output import storage
from transforms.output.attempts import gather_attempts
from transforms.output.commit import finished_ids
from transforms.output.job import JobRecord, read_job, write_job
from transforms.output.metrics_files import summary
from transforms.output.paths import Output
from transforms.output.published_weights import publish_measuring_network, publish_weights

logger = logging.getLogger(__name__)


class JobError(RuntimeError):
    """A job that stopped in the middle of its work; finished runs are kept."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """How a job ended: rows done and failed (by error type), runs that it computed, and the path of its gallery.

    The path is None if the gallery was not asked for, or could not be written, which does not fail a job.
    """

    done: int
    failed: dict[str, int]
    computed: int
    gallery: str | None


def run(arguments: Sequence[str]) -> Summary | None:
    """Runs a job.

    Args:
      arguments: the command line's arguments, StyleBeam's options and Beam's.

    Returns:
      The job's end; None if the job was only submitted.

    Raises:
      OptionError, ManifestError, WeightsError, StorageError: the job cannot begin; no work was done.
      JobError: the manifest, the weights or the storage failed in the middle of the work, or a worker was lost.
    """
    options = parse_options(arguments)
    # Files are accessed under the pipeline's identity even before the pipeline exists.
    FileSystems.set_options(options)
    workers = gpu_workers(options)
    if workers.required and _computes_here(options):
        _check_gpu_here()
    if options.view_as(StyleBeamOptions).deterministic and _computes_here(options):
        _check_deterministic_here()
    job = prepare_job(options.view_as(StyleBeamOptions), workers)
    if job.stylize.frames and (finished := finished_ids(job.output)):
        logger.warning(
            "--frames: %d runs of %s are finished; those without frames stay without, since frames are made while a "
            "run computes",
            len(finished),
            job.output.root,
        )
    with job_progress(job.output, _computes_here(options)):
        # DirectRunner may download another engine, so FnApiRunner is the default.
        runner = options.view_as(StandardOptions).runner or FnApiRunner()
        pipeline = beam.Pipeline(runner=runner, options=options)
        define_pipeline(pipeline, job)
        with _job_errors(arguments, options):
            result = pipeline.run()
            if only_submits(options):
                return None
            result.wait_until_finish()
            done, failed = _outcomes(job)
    written = job.gallery and not _counter(result, "galleries_failed")
    gallery = job.output.gallery("index.html") if written else None
    return Summary(done, failed, _counter(result, "runs_computed"), gallery)


def _outcomes(job: Job) -> tuple[int, dict[str, int]]:
    """Returns how many rows are done, and how many failed by error type, as the job has counted them in job.json."""
    record = read_job(job.output)
    if record is not None and record.id == job.record.id and record.done is not None and record.failed is not None:
        return record.done, dict(record.failed)
    # Another job has begun in the directory since.
    return summary(job.output, job.record.id)


def prepare_job(options: StyleBeamOptions, workers: GpuWorkers) -> Job:
    """Checks the manifest, prepares the output directory and publishes the weights.

    Args:
      options: the command line's options.
      workers: the demands of --gpu.

    Raises:
      OptionError, ManifestError, WeightsError, StorageError: the job cannot begin.
    """
    check_paths(options)
    for name in ("manifest", "output"):
        if not getattr(options, name):
            raise OptionError(f"--{name} is required")
        if storage.is_local(getattr(options, name)) and not workers_are_here(options):
            raise OptionError(
                f"--{name}: {getattr(options, name)} is a path of this machine, which the workers of "
                f"--runner={options.view_as(StandardOptions).runner} do not see: use gs://"
            )
    manifest = open_manifest(options.manifest, options.limit)
    output = Output(options.output)
    local = runs_here(options) and not only_submits(options)
    record = JobRecord(
        id=manifest.job_id,
        manifest=options.manifest,
        rows=manifest.rows,
        dataset=options.dataset,
        title=options.title,
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        process=this_process() if local else None,
        deterministic=options.deterministic,
        arithmetic=arithmetic_description() if local else None,
        versions={
            "stylebeam_version": __version__,
            "tensorflow_version": tf.__version__,
            "beam_version": beam.__version__,
            "python_version": platform.python_version(),
        },
    )
    write_job(output, record, lambda earlier: _check_free(output, earlier, manifest.job_id))
    # The directory can be written to; it must be readable and listable as well.
    storage.read_bytes(output.job)
    list(storage.list_names(storage.join(output.root, "weights")))
    gather_attempts(output)
    fingerprints = publish_weights(output, distinct_backbones(manifest), options.weights_dir, options.weights_source)
    stylize = stylize_options(options, require_gpu=workers.required)
    if stylize.measures and (found := publish_measuring_network(output, options.weights_dir)):
        stylize = dataclasses.replace(stylize, measures_sha256=found)
        record = write_job(output, dataclasses.replace(record, measures_sha256=found))
    return Job(
        manifest=manifest,
        output=output,
        fingerprints=fingerprints,
        record=record,
        arithmetic=arithmetic(options),
        limits=batch_limits(options),
        stylize=stylize,
        stylize_hints=workers.hints,
        dataset=options.dataset,
        gallery=options.gallery == "page",
    )


@contextlib.contextmanager
def _job_errors(arguments: Sequence[str], options: PipelineOptions) -> Iterator[None]:
    """Turns errors of use, and what Beam says of lost workers, into JobErrors: they end the command with 1, not 2."""
    try:
        yield
    except UsageError as error:
        raise JobError(f"{error}; what is finished is kept, the same command goes on from there") from error
    except (RuntimeError, grpc.RpcError, grpc.FutureTimeoutError) as error:
        if (lost := lost_part(error, options)) is None:
            raise
        command = shlex.join(["stylebeam", "run", *arguments])
        raise JobError(f"{lost}; what is finished is kept, this goes on from there: {command}") from error


def _check_free(output: Output, job: JobRecord | None, job_id: str) -> None:
    """Raises OptionError if a process of this machine is computing another manifest in the output directory."""
    if job is None or job.id in (None, job_id) or job.metrics_rows is not None:
        return
    if job.process and is_alive(job.process):
        raise OptionError(
            f"--output: {output.root}: process {job.process['pid']} is computing {job.manifest} there: "
            "wait until it ends, stop it, or choose another directory"
        )


def _computes_here(options: PipelineOptions) -> bool:
    local = options.view_as(StandardOptions).runner is None
    return local and options.view_as(DirectOptions).direct_running_mode != "multi_processing"


def _check_gpu_here() -> None:
    try:
        check_gpu()
    except MissingGpuError as error:
        raise OptionError(f"--gpu: {error}") from error


def _check_deterministic_here() -> None:
    try:
        check_deterministic()
    except KernelsError as error:
        raise OptionError(f"--deterministic: {error}") from error


def _counter(result: Any, name: str) -> int:
    found = result.metrics().query(beam.metrics.MetricsFilter().with_name(name))["counters"]
    return sum(counter.result for counter in found)
