"""plan: what a job would do, found without computing, writing or downloading anything.

Rows are read in a stream and not kept; counts.py says what a row leaves in memory. Each distinct image and each
distinct (backbone, weights) has one entry beside that.
"""

import dataclasses
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline.cli.quiet import import_tensorflow
from pipeline.computing import gpu_arithmetic, limits_on
from pipeline.dataflow.estimates import Prices, read_prices
from pipeline.dataflow.gpus import GPUS, Gpu, GpuError, parse_gpu
from pipeline.options import OptionError
from pipeline.plan.counts import Counts, RunCounter
from pipeline.plan.rows import RowPlanner, image_uris
from stylecore.config.style_config import WEIGHTS_DIR_VARIABLE
from stylecore.networks.precision import Arithmetic, device_arithmetic
from stylecore.networks.weights.files import cache_path, file_names
from stylecore.planning.room import UNLIMITED, Room, machine_memory_bytes
from transforms.ahead import AHEAD
from transforms.batch import BatchLimits
from transforms.manifest.files import ManifestError, ManifestSlice, SliceReader, open_manifest
from transforms.manifest.parse import row_location
from transforms.output import storage
from transforms.probe import image_facts
from transforms.records import ImageFacts, Reason

MAX_SHOWN = 20
# Further reasons are counted by their error type alone: a reason may name a value, so that each row has its own.
MAX_REASONS = 1_000
_UNKNOWN = "unknown:"
_MARKER = re.compile(r"[0-9a-f]{16}\.json")
_GOT = re.compile(r", got .*", re.DOTALL)


@dataclasses.dataclass
class BadRows:
    """Rows that cannot be run: their number, the messages of the first ones, and how often each reason occurs."""

    count: int = 0
    shown: list[str] = dataclasses.field(default_factory=list)
    reasons: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, reason: Reason, location: str) -> None:
        """Counts a row; `location` is its name in messages."""
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
      manifest: the manifest's URI.
      rows: the number of rows in the manifest, bad ones included.
      duplicates: the number of valid rows whose run an earlier row has asked for.
      bad: the rows that cannot be run.
      images: the number of distinct images, bad ones included.
      output: the output directory, if one was given.
      unknown_weights: the (backbone, weights) whose fingerprint is unknown without a download.
      counts: what the valid rows ask for.
      gpus: the GPU types to estimate costs for.
      prices: what workers cost.
      room: the memory of the device, and the tiles that were asked for.
      too_large_styles: what is wrong with styles that need more than that memory, each once.
      frames: the number of thumbnails on the way that are kept of each run.
    """

    manifest: str
    rows: int
    duplicates: int
    bad: BadRows
    images: int
    output: str | None
    unknown_weights: tuple[tuple[str, str], ...]
    counts: Counts
    gpus: tuple[Gpu, ...]
    prices: Prices
    room: Room = UNLIMITED
    too_large_styles: tuple[str, ...] = ()
    frames: int = 0


@dataclasses.dataclass(frozen=True)
class PlanOptions:
    """The options of `stylebeam run` of the same names, and `prices`, a file like prices.json."""

    manifest: str
    output: str | None = None
    limit: int | None = None
    batch_size: int | None = None
    max_batch_secs: float = 600.0
    device_memory_gb: float | None = None
    tile_px: int | None = None
    frames: int = 0
    weights_dir: str | None = None
    weights_source: str = "auto"
    gpu: str | None = None
    prices: str | None = None


def plan(options: PlanOptions) -> Plan:
    """Checks every row and every distinct image of a manifest.

    Raises:
      ManifestError: the manifest cannot be read.
      OptionError: the output directory is impossible, or the GPU type is unknown.
      PriceError: the file of prices cannot be used.
      WeightsError: weights that the manifest names by path are missing, or belong to another backbone.
      StorageError: the output directory cannot be listed or written.
    """
    gpus, prices = _gpus(options.gpu), read_prices(options.prices)
    finished = _finished(options.output)
    manifest = open_manifest(options.manifest, options.limit)
    facts, fingerprints, bad = _Facts(), _Fingerprints(options.weights_dir, options.weights_source), BadRows()
    runs = RunCounter(lambda bucket: not bucket.kind.weights_sha256.startswith(_UNKNOWN))
    limits = _limits(options, gpus)
    rows = RowPlanner(runs, facts, fingerprints, _arithmetic(options.gpu, gpus), limits)
    with _bar(manifest.rows) as bar, SliceReader() as reader:
        for part in manifest.slices:
            _look_at(part, reader, rows, facts, bad, bar)
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
        gpus=gpus,
        prices=prices,
        room=limits.room,
        too_large_styles=tuple(rows.too_large),
        frames=options.frames,
    )


def _finished(output: str | None) -> np.ndarray:
    """Returns the run_ids that have a marker, as numbers, uint64 [n]."""
    if output is None:
        return np.empty(0, np.uint64)
    try:
        storage.check_scheme(output)
    except ValueError as error:
        raise OptionError(f"--output: {error}") from error
    if storage.is_local(output):
        _check_writable(Path(output))
    names = storage.list_names(storage.join(output, "runs"), ".json")
    return np.fromiter((int(name[:16], 16) for name in names if _MARKER.fullmatch(name)), np.uint64)


def _check_writable(directory: Path) -> None:
    """Raises OptionError if a directory cannot be written or made; on gs:// only a write could tell."""
    existing = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise OptionError(f"--output: {existing}: not a directory")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise OptionError(f"--output: {existing}: cannot be written")


