"""Metrics rows become sorted files whatever their order and weight, without holding them all."""

import io
import random

import pyarrow.parquet as pq

from transforms.output.job import JOB_KEY
from transforms.output.metrics_chunks import GROUP_BYTES, chunks_of, pack, unpack, write_sorted
from transforms.output.paths import ROWS_PER_METRICS_FILE
from transforms.output.record import RunRecord, metrics_schema

HISTORY = [{"iteration": 0, "total": 1.5, "content": 1.0, "style": 0.5, "tv": 0.0}]


def record(row: int, **fields: object) -> RunRecord:
    known = {"run_id": f"{row:016x}", "status": "done", "history": HISTORY, "style": [{"uri": "s.png", "weight": 1.0}]}
    return RunRecord(manifest_row=row, config={"style_layers": {"conv1_1": 1.0}}, **{**known, **fields})  # type: ignore[arg-type]


def written(chunks: list[bytes], job_id: str | None = None) -> pq.ParquetFile:
    out = io.BytesIO()
    write_sorted(chunks, out, job_id)
    return pq.ParquetFile(out)


def test_rows_keep_their_values_and_get_their_order() -> None:
    rows = [record(row) for row in range(100)]
    expected = [dict(row) for row in written([c for _, c in chunks_of(rows)]).read().to_pylist()]
    random.Random(1).shuffle(rows)
    pieces = [rows[:1], rows[1:2], rows[2:50], rows[50:]]
    file = written([chunk for piece in pieces for _, chunk in chunks_of(piece)], "me")
    assert file.read().to_pylist() == expected
    assert [row["manifest_row"] for row in expected] == list(range(100))
    assert expected[7]["history"][0]["style"] == 0.5 and expected[7]["run_id"] == f"{7:016x}"
    assert file.schema_arrow.metadata[JOB_KEY] == b"me"
    assert file.schema_arrow.equals(metrics_schema())


def test_each_file_gets_its_own_rows() -> None:
    rows = [record(row) for row in (2 * ROWS_PER_METRICS_FILE, 3, ROWS_PER_METRICS_FILE, ROWS_PER_METRICS_FILE - 1)]
    found = {number: unpack(chunk)["manifest_row"].to_pylist() for number, chunk in chunks_of(rows)}
    assert found == {0: [3, 4_999], 1: [5_000], 2: [10_000]}
    assert list(chunks_of([])) == []


def test_heavy_rows_are_cut_into_chunks_and_row_groups() -> None:
    heavy = [record(row, extra=random.Random(row).randbytes(100_000).hex()) for row in range(200)]
    chunks = [chunk for _, chunk in chunks_of(heavy)]
    assert len(chunks) >= 8
    file = written(random.Random(2).sample(chunks, len(chunks)))
    sizes = [file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups)]
    assert len(sizes) >= 2 and max(sizes) <= 1.1 * GROUP_BYTES
    assert file.read(["manifest_row"])["manifest_row"].to_pylist() == list(range(200))
    assert pack(unpack(chunks[0])) == chunks[0]
