"""Peak memory of steps over rows that each carry 256 kB of further columns, the most that a row may.

    python -m benchmarks.heavy_rows [--rows 5000]

5,000 rows, as many as a metrics file has, are 1.3 GB. Each step runs in a process of its own and gets its rows one by
one; the figure is by how many megabytes the process grows beyond what it held after one row. Linux.
"""

import itertools
import json
import multiprocessing
import random
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.figures import Figure, main_of
from benchmarks.million_rows import memory_growth
from stylecore.config.style_config import StyleConfig
from transforms.manifest.files import open_manifest
from transforms.manifest.read import ParseRows
from transforms.metrics import RowsOfRuns, TakeRows, done_row
from transforms.output.job import JobRecord, write_job
from transforms.output.metrics_chunks import Chunk, chunks_of, write_sorted
from transforms.output.metrics_files import list_metrics, metrics_name, read_metrics
from transforms.output.paths import Output
from transforms.output.record import RunRecord
from transforms.records import ManifestRow, StyleEntry

EXTRA_BYTES = 256 * 1000
_AT_ONCE = 100
_ROWS_PER_GROUP = 125  # Larger pages are refused.


def row(number: int) -> ManifestRow:
    """Returns a row with further columns that no compression makes smaller than half."""
    extra = json.dumps({"text": random.Random(number).randbytes(EXTRA_BYTES // 2 - 16).hex()})
    styles = (StyleEntry("s.png", "s.png", 1.0),)
    return ManifestRow(number, f"row {number}", f"row-{number}", "c.png", "c.png", styles, StyleConfig(), extra)


def _records(rows: int) -> Iterator[RunRecord]:
    for number in range(rows):
        made = RunRecord(manifest_row=number, run_id=f"{number:016x}", status="done", height=1, width=1)
        yield done_row(row(number), made)


def prepare(rows: int, folder: Path) -> None:
    """Writes manifest.parquet, of row groups as large as are read, and the output directory of its finished job."""
    folder.mkdir()
    texts = [json.loads(row(number).extra or "")["text"] for number in range(rows)]
    table = pa.table({"content": ["c.png"] * rows, "style": ["s.png"] * rows, "text": texts})
    pq.write_table(table, folder / "manifest.parquet", row_group_size=_ROWS_PER_GROUP)
    output = Output(str(folder / "output"))
    write_job(output, JobRecord(id="job", rows=rows))
    Path(output.metrics()).mkdir()
    with Path(output.metrics(metrics_name(0, 1))).open("wb") as out:
        write_sorted(_chunks(rows), out, "job")


def _chunks(rows: int) -> Iterator[Chunk]:
    records = _records(rows)
    while some := list(itertools.islice(records, _AT_ONCE)):
        yield from (chunk for _, chunk in chunks_of(some))


def read_manifest(rows: int, folder: Path) -> None:
    """Reads the manifest and parses its rows."""
    slices = open_manifest(str(folder / "manifest.parquet")).slices
    found = (found for part in slices for found in ParseRows().process(part))
    assert sum(isinstance(parsed, ManifestRow) for parsed in found) == rows


def write_metrics(rows: int, folder: Path) -> None:
    """Writes a metrics file from the chunks of its rows."""
    with (folder / "written.parquet").open("wb") as out:
        write_sorted(_chunks(rows), out, "job")


def take_rows(rows: int, folder: Path) -> None:
    """Takes finished rows over from the metrics of the last job."""
    output = Output(str(folder / "output"))
    (file,) = list_metrics(output)
    wanted = ((f"{number:016x}", row(number)) for number in range(rows))
    assert sum(1 for _ in TakeRows(output).process((tuple(file), wanted), set(), set())) > rows // 40


def read_rows(rows: int, folder: Path) -> None:
    """Reads the metrics as the gallery does."""
    assert sum(1 for _ in read_metrics(Output(str(folder / "output")))) == rows


def rows_of_runs(rows: int, folder: Path) -> None:
    """Makes metrics rows of the outcomes of a run that all rows ask for."""
    output = Output(str(folder / "output"))
    made = next(_records(1))
    joined = {"rows": map(row, range(rows)), "outcomes": [made]}
    assert sum(1 for _ in RowsOfRuns(output).process([("0" * 16, joined)], set(), set())) > rows // 40


STEPS: dict[str, Callable[[int, Path], None]] = {
    step.__name__: step for step in (read_manifest, write_metrics, take_rows, read_rows, rows_of_runs)
}


def grown_mb(step: str, rows: int, folder: str) -> int:
    """Returns by how much a step grows this process; `folder` has the folders `one` and `many` of `prepare`."""
    work = STEPS[step]
    return memory_growth(lambda: work(1, Path(folder, "one")), lambda: work(rows, Path(folder, "many"))) >> 20


def measure(rows: int) -> Iterator[Figure]:
    """Yields megabytes of each step."""
    # Each task has a process of its own, which begins with this module imported.
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(["benchmarks.heavy_rows"])
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(1, forkserver, max_tasks_per_child=1) as pool:
        for name, count in (("one", 1), ("many", rows)):
            pool.submit(prepare, count, Path(folder, name)).result()
        for step in STEPS:
            grown = pool.submit(grown_mb, step, rows, folder).result()
            yield Figure(f"{step}_grown_mb", grown, {"rows": rows, "rows_mb": rows * EXTRA_BYTES >> 20})


if __name__ == "__main__":
    main_of(__doc__, measure, rows=5_000)
