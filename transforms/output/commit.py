"""Commits finished runs, records failures, and alone decides what is finished and what failed.

The picture is what counts. It is created once and carries its run's record; thumbnail and marker are derived from the
picture that won the race, the marker last. A failure record may be overwritten, and is deleted when the run succeeds.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stylecore.images.codec import ImageError, decode_image, encode_png, read_png_record, thumbnail
from stylecore.run.result import Result
from stylecore.version import __version__
from transforms.output import storage
from transforms.output.job import check_present
from transforms.output.paths import JSON, PNG, WEBP, Output, image_path
from transforms.output.record import RecordError, RunRecord, columns
from transforms.records import Failure, Reason, Run

MAX_PICTURE_BYTES = 2**30


@dataclasses.dataclass(frozen=True)
class Listed:
    """The runs that have a marker.

    Attributes:
      finished: run_id -> when its marker was written, in seconds since the epoch.
      lost: the run_ids of those whose picture somebody has deleted; they are not finished.
    """

    finished: dict[str, float]
    lost: list[str]


def list_runs(output: Output, digit: str = "") -> Listed:
    """Lists the markers and pictures of the runs whose run_ids begin with `digit`."""
    markers = storage.list_objects(storage.join(output.root, "runs"), ".json", digit)
    marked = {found.name.removesuffix(".json"): found.updated_secs for found in markers}
    # Listed after the markers: a picture stands before its marker does.
    pictures = storage.list_names(storage.join(output.root, "images"), ".png", digit)
    present = {name.removesuffix(".png") for name in pictures}
    lost = [run_id for run_id in marked if run_id not in present]
    return Listed({run_id: secs for run_id, secs in marked.items() if run_id in present}, lost)


def finished_ids(output: Output) -> set[str]:
    """Returns the run_ids that have a marker and a picture."""
    return set(list_runs(output).finished)


def failed_ids(output: Output) -> set[str]:
    """Returns the ids of the recorded failures."""
    return output.ids("failures")


def finished_record(output: Output, run_id: str) -> RunRecord | None:
    """Returns the record of a finished run, from its marker or else from its picture; None if it is not finished."""
    return read_marker(output, run_id) or complete_commit(output, run_id)


def read_marker(output: Output, run_id: str) -> RunRecord | None:
    """Returns the record in a run's marker; None if the marker is missing, damaged, or belongs to another run."""
    try:
        record = RunRecord.from_json(storage.read_bytes(output.marker(run_id)))
    except (storage.NotFoundError, RecordError):
        return None
    return record if record.run_id == run_id else None


def commit_result(
    output: Output,
    run: Run,
    result: Result,
    untimed: bool = False,
    frames: Sequence[int] | None = None,
    measures: Mapping[str, float | None] | None = None,
) -> RunRecord:
    """Stores a finished run and returns the record of the picture that won; safe to repeat and to race.

    Args:
      output: the output directory.
      run: the run that was computed.
      result: its result, which must have a picture.
      untimed: writes `seconds` and the measures into the marker alone, so that the picture has the same bytes whenever
        it is made.
      frames: the iterations whose frames are stored, in order; None if none were asked for.
      measures: the values of the measures' columns, by name.

    Raises:
      StorageError: the output directory cannot be written.
    """
    assert result.image is not None
    check_present(output)
    beside: dict[str, Any] = {"seconds": result.seconds, **(measures or {})}
    record = dataclasses.replace(_run_record(run, result), frames=None if frames is None else list(frames))
    if untimed:
        storage.write(output.timing(run.run_id), json.dumps(beside).encode(), JSON)
    else:
        record = dataclasses.replace(record, **beside)
    picture = encode_png(result.image, record.to_json())
    if not storage.write_once(output.image(run.run_id), picture, PNG):
        if (winner := complete_commit(output, run.run_id)) is not None:
            return winner
        storage.write(output.image(run.run_id), picture, PNG)  # What stood there was damaged.
    return _complete(output, run.run_id, dataclasses.replace(record, **beside), result.image)


