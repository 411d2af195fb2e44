"""Image files that the workers of a job read, per run: runs dealt by run_id or by blocks, with the old and new cache.

    python -m benchmarks.locality [--contents 100] [--styles 100] [--configs 10] [--workers 20]

A simulated job: the runs of a grid are dealt, sliced into batches and grouped as in a job. The elements are handed to
the workers in random order, as a shuffle does, each to the worker that is free first. The cache is that of a job, and
reads are counted; the old cache kept whole decoded images, least recently used ones dropped. Photographs of 12
megapixels become pictures of 512 px. The cache's bounds and all images are smaller by the same factor, so that a cache
holds as many images as in a job. Bytes read are reads times `--file_kb`, the assumed size of a file.
"""

import argparse
import dataclasses
import functools
import hashlib
import heapq
import io
import itertools
import json
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import cachetools
from PIL import Image

from benchmarks import scaling_doc
from benchmarks.figures import RESULTS
from benchmarks.provenance import Start
from pipeline.computing import limits_on
from pipeline.dataflow.gpus import parse_gpu
from stylecore.config.style_config import StyleConfig
from stylecore.planning.room import UNLIMITED
from stylecore.run.problem import prepare
from transforms.batch import BatchGroup, BatchLimits, RunBatch, batch_size_of, group_batches, place_of, slice_batches
from transforms.deal import PLACE_BITS, RUNS_PER_SHARD, Deal, cell_bits
from transforms.input_images import DECODED_BYTES, RESIZED_BYTES, ImageCache, sha256_hex
from transforms.records import HashedStyle, ManifestRow, Run, StyleEntry, identify_run

SOURCE_PX = (3000, 4000)
PICTURE_PX = (384, 512)
# Sides are smaller by this factor while images are loaded, and cache bounds by its square.
SMALLER = 32
# The cache before: decoded images alone.
OLD_DECODED_BYTES = 1024 * 2**20
GPU = "nvidia-l4"

Shard = Callable[[Run], int]
Slice = Callable[[Sequence[Run], BatchLimits], Iterable[RunBatch]]


@dataclasses.dataclass(frozen=True)
class SimulatedGrid:
    """The files of a grid's images by URI, and its runs."""

    files: Mapping[str, bytes]
    runs: Sequence[Run]


def simulated_grid(contents: int, styles: int, configs: int) -> SimulatedGrid:
    """Returns a grid of contents x styles x weights, with small files of images."""
    files = {f"{kind} {index}": _file(kind, index) for kind, count in (("content", contents), ("style", styles))
             for index in range(count)}  # fmt: skip
    hashes = {uri: sha256_hex(data) for uri, data in files.items()}
    sweep = [StyleConfig(content_weight=1e5 / (index + 1), image_size=max(PICTURE_PX)) for index in range(configs)]
    numbers = itertools.count()
    runs = [
        _run(next(numbers), f"content {content}", f"style {style}", hashes, config)
        for content in range(contents)
        for style in range(styles)
        for config in sweep
    ]
    return SimulatedGrid(files, runs)


