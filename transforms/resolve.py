"""ResolveRuns: rows and the facts of their images -> runs, and failures for the rows that have none."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam

from stylecore.images.initial import initial_refusal
from stylecore.images.resize import target_size
from stylecore.networks.precision import Arithmetic, PrecisionError
from stylecore.planning.too_small import StyleFile, too_small_in_run
from transforms.output.commit import forget_failure
from transforms.output.paths import Output
from transforms.records import MASKS, Failure, ImageFacts, ManifestRow, Reason, Run, identify_run

RUNS, FAILURES, RUN_IDS = "runs", "failures", "run_ids"
Facts = Mapping[str, ImageFacts | Reason]


def resolve_run(
    row: ManifestRow, facts: Facts, fingerprints: Mapping[tuple[str, str], str], arithmetic: Arithmetic
) -> Run | Reason:
    """Returns the run that a row asks for, or the reason why there is none.

    Args:
      row: a valid row.
      facts: image URI -> the image's facts, or the reason why it cannot be used.
      fingerprints: (backbone, weights) -> fingerprint.
      arithmetic: the precisions that the computing device supports.
    """
    try:
        row = dataclasses.replace(row, config=arithmetic.settle(row.config))
    except PrecisionError as error:
        return Reason(type(error).__name__, f"{row.location}: {error}")
    sha256: dict[str, str] = {}
    for field, uri in row.images():
        image = usable(field, uri, facts)
        if isinstance(image, Reason):
            return Reason(image.error_type, f"{row.location}: {image.error_message}")
        sha256[uri] = image.sha256
    try:
        weights_sha256 = fingerprints[row.config.backbone, row.config.weights]
    except KeyError:
        return _weights_unknown(row)
    content = facts[row.content_uri]
    assert isinstance(content, ImageFacts)
    height, width = target_size(content.height, content.width, row.config.image_size)
    styles = [style.hashed(sha256) for style in row.styles]
    initial_sha256 = sha256[row.initial.uri] if row.initial else None
    return Run(
        run_id=identify_run(content.sha256, styles, row.config, weights_sha256, initial_sha256),
        row=row,
        content_sha256=content.sha256,
        style_sha256=tuple(style.sha256 for style in styles),
        weights_sha256=weights_sha256,
        height=height,
        width=width,
        mask_sha256=tuple(sha256[mask.uri] for _, mask in row.masks()),
        initial_sha256=initial_sha256,
    )


def usable(field: str, uri: str, facts: Facts) -> ImageFacts | Reason:
    """Returns the facts of an image that a field names, or the reason why it cannot be used there."""
    image = facts[uri]
    if isinstance(image, Reason):
        return Reason(image.error_type, f"{field}: {image.error_message}")
    if field in MASKS and image.is_black:
        return Reason("EmptyMask", f"{field}: {uri}: a mask must have a pixel that is not black")
    return image


def _weights_unknown(row: ManifestRow) -> Reason:
    """Returns the reason of a row that was damaged when the job looked for the weights, and is whole now."""
    weights = f"{row.config.backbone} with weights {row.config.weights!r}"
    message = f"{row.location}: config: {weights}: not in the manifest when the job began; run the same command again"
    return Reason("UnknownWeights", message)


def refusal(run: Run, facts: Facts) -> Reason | None:
    """Returns why a run cannot be computed although its row is valid: its images do not go with its configuration.

    Args:
      run: from `resolve_run`.
      facts: image URI -> ImageFacts, of each style image and the initial picture.
    """
    row = run.row
    styles = [StyleFile(*_size(facts[style.uri]), style.scale) for style in row.styles]
    initial = _size(facts[row.initial.uri]) if row.initial else None
    reason = too_small_in_run(row.config, run.height, run.width, styles) or initial_refusal(
        row.config, run.height, run.width, initial
    )
    return None if reason is None else Reason("ValueError", f"{row.location}: {reason}")


def _size(image: ImageFacts | Reason) -> tuple[int, int]:
    assert isinstance(image, ImageFacts)  # resolve_run gives no run for a bad image.
    return image.height, image.width


class ResolveRuns(beam.DoFn):
    """ManifestRow -> Run, or (row number, row, Failure) tagged "failures"; and its run_id, if any, tagged "run_ids".

    The Failure of a run that cannot be computed has its run_id. The record of an earlier failure is deleted where it
    was made without a run_id and the row has one now.

    Args:
      output: the output directory.
      fingerprints: (backbone, weights) -> fingerprint.
      arithmetic: the precisions that the computing device supports.
    """

    def __init__(self, output: Output, fingerprints: Mapping[tuple[str, str], str], arithmetic: Arithmetic) -> None:
        self._output = output
        self._fingerprints = fingerprints
        self._arithmetic = arithmetic

    def process(self, row: ManifestRow, facts: Facts, recorded_failures: set[str]) -> Iterator[Any]:
        run = resolve_run(row, facts, self._fingerprints, self._arithmetic)
        if isinstance(run, Reason):
            yield _failed(row, Failure(row.failure_id, None, run))
            return
        if row.failure_id in recorded_failures:
            forget_failure(self._output, row.failure_id)
        yield beam.pvalue.TaggedOutput(RUN_IDS, run.run_id)
        reason = refusal(run, facts)
        yield run if reason is None else _failed(run.row, Failure(run.run_id, run.run_id, reason))


def _failed(row: ManifestRow, failure: Failure) -> beam.pvalue.TaggedOutput:
    return beam.pvalue.TaggedOutput(FAILURES, (row.number, row, failure))
