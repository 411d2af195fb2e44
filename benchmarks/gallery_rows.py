"""Metrics files of a large grid, as a job leaves them, without its pictures."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stylecore.config.style_config import StyleConfig
from transforms.output.job import JobRecord, write_job
from transforms.output.paths import ROWS_PER_METRICS_FILE, Output
from transforms.output.record import LOSSES, arrow_config, metrics_schema

CONTENTS, STYLES, CONTENT_WEIGHTS, TV_WEIGHTS = 10, 20, 5, 4
AXES = ("content", "style", "content_weight", "seed", "tv_weight")
ITERATIONS = np.array([*range(11), *range(30, 1500, 30)])


def write_metrics(directory: Path, count: int) -> None:
    """Writes job.json and the metrics of so many finished runs, with histories of 60 points."""
    (directory / "metrics").mkdir(parents=True)
    files = math.ceil(count / ROWS_PER_METRICS_FILE)
    for file in range(files):
        rows = range(file * ROWS_PER_METRICS_FILE, min((file + 1) * ROWS_PER_METRICS_FILE, count))
        path = directory / "metrics" / f"metrics-{file:05d}-of-{files:05d}.parquet"
        pq.write_table(metrics_table(rows, count), path, compression="zstd")
    write_job(Output(str(directory)), JobRecord(manifest="large.parquet", rows=count, metrics_rows=count))


def run_id(number: int) -> str:
    """Returns the run_id of a run."""
    return f"{number:016x}"


def metrics_table(rows: range, count: int) -> pa.Table:
    """Returns the metrics of some rows of a grid of `count`."""
    seeds = math.ceil(count / (CONTENTS * STYLES * CONTENT_WEIGHTS * TV_WEIGHTS))
    grid = itertools.product(*map(range, (CONTENTS, STYLES, CONTENT_WEIGHTS, TV_WEIGHTS, seeds)))
    records = [_record(number, *places) for number, places in zip(rows, itertools.islice(grid, rows.start, rows.stop))]
    table = pa.Table.from_pylist(records, schema=metrics_schema())
    curves = _curves(np.arange(rows.start, rows.stop))
    for loss in LOSSES:
        table = _with_column(table, loss.key, pa.array(curves[loss.short][:, -1]))
    return _with_column(table, "history", _history(curves, table.schema.field("history").type))


def _record(number: int, content: int, style: int, content_weight: int, tv_weight: int, seed: int) -> dict[str, Any]:
    config = StyleConfig(
        content_weight=10.0**content_weight, tv_weight=10.0 * tv_weight, seed=seed, iterations=int(ITERATIONS[-1])
    )
    return {
        "manifest_row": number,
        "run_id": run_id(number),
        "status": "done",
        "content": f"gs://bucket/contents/photograph_{content:03d}.jpg",
        "style": [{"uri": f"gs://bucket/styles/painting_{style:03d}.jpg", "weight": 1.0}],
        "config": arrow_config(config.to_dict()),
        "image": f"images/{run_id(number)}.png",
        "height": 384,
        "width": 512,
        "iterations": int(ITERATIONS[-1]),
        "stop_reason": "iterations",
        "seconds": 20.0,
        "device": "Tesla T4",
        "weights_sha256": "ab" * 32,
        "stylebeam_version": "0.2.0",
        "tensorflow_version": "2.21.0",
        "content_sha256": "0" * 64,
        "style_sha256": ["0" * 64],
        "measure_ssim": 0.5 + 0.4 * math.sin(number),
        "measure_palette": 0.5 + 0.4 * math.cos(number),
    }


def _curves(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Returns float32 [rows, points] for each loss term, different for each run."""
    fall = (np.exp(-ITERATIONS / 100) + 0.01)[None]
    scatter = (1 + np.sin(numbers * 12.9898) * 0.4)[:, None]
    terms = {"total": 1e9 * fall * scatter, "content": 3e4 * fall, "style": 1e6 * fall * scatter, "tv": 900 * fall}
    shape = (len(numbers), len(ITERATIONS))
    return {term: np.broadcast_to(values, shape).astype(np.float32) for term, values in terms.items()}


def _history(curves: dict[str, np.ndarray], kind: pa.DataType) -> pa.Array:
    rows, points = curves["total"].shape
    columns = [np.tile(ITERATIONS, rows), *(curves[loss.short].reshape(-1) for loss in LOSSES)]
    structs = pa.StructArray.from_arrays([pa.array(column) for column in columns], fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(np.arange(0, rows * points + 1, points), pa.int32()), structs)


def _with_column(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    place = table.schema.get_field_index(name)
    return table.set_column(place, table.schema.field(place), values)
