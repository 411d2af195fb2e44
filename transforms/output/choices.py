"""choices.json: what people chose in the gallery, checked before it is believed."""

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import Any

from stylecore.errors import UsageError, one_line
from transforms.output import storage

VERSION = 1
# A choice has about 100 bytes; a million of them fit.
MAX_BYTES = 256 * 2**20
HIGHEST_RATING = 5


class ChoicesError(UsageError, ValueError):
    """Choices that cannot be read, or that are of another grid."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """What somebody said of one run: a rating of 1 to 5 or None, tags, and whether it is rejected."""

    rating: int | None = None
    tags: tuple[str, ...] = ()
    rejected: bool = False

    @property
    def is_chosen(self) -> bool:
        """Whether the run is rated or tagged, and not rejected; the gallery counts in the same way."""
        return not self.rejected and (self.rating is not None or bool(self.tags))


def read_choices(uri: str, known: Collection[str]) -> dict[str, Choice]:
    """Reads choices as the gallery exports them.

    Args:
      uri: the file, local or gs://.
      known: the run_ids of the grid.

    Returns:
      Choices by run_id.

    Raises:
      ChoicesError: the file is missing or no choices.json, or names a run that is not `known`.
    """
    try:
        values = json.loads(storage.read_bytes(uri, MAX_BYTES))
    except storage.StorageError as error:
        raise ChoicesError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ChoicesError(f"{uri}: not valid JSON: {one_line(error, 200)}") from error
    if not isinstance(values, dict) or not isinstance(values.get("choices"), list):
        raise ChoicesError(f'{uri}: expected {{"version": {VERSION}, "choices": [...]}}')
    if values.get("version") != VERSION:
        raise ChoicesError(f"{uri}: version must be {VERSION}, got {values.get('version')!r:.40}")
    choices = {}
    for number, entry in enumerate(values["choices"]):
        try:
            run_id, choice = _parse(entry)
        except ValueError as error:
            raise ChoicesError(f"{uri}: choice {number}: {error}") from error
        if run_id in choices:
            raise ChoicesError(f"{uri}: choice {number}: run_id {run_id!r:.40} is there twice")
        choices[run_id] = choice
    if foreign := [run_id for run_id in choices if run_id not in known]:
        raise ChoicesError(
            f"{uri}: {len(foreign)} of {len(choices)} runs are not in this grid, such as {foreign[0]!r:.40}: "
            "expected the choices of this directory's gallery"
        )
    return choices


def _parse(entry: Any) -> tuple[str, Choice]:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("run_id"), str):
        raise ValueError(f"must be an object with a run_id, got {entry!r:.80}")
    rating, tags, rejected = entry.get("rating"), entry.get("tags", []), entry.get("rejected", False)
    if rating is not None and (type(rating) is not int or not 1 <= rating <= HIGHEST_RATING):
        raise ValueError(f"rating must be 1 to {HIGHEST_RATING} or null, got {rating!r:.40}")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError(f"tags must be a list of texts, got {tags!r:.80}")
    if not isinstance(rejected, bool):
        raise ValueError(f"rejected must be true or false, got {rejected!r:.40}")
    return entry["run_id"], Choice(rating, tuple(tags), rejected)
