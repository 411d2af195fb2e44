"""`stylebeam plan`: what a job would do, found out without computing, writing or downloading anything.

Rows are read in a stream and forgotten, see run_counts.py for what stays of them; beside that there is one entry for
each distinct image and each distinct (backbone, weights).
"""

import dataclasses
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline.options import OptionError
from pipeline.run_counts import Counts, RunCounter
from stylecore.config import WEIGHTS_DIR_VARIABLE
from stylecore.weights import cache_path, file_names
from transforms import storage
from transforms.batching import batch_size_of
from transforms.manifest import Manifest, ManifestError, ManifestSlice, RowError, open_manifest, parse_row, read_slice
from transforms.networks import find_weights
from transforms.probe import probe_image
from transforms.records import ImageFacts, ManifestRow, Reason
from transforms.resolve import resolve_run

MAX_SHOWN = 20
# Beyond so many distinct reasons the others are counted by their type alone: a reason may name a value.
MAX_REASONS = 1_000
_UNKNOWN = "unknown:"
_MARKER = re.compile(r"[0-9a-f]{16}\.json")
_GOT = re.compile(r", got .*", re.DOTALL)


@dataclasses.dataclass
class BadRows:
    """Rows that cannot be run: how many, the first of them in full, and the reasons of all."""

    count: int = 0
    shown: list[str] = dataclasses.field(default_factory=list)
    reasons: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, reason: Reason, location: str) -> None:
        """Counts a row, which stands at `location`."""
        self.count += 1
        if len(self.shown) < MAX_SHOWN:
            self.shown.append(reason.error_message)
        name = _GOT.sub("", reason.error_message.removeprefix(f"{location}: "))
        known = name in self.reasons or len(self.reasons) < MAX_REASONS
        self.reasons[name if known else f"another {reason.error_type}"] += 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a job would do.

    Attributes:
      manifest: its URI.
      rows: of the manifest, bad ones included.
      duplicates: valid rows that ask for a run which an earlier row asks for.
      bad: the rows that cannot be run.
      images: distinct ones, bad ones included.
      output: the output directory, if one was given.
      unknown_weights: the (backbone, weights) that only a download could tell.
      counts: of the valid rows.
      price_per_hour: of one machine, if one was given.
    """

    manifest: str
    rows: int
    duplicates: int
    bad: BadRows
    images: int
    output: str | None
    unknown_weights: tuple[tuple[str, str], ...]
    counts: Counts
    price_per_hour: float | None


@dataclasses.dataclass(frozen=True)
class PlanOptions:
    """What `stylebeam run` would be given, see its options of the same names, and what a machine costs an hour."""

    manifest: str
    output: str | None = None
    limit: int | None = None
    batch_size: int | None = None
    max_batch_secs: float = 600.0
    weights_dir: str | None = None
    weights_source: str = "auto"
    price_per_hour: float | None = None


def plan(options: PlanOptions) -> Plan:
    """Looks at every row and every distinct image of a manifest.

    Raises:
      ManifestError, OptionError: a manifest that cannot be read, an output directory that cannot be.
      WeightsError: weights that the manifest names by their path and that are not there or not for their backbone.
      StorageError: an output directory that cannot be listed.
    """
    finished = _finished(options.output)
    manifest = open_manifest(options.manifest, options.limit)
    facts, fingerprints, bad = _Facts(), _Fingerprints(options.weights_dir, options.weights_source), BadRows()
    runs = RunCounter(lambda bucket: not bucket.kind.weights_sha256.startswith(_UNKNOWN))
    for row in _with_bar(read_rows(manifest), manifest.rows):
        if not isinstance(row, ManifestRow):
            bad.add(*row)
        elif isinstance(run := resolve_run(row, facts, fingerprints), Reason):
            bad.add(run, row.location)
        else:
            runs.add(run, batch_size_of(run, options.batch_size, options.max_batch_secs))
    counts = runs.counts(finished)
    return Plan(
        manifest=options.manifest,
        rows=manifest.rows,
        duplicates=runs.rows - counts.runs,
        bad=bad,
        images=len(facts),
        output=options.output,
        unknown_weights=fingerprints.unknown(),
        counts=counts,
        price_per_hour=options.price_per_hour,
    )


def _finished(output: str | None) -> np.ndarray:
    """Returns the run_ids that have their marker as numbers, uint64 [n]."""
    if output is None:
        return np.empty(0, np.uint64)
    try:
        storage.check_scheme(output)
    except ValueError as error:
        raise OptionError(f"--output: {error}") from error
    names = storage.list_names(storage.join(output, "runs"), ".json")
    return np.fromiter((int(name[:16], 16) for name in names if _MARKER.fullmatch(name)), np.uint64)


def _with_bar(rows: Iterable[Any], total: int) -> Iterable[Any]:
    return tqdm(rows, total=total, unit=" rows", disable=None, file=sys.stderr, leave=False, dynamic_ncols=True)


def read_rows(manifest: Manifest) -> Iterator[ManifestRow | tuple[Reason, str]]:
    """Yields the rows of a manifest in order; of a bad one the reason and its location."""
    for part in manifest.slices:
        offsets = iter(range(part.rows))
        try:
            for values in read_slice(part):
                yield _parsed(values, part, next(offsets))
        except ManifestError as error:
            for offset in offsets:
                yield _bad(error, part, offset)


def _parsed(values: dict[str, Any], part: ManifestSlice, offset: int) -> ManifestRow | tuple[Reason, str]:
    try:
        return parse_row(values, part.first_row + offset, part.first_in_file + offset, part.file)
    except RowError as error:
        return _bad(error, part, offset)


def _bad(error: Exception, part: ManifestSlice, offset: int) -> tuple[Reason, str]:
    location = f"{part.file}, row {part.first_in_file + offset}"
    return Reason(type(error).__name__, f"{location}: {error}"), location


class _Facts(dict[str, ImageFacts | Reason]):
    """Facts of images by URI; an image is probed when it is first asked for, and its pixels are not kept."""

    def __missing__(self, uri: str) -> ImageFacts | Reason:
        probed = probe_image(uri)
        self[uri] = facts = probed if isinstance(probed, Reason) else probed[0]
        return facts


class _Fingerprints(dict[tuple[str, str], str]):
    """(backbone, weights) -> fingerprint, or a placeholder where only a download could tell."""

    def __init__(self, weights_dir: str | None, source: str) -> None:
        super().__init__()
        self._directory = weights_dir or os.environ.get(WEIGHTS_DIR_VARIABLE)
        self._source = source

    def __missing__(self, pair: tuple[str, str]) -> str:
        backbone, name = pair
        if name == "imagenet" and not imagenet_is_here(backbone, self._directory, self._source):
            self[pair] = f"{_UNKNOWN}{backbone} {name}"
        else:
            self[pair] = find_weights(backbone, name, self._directory, self._source).fingerprint
        return self[pair]

    def unknown(self) -> tuple[tuple[str, str], ...]:
        """Returns the pairs that have a placeholder."""
        return tuple(sorted(pair for pair, fingerprint in self.items() if fingerprint.startswith(_UNKNOWN)))


def imagenet_is_here(backbone: str, directory: str | None, source: str) -> bool:
    """Returns whether `find_weights` would find imagenet weights in a directory or the cache, without a download."""
    if source == "auto":
        looked_for = [storage.join(directory, name) for name in file_names(backbone)] if directory else []
        return any(map(storage.exists, looked_for)) or any(
            cache_path(backbone, name).is_file() for name in ("keras", "pypi")
        )
    return cache_path(backbone, source).is_file()
