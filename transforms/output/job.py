"""job.json: which job an output directory belongs to, and what it counted."""

import dataclasses
import datetime
import json
from collections.abc import Callable, Mapping
from typing import Any, Self

from transforms.output import storage
from transforms.output.paths import JSON, Output

_MAX_BYTES = 2**20
# Names the job that wrote a metrics file, in the file's own metadata.
JOB_KEY = b"stylebeam_job"


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobRecord:
    """The content of job.json. A field is None while it is not known, and where a damaged file does not say.

    Attributes:
      id: names what the job computes, see `Manifest.job_id`; jobs of the same manifest share it.
      manifest: the manifest's path or URI, as given.
      rows: the number of its rows.
      runs: the number of distinct runs, once they are counted.
      metrics_rows: the number of rows in metrics/, once the last of them is written.
      done: the number of those that are done.
      failed: error type -> number of those that failed.
      dataset: what dataset/ is to hold, one of `transforms.dataset.DATASET_MODES`; None chooses by the
        size of the pictures.
      title: the heading of the gallery and the card; None for the manifest's name.
      started: when the job began, ISO 8601.
      process: the process that the job ends with, see `pipeline.status.process`; None if there is none.
      deterministic: whether the job promises the same bytes wherever its arithmetic is the same.
      arithmetic: what the bytes depend on, see `stylecore.kernels`; None if it computes elsewhere.
      measures_sha256: the fingerprint of the network that measures pictures; None where there is none.
      versions: the versions that it was started with, by name, such as `stylebeam_version`.
    """

    id: str | None = None
    manifest: str | None = None
    rows: int | None = None
    runs: int | None = None
    metrics_rows: int | None = None
    done: int | None = None
    failed: Mapping[str, int] | None = None
    dataset: str | None = None
    title: str | None = None
    started: str | None = None
    process: Mapping[str, Any] | None = None
    deterministic: bool | None = None
    arithmetic: str | None = None
    measures_sha256: str | None = None
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_json_object(cls, values: Mapping[str, Any]) -> Self:
        """Takes what is of the right type and leaves the rest out."""
        kinds: dict[str, type] = dict.fromkeys(("rows", "runs", "metrics_rows", "done"), int)
        kinds |= dict.fromkeys(("id", "manifest", "dataset", "title", "started", "arithmetic", "measures_sha256"), str)
        kinds |= {"failed": dict, "process": dict, "deterministic": bool}
        known = {name: values[name] for name, kind in kinds.items() if isinstance(values.get(name), kind)}
        versions = {name: str(value) for name, value in values.items() if name.endswith("_version")}
        return cls(**known, versions=versions)

    def to_json(self) -> bytes:
        """Returns the content of the file; some values stand in it only where they are known."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values |= values.pop("versions")
        for name in ("metrics_rows", "done", "failed", "title", "measures_sha256"):
            if values[name] is None:
                del values[name]
        return json.dumps(values, indent=1, sort_keys=True).encode()

    @property
    def started_secs(self) -> float:
        """When the job began, in seconds since the epoch; 0 if that is not known."""
        try:
            return datetime.datetime.fromisoformat(self.started or "").timestamp()
        except ValueError:
            return 0.0

    @property
    def heading(self) -> str:
        """The title that the job was given, or else the name of its manifest, for pages and cards."""
        return self.title or (self.manifest or "").rstrip("/").rpartition("/")[2] or "StyleBeam gallery"


def write_job(
    output: Output, job: JobRecord, check: Callable[[JobRecord | None], object] = lambda earlier: None
) -> JobRecord:
    """Writes the job.json of a job that begins, and returns the job.

    Of two jobs that begin at the same moment, the one that is later sees the job.json of the other.

    Args:
      output: the output directory.
      job: the job that begins.
      check: is given the job that stands there, None for none; what it raises ends this one before anything is written.
    """
    while True:
        refusal: storage.StorageError | None = None
        try:
            seen = storage.look_at(output.job, _MAX_BYTES)
        except storage.StorageError as error:
            # The write says what cannot be reached.
            seen, refusal = storage.Seen(None), error
        check(_parsed(seen.data))
        if storage.replace_seen(output.job, job.to_json(), JSON, seen):
            return job
        if refusal is not None:
            raise refusal


def update_job(output: Output, job: JobRecord, **known: Any) -> JobRecord:
    """Replaces the job.json of the job by one with what is `known` now, and returns it.

    What another job has written since it was looked at is never replaced.

    Raises:
      TakenOverError, StorageError: see `check_owned`.
    """
    job = dataclasses.replace(job, **known)
    while True:
        seen = storage.look_at(output.job, _MAX_BYTES)
        _check_owner(output, _parsed(seen.data), job.id)
        if storage.replace_seen(output.job, job.to_json(), JSON, seen):
            return job


def read_job(output: Output) -> JobRecord | None:
    """Returns what job.json says; None if there is none or it is no JSON object."""
    values = storage.read_json_object(output.job, _MAX_BYTES)
    return None if values is None else JobRecord.from_json_object(values)


def _parsed(data: bytes | None) -> JobRecord | None:
    try:
        values = json.loads(data or b"")
    except (ValueError, RecursionError):
        return None
    return JobRecord.from_json_object(values) if isinstance(values, dict) else None


def job_title(output: Output) -> str:
    """Returns the title of the job that a directory was made by, see `JobRecord.heading`."""
    return (read_job(output) or JobRecord()).heading


def check_present(output: Output) -> None:
    """Raises StorageError if the output directory has vanished since the job began.

    Writing would create it anew, without what was in it: below the mount point of a disk that is gone, say.
    """
    if not storage.exists(output.job):
        raise storage.StorageError(f"{output.root}: the output directory has vanished: its job.json is gone")


class TakenOverError(storage.StorageError):
    """Another job has begun in the output directory with a different manifest."""


def check_owned(output: Output, job_id: str | None) -> None:
    """Raises unless the output directory is there and belongs to the job, or does not say to which.

    Args:
      output: the output directory.
      job_id: the id of the job that is about to write what only one job at a time may write; None does not ask.

    Raises:
      TakenOverError: a job with another manifest has begun there since.
      StorageError: the output directory has vanished, see `check_present`.
    """
    _check_owner(output, read_job(output), job_id)


def _check_owner(output: Output, owner: JobRecord | None, job_id: str | None) -> None:
    if owner is None:
        check_present(output)
    elif job_id and owner.id and owner.id != job_id:
        raise TakenOverError(
            f"{output.root}: a later job, of {owner.manifest}, has taken over this output directory: "
            "its metrics, gallery and dataset are shown there, the pictures of both are kept"
        )
