"""The worker of `benchmarks.latency`: does one piece of work on the storage of another process; prints a JSON object.

python -m benchmarks.latency_worker job MANIFEST | failures ROWS | probe IMAGES
"""

import json
import sys
import time
from typing import Any

import apache_beam as beam
from apache_beam.internal.gcp import auth
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from benchmarks import finished_grid
from transforms.failures import RecordFailures
from transforms.output.job import read_job
from transforms.output.paths import Output
from transforms.probe import ProbeImages

OUTPUT = Output("gs://bucket/out")


def job(manifest: str) -> dict[str, Any]:
    """Runs a job to the end, without the gallery and the dataset, which come after the metrics."""
    from pipeline.beam_options import StyleBeamOptions, parse_options
    from pipeline.build import define_pipeline
    from pipeline.dataflow.options import gpu_workers
    from pipeline.run import prepare_job

    options = parse_options(["--manifest", manifest, "--output", OUTPUT.root, "--dataset=none", "--gallery=none"])
    prepared = prepare_job(options.view_as(StyleBeamOptions), gpu_workers(options))
    began = time.monotonic()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        define_pipeline(pipeline, prepared)
    pipeline_secs = time.monotonic() - began
    record = read_job(OUTPUT)
    assert record is not None
    return {"done": record.done, "failed": record.failed, "pipeline_secs": round(pipeline_secs, 1)}


def failures(rows: str) -> dict[str, Any]:
    """Records a failure for each of so many rows."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        failed = pipeline | beam.Create([int(rows)]) | beam.FlatMap(finished_grid.failed_rows)
        _ = failed | RecordFailures(OUTPUT)
    return {}


def probe(images: str) -> dict[str, Any]:
    """Probes so many images."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = pipeline | beam.Create([int(images)]) | beam.FlatMap(finished_grid.image_uris) | ProbeImages(OUTPUT)
    return {}


def main() -> None:
    """Does the work that the arguments name."""
    auth._Credentials._credentials_init = True  # Otherwise Beam searches for credentials for half a minute.
    work, argument = sys.argv[1:]
    print(json.dumps({"job": job, "failures": failures, "probe": probe}[work](argument)))


if __name__ == "__main__":
    main()