def _run_record(run: Run, result: Result) -> RunRecord:
    # A process that computes has loaded TensorFlow; one that only asks what is finished does without it.
    import tensorflow as tf

    from stylecore.run.devices import device_name

    return RunRecord(
        manifest_row=run.row.number,
        run_id=run.run_id,
        status="done",
        content=run.row.content,
        style=run.row.style_entries(),
        config=run.row.config.to_dict(),
        image=image_path(run.run_id),
        height=run.height,
        width=run.width,
        iterations=result.iterations,
        stop_reason=result.stop_reason,
        loss_total=result.loss_total,
        loss_content=result.loss_content,
        loss_style=result.loss_style,
        loss_tv=result.loss_tv,
        history=[entry._asdict() for entry in result.history],
        device=device_name(),
        weights_sha256=run.weights_sha256,
        stylebeam_version=__version__,
        tensorflow_version=tf.__version__,
        extra=run.row.extra,
        content_sha256=run.content_sha256,
        style_sha256=list(run.style_sha256),
        initial=run.row.initial and run.row.initial.written,
        mask_sha256=list(run.mask_sha256) or None,
        initial_sha256=run.initial_sha256,
        notes=list(result.notes) or None,
    )


def complete_commit(output: Output, run_id: str) -> RunRecord | None:
    """Returns a run's record from its picture, and completes thumbnail and marker; None if no sound picture exists."""
    try:
        picture = storage.read_bytes(output.image(run_id), MAX_PICTURE_BYTES)
        record, image = RunRecord.from_json(read_png_record(picture)), decode_image(picture)
    except (storage.NotFoundError, ImageError, RecordError):
        return None
    if record.seconds is None:
        record = dataclasses.replace(record, **_beside(output, run_id))
    return _complete(output, run_id, record, image)


def _complete(output: Output, run_id: str, record: RunRecord, image: np.ndarray) -> RunRecord:
    """Derives thumbnail and marker from the picture that won, and removes what was left of earlier attempts."""
    storage.write_once(output.thumb(run_id), thumbnail(image), WEBP)
    for leftover in (output.failure(run_id), output.partial(run_id), output.checkpoint(run_id)):
        storage.delete(leftover)
    # The marker comes last: where it stands, nothing is missing.
    storage.write_once(output.marker(run_id), record.to_json().encode(), JSON)
    storage.delete(output.timing(run_id))
    return record


def _beside(output: Output, run_id: str) -> dict[str, Any]:
    """Returns the seconds that a run took and its measures, which its picture does not hold; without what is lost."""
    beside = storage.read_json_object(output.timing(run_id))
    if beside is None and (record := read_marker(output, run_id)) is not None:  # Another worker was faster.
        beside = record.to_dict()
    names = ("seconds", *(name for name in columns() if name.startswith("measure_")))
    values = {name: (beside or {}).get(name) for name in names}
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def forget_run(output: Output, run_id: str) -> None:
    """Deletes what was derived from a picture that is gone, so that the run is computed again; the marker last."""
    for derived in (output.thumb(run_id), output.measures(run_id), output.marker(run_id)):
        storage.delete(derived)


def outcome_of_finished(output: Output, run_id: str, recorded_failures: set[str]) -> RunRecord | Reason:
    """Returns the record of a run that was finished before this job, and deletes an older failure of it.

    Args:
      output: the output directory.
      run_id: names a run that had a marker when the job began.
      recorded_failures: the ids of the failures that were recorded when the job began.

    Returns:
      The record; or the reason why there is none, marker and picture both being damaged, recorded as a failure.
    """
    if (record := finished_record(output, run_id)) is None:
        marker = output.marker(run_id)
        damaged = Reason("DamagedMarker", f"{marker}: damaged, and the picture too: delete both to make the run again")
        record_failure(output, Failure(run_id, run_id, damaged))
        return damaged
    if run_id in recorded_failures:
        forget_failure(output, run_id)
    return record


def record_failure(output: Output, failure: Failure) -> None:
    """Writes or renews a failure record."""
    storage.write(output.failure(failure.id), failure.to_json(), JSON)


def forget_failure(output: Output, failure_id: str) -> None:
    """Deletes a failure record, if there is one."""
    storage.delete(output.failure(failure_id))


def read_failure(output: Output, failure_id: str) -> dict[str, Any] | None:
    """Returns a failure record, see `Failure.to_json`; None if there is none or it is damaged."""
    return storage.read_json_object(output.failure(failure_id))
