"""`stylebeam clean`: deletes the files that a job has left behind and no result needs.

Only files of known folder and name are deleted, only in a directory with a job.json, and not while its job is running.
Pictures, thumbnails, markers, failures, metrics, dataset and gallery stay, whatever their state.
"""

import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipeline.cli.command import plural, size
from pipeline.status.process import is_alive
from pipeline.status.reader import FINISHED, RUNNING, Status, StatusReader
from stylecore.errors import UsageError
from transforms.output import storage
from transforms.output.job import JobRecord
from transforms.output.paths import Output

CHECKPOINT, PARTIAL, ATTEMPT = "checkpoint", "partial picture", "attempt"
TEMPORARY, WEIGHTS = "temporary file", "unused weights file"
DELETING_THREADS = 16

_LEFTOVERS = {
    "checkpoints": (CHECKPOINT, re.compile(r"([0-9a-f]{16})\.(npz|json)")),
    "attempts": (ATTEMPT, re.compile(r"((?:batch-)?[0-9a-f]{16})\.(json)")),
    "partial": (PARTIAL, re.compile(r"([0-9a-f]{16})\.(png)")),
}
_WEIGHTS_NAME = re.compile(r"([0-9a-f]{64})\.weights\.h5")
# An interrupted write leaves such a file; only local writes use one.
_TEMPORARY_NAME = re.compile(r"\.part-\w+")
_FOLDERS = (
    *("images", "thumbs", "sources", "frames", "runs", "measures", "failures", "metrics"),
    *("dataset", "gallery", "weights", "facts", *_LEFTOVERS),
)


class CleanError(UsageError, RuntimeError):
    """A directory that must not be cleaned."""


@dataclasses.dataclass(frozen=True)
class Leftover:
    """A file that no result needs, with its kind: CHECKPOINT, PARTIAL, ATTEMPT, TEMPORARY or WEIGHTS."""

    kind: str
    uri: str
    size_bytes: int


def clean(directory: str, force: bool = False, dry_run: bool = False) -> list[Leftover]:
    """Deletes the leftovers of an output directory, local or gs://.

    Args:
      directory: the output directory.
      force: clean even if the job seems to be running.
      dry_run: delete nothing.

    Returns:
      The files that were deleted, or would be.

    Raises:
      CleanError: the directory's job is running, or it is not an output directory.
      StorageError: the directory cannot be listed, or a file cannot be deleted.
    """
    output = Output(directory)
    status = StatusReader(directory).read()
    _check(output, status, force)
    found = list(_leftovers(output, status))
    if not dry_run:
        with ThreadPoolExecutor(DELETING_THREADS) as pool:
            list(pool.map(storage.delete, [leftover.uri for leftover in found]))
    return found


def report(leftovers: Sequence[Leftover], dry_run: bool) -> Iterator[str]:
    """Yields the lines that `stylebeam clean` prints."""
    if not leftovers:
        yield "nothing to remove"
        return
    if dry_run:
        yield from (leftover.uri for leftover in leftovers)
    for kind in dict.fromkeys(leftover.kind for leftover in leftovers):
        sizes = [leftover.size_bytes for leftover in leftovers if leftover.kind == kind]
        yield f"{plural(len(sizes), kind)}, {size(sum(sizes))}"
    total = size(sum(leftover.size_bytes for leftover in leftovers))
    yield f"{total} would be freed; nothing is removed" if dry_run else f"{total} freed"


def _check(output: Output, status: Status, force: bool) -> None:
    if status.job is None or "stylebeam_version" not in status.job.versions:
        raise CleanError(f"{output.job}: expected the record of a job, found none: is this an output directory?")
    process: Any = status.job.process
    # A finished job's process may still be writing gallery and dataset.
    alive = is_alive(process)
    if force or not (alive or status.state == RUNNING):
        return
    if alive:
        raise CleanError(f"{output.root}: its job is running, process {process['pid']}: stop it first, or use --force")
    raise CleanError(
        f"{output.root}: its job seems to be running (it wrote something {status.idle_secs:.0f} s ago): "
        "wait until `stylebeam status` says that it stopped, or use --force"
    )


def _leftovers(output: Output, status: Status) -> Iterator[Leftover]:
    for folder, (kind, name) in _LEFTOVERS.items():
        for leftover, match in _named(output, folder, kind, name):
            if not _is_wanted(output, match):
                yield leftover
    if status.state == FINISHED:  # Otherwise the missing runs still need them.
        yield from _unused_weights(output, status.job)
    if storage.is_local(output.root):
        yield from _temporary(Path(output.root))


def _is_wanted(output: Output, name: re.Match[str]) -> bool:
    """Returns whether a file alone holds the seconds of a run that has its picture and not yet its marker."""
    run_id, ending = name.groups()
    return ending == "json" and storage.exists(output.image(run_id)) and not storage.exists(output.marker(run_id))


def _named(output: Output, folder: str, kind: str, name: re.Pattern[str]) -> Iterator[tuple[Leftover, re.Match[str]]]:
    directory = storage.join(output.root, folder)
    for found in storage.list_objects(directory):
        if match := name.fullmatch(found.name):
            yield Leftover(kind, storage.join(directory, found.name), found.size_bytes), match


def _unused_weights(output: Output, job: JobRecord | None) -> Sequence[Leftover]:
    """Returns the weights that neither a marker nor the job names; mostly one marker is read."""
    unused = {match.group(1): leftover for leftover, match in _named(output, "weights", WEIGHTS, _WEIGHTS_NAME)}
    if job is not None:
        unused.pop(job.measures_sha256 or "", None)
    for name in storage.list_names(storage.join(output.root, "runs"), ".json"):
        if not unused:
            break
        record = storage.read_json_object(storage.join(output.root, "runs", name))
        if record is None or "weights_sha256" not in record:
            return ()  # A damaged marker may name any of them.
        unused.pop(record["weights_sha256"], None)
    return list(unused.values())


def _temporary(root: Path) -> Iterator[Leftover]:
    below = (Path(place, name) for folder in _FOLDERS for place, _, names in os.walk(root / folder) for name in names)
    for path in (*root.iterdir(), *below):
        if _TEMPORARY_NAME.fullmatch(path.name):
            yield Leftover(TEMPORARY, str(path), path.stat().st_size)