def _gpus(name: str | None) -> tuple[Gpu, ...]:
    if name is None:
        return GPUS
    try:
        return (parse_gpu(name)[0],)
    except GpuError as error:
        raise OptionError(f"--gpu: {error}") from error


def _arithmetic(name: str | None, gpus: tuple[Gpu, ...]) -> Arithmetic:
    """Returns the arithmetic of the chosen type; without one that of this machine, which then refuses no precision."""
    if name:
        return gpu_arithmetic(gpus[0])
    import_tensorflow()
    return dataclasses.replace(device_arithmetic(), refusal=None)


def _limits(options: PlanOptions, gpus: tuple[Gpu, ...]) -> BatchLimits:
    gpu = gpus[0] if options.gpu else None
    memory_bytes = gpu.memory_bytes if gpu else machine_memory_bytes()
    if options.device_memory_gb:
        memory_bytes = int(options.device_memory_gb * 1e9)
    return limits_on(gpu, Room(memory_bytes, options.tile_px), options.batch_size, options.max_batch_secs)


def _bar(rows: int) -> Any:
    return tqdm(total=rows, unit=" rows", disable=None, file=sys.stderr, leave=False, dynamic_ncols=True)


def _look_at(
    part: ManifestSlice, reader: SliceReader, rows: RowPlanner, facts: "_Facts", bad: BadRows, bar: Any
) -> None:
    taken = 0
    try:
        for batch in reader.batches(part):
            facts.probe(image_uris(batch, storage.parent(part.file)))
            for reason, location in rows.take(batch, part, taken):
                bad.add(reason, location)
            taken += batch.num_rows
            bar.update(batch.num_rows)
    except ManifestError as error:
        for row in range(part.first_in_file + taken, part.first_in_file + part.rows):
            location = row_location(part.file, row)
            bad.add(Reason(type(error).__name__, f"{location}: {error}"), location)


class _Facts(dict[str, ImageFacts | Reason]):
    """URI -> facts of the images that were probed; their pixels are not kept."""

    def probe(self, uris: Iterable[str]) -> None:
        """Probes those images, several at once, that are not known yet."""
        new = [uri for uri in uris if uri not in self]
        self.update(zip(new, storage.read_ahead(image_facts, new, AHEAD), strict=True))


class _Fingerprints(dict[tuple[str, str], str]):
    """(backbone, weights) -> fingerprint, or a placeholder where only a download would give it."""

    def __init__(self, weights_dir: str | None, source: str) -> None:
        super().__init__()
        self._directory = weights_dir or os.environ.get(WEIGHTS_DIR_VARIABLE)
        self._source = source

    def __missing__(self, pair: tuple[str, str]) -> str:
        backbone, name = pair
        if name == "imagenet" and not imagenet_is_here(backbone, self._directory, self._source):
            self[pair] = f"{_UNKNOWN}{backbone} {name}"
        else:
            import_tensorflow()
            from transforms.output.published_weights import find_weights

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
