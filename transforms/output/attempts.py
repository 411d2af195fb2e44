"""Attempts: which runs are under way, so that a run that kills its process is found out and takes no other with it.

`attempts/batch-<digest>.json` names the runs of a batch that is being computed, and is deleted when that ends, by an
error or a stop too. Where it is found, a process died; the runs that it names are suspects and are computed alone.
`attempts/<run_id>.json` counts how often a suspect was begun alone and did not come to an end. A run that is under way
when its checkpoint is saved is no suspect: machines that are taken away condemn nobody.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence

from transforms.output import storage
from transforms.output.paths import JSON, Output

# So many deaths alone condemn a run.
DEATHS_ALONE = 2

_RUN_NAME = re.compile(r"([0-9a-f]{16})\.json")
_BATCH_NAME = re.compile(r"(batch-[0-9a-f]{16})\.json")


class ProcessDiedError(RuntimeError):
    """A run was computing alone when its process died, twice."""


class Attempts:
    """The attempts of one process.

    Args:
      output: the output directory.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        names = storage.list_names(storage.join(output.root, "attempts"), ".json")
        self._known = {match.group(1) for name in names if (match := _RUN_NAME.fullmatch(name))}

    def suspects(self, batch: Sequence[str]) -> set[str]:
        """Returns those of a batch's run_ids that were under way when a process died."""
        return set(batch) & (self._known | set(_named(self._batch(batch))))

    @contextlib.contextmanager
    def together(
        self, batch: Sequence[str], trusted: Collection[str], suspects: Collection[str]
    ) -> Iterator[Callable[[], None]]:
        """Encloses the computation of a batch's trusted runs.

        Args:
          batch: the run_ids of the whole batch, which name the attempt: a retried bundle has the same.
          trusted: those that are computed together.
          suspects: those that are computed alone afterwards.

        Yields:
          What to call when the runs are saved: from then on a death of the process makes none of them a suspect.
        """
        uri = self._batch(batch)
        _write(uri, {"runs": sorted(trusted), "alone": sorted(suspects)})
        try:
            yield lambda: _leave(uri, suspects)
        finally:
            _leave(uri, suspects)

    @contextlib.contextmanager
    def alone(self, run_id: str) -> Iterator[Callable[[], None]]:
        """Encloses the computation of a suspect, see `together`.

        Raises:
          ProcessDiedError: the process has died twice while the run computed alone.
        """
        uri = self._output.attempt(run_id)
        deaths = _deaths(uri)
        if deaths >= DEATHS_ALONE:
            _write(uri, {"alone": DEATHS_ALONE - 1})
            raise ProcessDiedError("the process died twice while this run computed alone; a later job tries once more")
        _write(uri, {"alone": deaths + 1})
        try:
            yield lambda: _try_to_write(uri, {"alone": 0})
        except BaseException:
            _try_to_write(uri, {"alone": deaths})
            raise
        storage.delete(uri)

    def forget(self, run_id: str) -> None:
        """Forgets a suspect that is finished."""
        storage.delete(self._output.attempt(run_id))

    def end(self, batch: Sequence[str]) -> None:
        """Forgets a batch whose suspects have all been computed."""
        storage.delete(self._batch(batch))

    def _batch(self, batch: Sequence[str]) -> str:
        digest = hashlib.sha256(" ".join(sorted(batch)).encode()).hexdigest()[:16]
        return self._output.attempt(f"batch-{digest}")


def gather_attempts(output: Output) -> None:
    """Notes each run that was under way when an earlier job died as a suspect; for the beginning of a job.

    The job's batches may be others, and then do not find the attempts of the earlier ones.
    """
    directory = storage.join(output.root, "attempts")
    for name in list(storage.list_names(directory, ".json")):
        if match := _RUN_NAME.fullmatch(name):
            if storage.exists(output.marker(match.group(1))):
                storage.delete(output.attempt(match.group(1)))
        elif match := _BATCH_NAME.fullmatch(name):
            for run_id in _named(output.attempt(match.group(1))):
                if not (storage.exists(output.marker(run_id)) or storage.exists(output.attempt(run_id))):
                    _write(output.attempt(run_id), {"alone": 0})
            storage.delete(output.attempt(match.group(1)))


def _named(uri: str) -> list[str]:
    """Returns the run_ids in a batch's attempt; what is none is left out."""
    found = storage.read_json_object(uri) or {}
    lists = [value for name in ("runs", "alone") if isinstance(value := found.get(name), list)]
    return [name for value in lists for name in value if isinstance(name, str) and re.fullmatch("[0-9a-f]{16}", name)]


def _deaths(uri: str) -> int:
    found = (storage.read_json_object(uri) or {}).get("alone")
    return found if isinstance(found, int) else 0


def _leave(uri: str, suspects: Collection[str]) -> None:
    """Lets a batch's attempt name its suspects alone; it may happen while the storage fails."""
    with contextlib.suppress(storage.StorageError):
        if suspects:
            _write(uri, {"runs": [], "alone": sorted(suspects)})
        else:
            storage.delete(uri)


def _try_to_write(uri: str, attempt: dict[str, object]) -> None:
    with contextlib.suppress(storage.StorageError):
        _write(uri, attempt)


def _write(uri: str, attempt: dict[str, object]) -> None:
    storage.write(uri, json.dumps(attempt).encode(), JSON)