def _file(kind: str, index: int) -> bytes:
    colour = tuple(hashlib.sha256(f"{kind} {index}".encode()).digest()[:3])
    out = io.BytesIO()
    Image.new("RGB", (SOURCE_PX[1] // SMALLER, SOURCE_PX[0] // SMALLER), colour).save(out, "PNG")
    return out.getvalue()


def _run(number: int, content: str, style: str, hashes: Mapping[str, str], config: StyleConfig) -> Run:
    row = ManifestRow(number, "", "", content, content, (StyleEntry(style, style, 1.0),), config, None)
    run_id = identify_run(hashes[content], [HashedStyle(hashes[style], 1.0)], config, "0" * 64)
    return Run(run_id, row, hashes[content], (hashes[style],), "0" * 64, *PICTURE_PX)


def by_run_id(runs: Sequence[Run]) -> Shard:
    """Returns how runs were dealt before: by the hash that is the run_id."""
    shards = math.ceil(len(runs) / RUNS_PER_SHARD)
    return lambda run: int(run.run_id, 16) % shards


def sliced_by_image(runs: Sequence[Run], limits: BatchLimits) -> Iterator[RunBatch]:
    """Slices the runs of a shard, all of one length, as they were before: sorted by content, then by style."""
    ordered = sorted(runs, key=lambda run: (run.content_sha256, run.style_sha256, run.run_id))
    size = batch_size_of(ordered[0], limits)
    for first in range(0, len(ordered), size):
        yield RunBatch(size, tuple(ordered[first : first + size]))


def by_blocks(runs: Sequence[Run]) -> Shard:
    """Returns how BatchRuns deals the runs of one bucket."""
    cells = Counter(place_of(run) >> (PLACE_BITS - cell_bits(len(runs))) for run in runs)
    deal = Deal(cells.items())
    return lambda run: deal.shard(place_of(run), run.run_id)


def elements(runs: Sequence[Run], shard: Shard, slice_shard: Slice, limits: BatchLimits) -> list[BatchGroup]:
    """Returns the elements that a job makes of the runs of one bucket, in the order of their shards."""
    shards = defaultdict(list)
    for run in runs:
        shards[shard(run)].append(run)
    return [
        group for _, some in sorted(shards.items()) for group in group_batches([*slice_shard(some, limits)], limits)
    ]


def handed_out(groups: Sequence[BatchGroup], workers: int, seed: int = 0) -> Iterator[list[BatchGroup]]:
    """Yields the elements that each worker computes: in random order, each goes to the one that is free first."""
    shuffled = random.Random(seed).sample(groups, len(groups))
    own: list[list[BatchGroup]] = [[] for _ in range(workers)]
    free = [(0, worker) for worker in range(workers)]
    for group in shuffled:
        busy, worker = free[0]
        own[worker].append(group)
        heapq.heapreplace(free, (busy + sum(len(batch.runs) for batch in group), worker))
    yield from own


class Cache(Protocol):
    """Loads runs and counts the files that are read."""

    reads: Counter[str]

    def load(self, run: Run) -> None:
        """Loads the images of a run."""


class OldCache:
    """Whole decoded images, the least recently used ones dropped."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.reads: Counter[str] = Counter()
        self._images = cachetools.LRUCache[str, bool](
            OLD_DECODED_BYTES // SMALLER**2, getsizeof=lambda _: 3 * math.prod(SOURCE_PX) // SMALLER**2
        )

    def load(self, run: Run) -> None:
        """Loads the images of a run."""
        for uri in run.row.image_uris():
            if uri not in self._images:
                self.reads[uri] += 1
            self._images[uri] = self._images.get(uri, True)


class NewCache:
    """The cache of a job with smaller bounds, and problems prepared as in a job, in smaller."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.reads: Counter[str] = Counter()
        self._files = files
        self._images = ImageCache(DECODED_BYTES // SMALLER**2, RESIZED_BYTES // SMALLER**2, self._read)

    def load(self, run: Run) -> None:
        """Loads the images of a run."""
        (style,) = run.row.styles
        content = self._images.image(run.row.content_uri, run.content_sha256)
        styles = [(self._images.image(style.uri, run.style_sha256[0]), style.weight)]
        prepare(content, styles, _smaller(run.row.config))

    def _read(self, uri: str) -> bytes:
        self.reads[uri] += 1
        return self._files[uri]


@functools.lru_cache
def _smaller(config: StyleConfig) -> StyleConfig:
    return dataclasses.replace(config, image_size=max(PICTURE_PX) // SMALLER)


def reads(
    grid: SimulatedGrid, groups: Sequence[BatchGroup], cache: Callable[[Mapping[str, bytes]], Cache], workers: int
) -> dict[str, Any]:
    """Counts the files that all workers read, and what is in an element."""
    counts: Counter[str] = Counter()
    for own in handed_out(groups, workers):
        worker = cache(grid.files)
        for run in itertools.chain.from_iterable(batch.runs for group in own for batch in group):
            worker.load(run)
        counts += worker.reads
    images = [{uri for batch in group for run in batch.runs for uri in run.row.image_uris()} for group in groups]
    return {
        "reads_per_run": counts.total() / len(grid.runs),
        "most_reads_of_an_image": max(counts.values()),
        "elements": len(groups),
        "runs_per_element": len(grid.runs) / len(groups),
        "images_per_element": sum(map(len, images)) / len(groups),
    }


def measure(contents: int, styles: int, configs: int, workers: int, file_kb: int) -> dict[str, Any]:
    """Returns what each dealing reads with each cache."""
    grid, limits = simulated_grid(contents, styles, configs), limits_on(parse_gpu(GPU)[0], UNLIMITED, None, 600.0)
    dealings = {
        "by_run_id": elements(grid.runs, by_run_id(grid.runs), sliced_by_image, limits),
        "by_blocks": elements(grid.runs, by_blocks(grid.runs), slice_batches, limits),
    }
    found = {}
    for dealing, groups in dealings.items():
        for name, cache in (("decoded", OldCache), ("resized", NewCache)):
            counted = reads(grid, groups, cache, workers)
            found[f"{dealing}_{name}"] = {**counted, "kb_per_run": counted["reads_per_run"] * file_kb}
            print(f"{dealing}, cache of {name} images: {json.dumps(found[f'{dealing}_{name}'])}", flush=True)
    return found


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("contents", 100), ("styles", 100), ("configs", 10), ("workers", 20), ("file_kb", 3000)):
        parser.add_argument(f"--{name}", type=int, default=default, help=f"default: {default}")
    arguments = vars(parser.parse_args())
    start = Start()
    found = measure(**arguments)
    path = RESULTS / "locality.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    name = "x".join(str(arguments[part]) for part in ("contents", "styles", "configs"))
    results[f"{name}, {arguments['workers']} workers"] = {**arguments, **found, "provenance": start.provenance()}
    path.write_text(json.dumps(results, indent=1) + "\n")
    scaling_doc.write()


if __name__ == "__main__":
    main()
