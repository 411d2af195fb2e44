"""A grid of any size whose runs are all finished, put into the storage emulator as a job would have left it."""

import dataclasses
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from stylecore.config.style_config import StyleConfig
from stylecore.networks.precision import Arithmetic
from tests.support.gcs_emulator import Emulator
from transforms.input_images import sha256_hex
from transforms.manifest.files import Manifest, open_manifest
from transforms.manifest.read import ParseRows
from transforms.metrics import done_row
from transforms.output.job import JobRecord
from transforms.output.metrics_chunks import chunks_of, write_sorted
from transforms.output.metrics_files import file_count, metrics_name
from transforms.output.paths import ROWS_PER_METRICS_FILE, image_path, source_path
from transforms.output.record import RunRecord
from transforms.records import Failure, ImageFacts, ManifestRow, Reason, Run
from transforms.resolve import resolve_run

CONTENTS, STYLES = 500, 200
SIDE_PX = 64
WEIGHTS = "random:1"
HISTORY = (*range(11), *range(12, 202, 2))


@dataclasses.dataclass(frozen=True)
class Grid:
    """The manifest, and the number of images that it names."""

    manifest: str
    images: int


def create(emulator: Emulator, rows: int) -> Grid:
    """Puts manifest, images, pictures, markers, metrics and job.json of a finished job into gs://bucket."""
    contents, styles = min(rows, CONTENTS), max(1, min(rows // CONTENTS, STYLES))
    images = create_images(emulator, contents + styles)
    pairs = itertools.product(range(contents), range(contents, contents + styles))
    configs = [
        json.dumps({"weights": WEIGHTS, "precision": "float32", "seed": seed})
        for seed in range(-(-rows // (contents * styles)))
    ]
    named = itertools.islice(itertools.product(configs, pairs), rows)
    table = [
        {"content": _image(content), "style": _image(style), "config": config} for config, (content, style) in named
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(table), buffer, row_group_size=5_000)
    emulator.create("manifest.parquet", buffer.getvalue())
    manifest = open_manifest(f"{emulator.bucket}/manifest.parquet")
    _finish(emulator, manifest, images)
    return Grid(manifest.uri, contents + styles)


def create_rows(emulator: Emulator, rows: int, files: int = 4) -> str:
    """Puts a manifest in several files into gs://bucket, each row with a content of its own; returns its glob."""
    create_images(emulator, rows)
    for file in range(files):
        mine = range(file * rows // files, (file + 1) * rows // files)
        table = [
            {"content": _image(number), "style": _image(0), "config": json.dumps({"weights": WEIGHTS})}
            for number in mine
        ]
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(table), buffer, row_group_size=1_000)
        emulator.create(f"manifest-{file}.parquet", buffer.getvalue())
    return f"{emulator.bucket}/manifest-*.parquet"


def create_images(emulator: Emulator, count: int) -> dict[str, ImageFacts]:
    """Puts different pictures into gs://bucket/images and returns the facts of each by URI."""
    generator = np.random.default_rng(0)
    facts = {}
    for number, uri in enumerate(image_uris(count)):
        buffer = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)).save(buffer, "png")
        emulator.create(_image(number), buffer.getvalue())
        facts[uri] = ImageFacts(sha256_hex(buffer.getvalue()), SIDE_PX, SIDE_PX)
    return facts


def image_uris(count: int) -> list[str]:
    """Returns the URIs of that many images."""
    return [f"gs://bucket/{_image(number)}" for number in range(count)]


def _image(number: int) -> str:
    return f"images/{number:06d}.png"


def failed_rows(count: int) -> Iterator[tuple[int, dict[str, Any], Failure]]:
    """Yields what `RecordFailures` takes: that many rows, each with a failure of its own."""
    for number in range(count):
        yield number, {}, Failure(f"row-{number:016x}", None, Reason("RowError", f"row {number}: style: none"))


def _finish(emulator: Emulator, manifest: Manifest, facts: dict[str, ImageFacts]) -> None:
    """Puts what a job leaves into gs://bucket/out; all pictures are one."""
    runs = _runs(manifest, facts)
    for file in range(file_count(manifest.rows)):
        records = [_record(run) for run in itertools.islice(runs, ROWS_PER_METRICS_FILE)]
        for record in records:
            emulator.create(f"out/{image_path(record.run_id or '')}", b"picture")
            emulator.create(f"out/runs/{record.run_id}.json", record.to_json().encode())
        out = io.BytesIO()
        write_sorted((chunk for _, chunk in chunks_of(records)), out, manifest.job_id)
        emulator.create(f"out/metrics/{metrics_name(file, file_count(manifest.rows))}", out.getvalue())
    for image in facts.values():
        emulator.create(f"out/{source_path(image.sha256)}", b"thumbnail")
    job = JobRecord(id=manifest.job_id, manifest=manifest.uri, rows=manifest.rows, metrics_rows=manifest.rows)
    emulator.create("out/job.json", job.to_json())


def _runs(manifest: Manifest, facts: dict[str, ImageFacts]) -> Iterator[Run]:
    from stylecore.networks.weights.sources import load_weights  # Loads TensorFlow.

    config = StyleConfig(weights=WEIGHTS)
    fingerprints = {(config.backbone, WEIGHTS): load_weights(config.backbone, WEIGHTS).fingerprint}
    for part in manifest.slices:
        for row in ParseRows().process(part):
            assert isinstance(row, ManifestRow)
            run = resolve_run(row, facts, fingerprints, Arithmetic("any"))
            assert isinstance(run, Run)
            yield run


def _record(run: Run) -> RunRecord:
    history = [
        {
            "iteration": iteration,
            "total": 1e6 / (iteration + 1),
            "content": 3e5,
            "style": 2e5 / (iteration + 1),
            "tv": 7e3,
        }
        for iteration in HISTORY
    ]
    record = RunRecord(
        manifest_row=run.row.number,
        run_id=run.run_id,
        status="done",
        image=image_path(run.run_id),
        height=run.height,
        width=run.width,
        iterations=HISTORY[-1],
        stop_reason="iterations",
        loss_total=5e5,
        loss_content=3e5,
        loss_style=1e3,
        loss_tv=7e3,
        history=history,
        seconds=20.0,
        device="Tesla T4",
        weights_sha256=run.weights_sha256,
        stylebeam_version="0.2.0",
        tensorflow_version="2.21.0",
        content_sha256=run.content_sha256,
        style_sha256=list(run.style_sha256),
        measure_ssim=0.5,
        measure_palette=0.5,
    )
    return done_row(run.row, record)
