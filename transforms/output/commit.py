"""The commit of one run: the picture is the record, everything else is derived from the picture that won."""

import json
from typing import Any

import tensorflow as tf

from stylecore.images.codec import ImageError, decode_image, encode_png, read_png_record, thumbnail
from stylecore.run.devices import device_name
from stylecore.run.result import Result
from stylecore.version import __version__
from transforms.output import storage
from transforms.output.job import check_present
from transforms.output.paths import JSON, PNG, WEBP, Output, image_path
from transforms.records import Failure, Run

MAX_PICTURE_BYTES = 2**30


def run_record(run: Run, result: Result) -> dict[str, Any]:
    """Returns the metrics row of a finished run, as JSON has it."""
    return {
        "manifest_row": run.row.number,
        "run_id": run.run_id,
        "status": "done",
        "content": run.row.content,
        "style": [{"uri": style.written, "weight": style.weight} for style in run.row.styles],
        "config": run.row.config.to_dict(),
        "image": image_path(run.run_id),
        "height": run.height,
        "width": run.width,
        "iterations": result.iterations,
        "stop_reason": result.stop_reason,
        "loss_total": result.loss_total,
        "loss_content": result.loss_content,
        "loss_style": result.loss_style,
        "loss_tv": result.loss_tv,
        "history": [entry._asdict() for entry in result.history],
        "seconds": result.seconds,
        "device": device_name(),
        "weights_sha256": run.weights_sha256,
        "stylebeam_version": __version__,
        "tensorflow_version": tf.__version__,
        "error_type": None,
        "error_message": None,
        "extra": run.row.extra,
        "content_sha256": run.content_sha256,
        "style_sha256": list(run.style_sha256),
    }


def commit_result(output: Output, run: Run, result: Result, untimed: bool = False) -> dict[str, Any]:
    """Makes a finished run durable and returns the record that won; safe to repeat and to race.

    Args:
      output: where it goes.
      run: what was computed.
      result: with a picture.
      untimed: `seconds` stands in the marker alone, so that the picture has the same bytes whenever it is made.

    Raises:
      StorageError: the output cannot be written.
    """
    assert result.image is not None
    check_present(output)
    record = run_record(run, result)
    if untimed:
        storage.write(output.timing(run.run_id), json.dumps({"seconds": result.seconds}).encode(), JSON)
        record["seconds"] = None
    picture = encode_png(result.image, json.dumps(record))
    if not storage.write_once(output.image(run.run_id), picture, PNG):
        if (winner := complete_commit(output, run.run_id)) is not None:
            return winner
        storage.write(output.image(run.run_id), picture, PNG)  # What stood there was damaged.
    return _derive(output, run.run_id, picture)


def complete_commit(output: Output, run_id: str) -> dict[str, Any] | None:
    """Returns the record of a run whose picture is there, completing what is derived from it; None if it is not."""
    try:
        picture = storage.read_bytes(output.image(run_id), MAX_PICTURE_BYTES)
        return _derive(output, run_id, picture)
    except (storage.NotFoundError, ImageError):
        return None


def _derive(output: Output, run_id: str, picture: bytes) -> dict[str, Any]:
    text = read_png_record(picture)
    record: dict[str, Any] = json.loads(text)
    if record.get("seconds") is None:
        record["seconds"] = _seconds_beside(output, run_id)
        text = json.dumps(record)
    storage.write_once(output.thumb(run_id), thumbnail(decode_image(picture)), WEBP)
    for leftover in (output.failure(run_id), output.partial(run_id), output.checkpoint(run_id)):
        storage.delete(leftover)
    # The marker comes last: where it stands, nothing is missing.
    storage.write_once(output.marker(run_id), text.encode(), JSON)
    storage.delete(output.timing(run_id))
    return record


def _seconds_beside(output: Output, run_id: str) -> float | None:
    """Returns how long the run took, which its picture does not say; None if that is lost."""
    try:
        seconds = json.loads(storage.read_bytes(output.timing(run_id)))["seconds"]
    except (storage.NotFoundError, ValueError, KeyError, TypeError):
        record = read_marker(output, run_id)  # Another worker was faster.
        return record["seconds"] if record else None
    return float(seconds)


def finished_record(output: Output, run_id: str) -> dict[str, Any] | None:
    """Returns the record of a finished run, from its marker or else from its picture; None if it is not finished."""
    return read_marker(output, run_id) or complete_commit(output, run_id)


def read_marker(output: Output, run_id: str) -> dict[str, Any] | None:
    """Returns the record of a finished run, None if there is none or it is damaged."""
    try:
        record = json.loads(storage.read_bytes(output.marker(run_id)))
    except (storage.NotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def record_failure(output: Output, failure: Failure) -> None:
    """Writes or renews a failure record."""
    storage.write(output.failure(failure.id), failure.to_json(), JSON)
