"""define_pipeline: the steps from the manifest to the gallery. It receives what it needs and parses nothing."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam

from stylecore.networks.precision import Arithmetic
from transforms import finished, resolve
from transforms.batch import BatchLimits, BatchRuns
from transforms.dataset.shards import WriteDataset
from transforms.failures import RecordFailures
from transforms.finished import SplitFinished
from transforms.gallery.build import WriteGallery
from transforms.manifest import read as manifest
from transforms.manifest.files import Manifest
from transforms.manifest.read import ReadManifest
from transforms.metrics import WriteMetrics, failed_row
from transforms.output.commit import failed_ids
from transforms.output.job import JobRecord, check_owned, update_job
from transforms.output.measures import measured_ids
from transforms.output.metrics_chunks import Outcomes
from transforms.output.paths import Output
from transforms.probe import ProbeImages
from transforms.records import ManifestRow
from transforms.resolve import ResolveRuns
from transforms.stylize.stylize_runs import StylizeOptions, StylizeRuns


@dataclasses.dataclass(frozen=True)
class Job:
    """The parts from which a pipeline is built.

    Attributes:
      manifest: the opened manifest.
      output: the output directory.
      fingerprints: (backbone, weights) -> fingerprint of the weights published in the output directory.
      record: the content of job.json at the start.
      arithmetic: the precisions that the computing device supports.
      limits: what bounds a batch.
      stylize: how runs are computed.
      stylize_hints: Beam's resource hints for the step that computes runs, and for no other.
      dataset: what dataset/ holds, see DATASET_MODES; None chooses by the size of the pictures.
      gallery: whether gallery/ is written.
    """

    manifest: Manifest
    output: Output
    fingerprints: Mapping[tuple[str, str], str]
    record: JobRecord
    arithmetic: Arithmetic
    limits: BatchLimits = BatchLimits()
    stylize: StylizeOptions = StylizeOptions()
    stylize_hints: Mapping[str, str] = dataclasses.field(default_factory=dict)
    dataset: str | None = None
    gallery: bool = True


def define_pipeline(root: beam.Pipeline, job: Job) -> None:
    """Applies the steps of a job to a pipeline."""
    output = job.output
    start = root | "Start" >> beam.Create([output])
    recorded_failures = beam.pvalue.AsSingleton(start | "ListFailures" >> beam.Map(failed_ids))
    measured = beam.pvalue.AsSingleton(start | "ListMeasured" >> beam.Map(measured_ids))

    read = root | "ReadManifest" >> ReadManifest(job.manifest)
    rows = read[manifest.ROWS]
    facts = rows | "ImageUris" >> beam.FlatMap(ManifestRow.image_uris) | "ProbeImages" >> ProbeImages(output)
    resolved = rows | "ResolveRuns" >> beam.ParDo(
        ResolveRuns(output, job.fingerprints, job.arithmetic), beam.pvalue.AsDict(facts), recorded_failures
    ).with_outputs(resolve.FAILURES, resolve.RUN_IDS, main=resolve.RUNS)
    keyed = resolved[resolve.RUNS] | "KeyByRunId" >> beam.Map(lambda run: (run.run_id, run))
    runs = keyed | "SplitFinished" >> SplitFinished(output)
    outcomes = (
        runs[finished.TO_COMPUTE]
        | "BatchRuns" >> BatchRuns(job.limits, runs[finished.EVERY] if job.stylize.deterministic else None)
        | "SpreadBatches" >> beam.Reshuffle()
        | "StylizeRuns" >> beam.ParDo(StylizeRuns(output, job.stylize)).with_resource_hints(**job.stylize_hints)
    )
    failures = (read[manifest.FAILURES], resolved[resolve.FAILURES]) | "Failures" >> beam.Flatten()
    recorded = failures | "RecordFailures" >> RecordFailures(output)
    failed = failures | "FailedRows" >> beam.MapTuple(failed_row)
    asked = {name: runs[name] for name in (finished.ROWS, finished.IN_METRICS)}
    written, removed = {**asked, "outcomes": outcomes, "failed": failed} | "WriteMetrics" >> WriteMetrics(
        output, job.manifest.rows, recorded_failures, measured, job.record.id
    )
    owned = start | "StillOwned" >> beam.Map(
        lambda out, *_: check_owned(out, job.record.id), beam.pvalue.AsIter(written), beam.pvalue.AsIter(removed)
    )
    metrics = (beam.pvalue.AsIter(owned),)
    if job.gallery:
        _ = start | "WriteGallery" >> WriteGallery(output, job.manifest.rows, job.record.id, after=metrics)
    if job.dataset != "none":
        _ = start | "WriteDataset" >> WriteDataset(output, job.dataset, after=metrics)
    run_count = (
        resolved[resolve.RUN_IDS] | "DistinctRunIds" >> beam.Distinct() | "CountRuns" >> beam.combiners.Count.Globally()
    )
    counted = run_count | "WriteJob" >> beam.Map(lambda count: update_job(output, job.record, runs=count))
    outcomes_of_rows = written | "Outcomes" >> beam.Values() | "CountOutcomes" >> beam.CombineGlobally(_sum)
    _ = counted | "MetricsAreWritten" >> beam.Map(
        lambda record, found, *_: update_job(output, record, metrics_rows=record.rows, **_done_and_failed(found)),
        beam.pvalue.AsSingleton(outcomes_of_rows),
        *metrics,
        beam.pvalue.AsIter(recorded),
    )


def _sum(outcomes: Iterable[Mapping[str | None, int]]) -> Outcomes:
    total = Outcomes()
    for some in outcomes:
        total.update(some)
    return total


def _done_and_failed(outcomes: Mapping[str | None, int]) -> dict[str, Any]:
    """Returns fields of a JobRecord."""
    failed = {kind: count for kind, count in outcomes.items() if kind is not None}
    return {"done": outcomes.get(None, 0), "failed": dict(sorted(failed.items()))}
