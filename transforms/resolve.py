"""ResolveRuns: rows and the facts of their images -> the runs that they ask for."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam

from stylecore.images.resize import target_size
from stylecore.networks.precision import Arithmetic, PrecisionError
from transforms.output.commit import forget_failure
from transforms.output.paths import Output
from transforms.records import Failure, ImageFacts, ManifestRow, Reason, Run, identify_run

RUNS, FAILURES = "runs", "failures"
Facts = Mapping[str, ImageFacts | Reason]


def resolve_run(
    row: ManifestRow, facts: Facts, fingerprints: Mapping[tuple[str, str], str], arithmetic: Arithmetic
) -> Run | Reason:
    """Returns the run that a row asks for, or why there can be none.

    Args:
      row: a valid row.
      facts: of each image URI.
      fingerprints: of the weights of each (backbone, weights).
      arithmetic: of the device that will compute it.
    """
    try:
        row = dataclasses.replace(row, config=arithmetic.settle(row.config))
    except PrecisionError as error:
        return Reason(type(error).__name__, f"{row.location}: {error}")
    usable = []
    for column, uri in row.images():
        image = facts[uri]
        if isinstance(image, Reason):
            return Reason(image.error_type, f"{row.location}: {column}: {image.error_message}")
        usable.append(image)
    content, *styles = usable
    weights_sha256 = fingerprints[row.config.backbone, row.config.weights]
    weighted = [(image.sha256, style.weight) for image, style in zip(styles, row.styles, strict=True)]
    height, width = target_size(content.height, content.width, row.config.image_size)
    return Run(
        run_id=identify_run(content.sha256, weighted, row.config, weights_sha256),
        row=row,
        content_sha256=content.sha256,
        style_sha256=tuple(image.sha256 for image in styles),
        weights_sha256=weights_sha256,
        height=height,
        width=width,
    )


class ResolveRuns(beam.DoFn):
    """ManifestRow -> Run, or (row number, values, Failure) with the tag "failures".

    A failure that was recorded of the row before, while it had no run_id, is forgotten.
    """

    def __init__(self, output: Output, fingerprints: Mapping[tuple[str, str], str], arithmetic: Arithmetic) -> None:
        self._output = output
        self._fingerprints = fingerprints
        self._arithmetic = arithmetic

    def process(self, row: ManifestRow, facts: Facts, recorded_failures: set[str]) -> Iterator[Any]:
        """See beam.DoFn."""
        resolved = resolve_run(row, facts, self._fingerprints, self._arithmetic)
        if isinstance(resolved, Run):
            if row.failure_id in recorded_failures:
                forget_failure(self._output, row.failure_id)
            yield resolved
        else:
            yield beam.pvalue.TaggedOutput(FAILURES, (row.number, row, Failure(row.failure_id, None, resolved)))
