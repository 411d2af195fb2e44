"""Checks an output directory against docs/output.md: `python -m tests.support.contract DIR`.

The check shares no code with StyleBeam, so that a mistake there cannot hide here: it needs only pyarrow and Pillow.
"""

import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

Row = dict[str, Any]

LOSSES = {"total": pa.float32(), "content": pa.float32(), "style": pa.float32(), "tv": pa.float32()}
COLUMNS = {
    "manifest_row": pa.int64(),
    "run_id": pa.string(),
    "status": pa.string(),
    "content": pa.string(),
    "style": None,  # A list of structs, see `_wrong_columns`.
    "config": None,  # A struct of every field.
    "image": pa.string(),
    "height": pa.int64(),
    "width": pa.int64(),
    "iterations": pa.int64(),
    "stop_reason": pa.string(),
    **{f"loss_{term}": kind for term, kind in LOSSES.items()},
    "history": pa.list_(pa.struct([("iteration", pa.int64()), *LOSSES.items()])),
    "seconds": pa.float64(),
    "device": pa.string(),
    "weights_sha256": pa.string(),
    "stylebeam_version": pa.string(),
    "tensorflow_version": pa.string(),
    "error_type": pa.string(),
    "error_message": pa.string(),
    "extra": pa.string(),
    "frames": pa.list_(pa.int64()),
    **{f"measure_{name}": pa.float32() for name in ("lpips", "ssim", "style", "palette")},
    "initial": pa.string(),
    "mask_sha256": pa.list_(pa.string()),
    "initial_sha256": pa.string(),
    "notes": pa.list_(pa.string()),
}
_ENTRY = {"uri", "weight", "scale", "content_mask", "style_mask"}
TERMS = ("content", "style", "tv")
STOP_REASONS = ("iterations", "converged", "stalled")
# The columns that a metrics row takes from its manifest row and not from the run, which other rows may share.
OF_THE_ROW = {"manifest_row", "content", "style", "initial", "config", "extra", "seconds"}


def violations(output: Path) -> list[str]:
    """Returns one line for each fault of an output directory."""
    tables = [(path.name, pq.read_table(path)) for path in sorted((output / "metrics").glob("*.parquet"))]
    if not tables:
        return ["metrics/ holds no Parquet file"]
    if wrong := [f"{name}: {text}" for name, table in tables for text in _wrong_columns(table.schema)]:
        return wrong
    rows = [row for _, table in tables for row in table.to_pylist(maps_as_pydicts="strict")]
    wrong = [*_wrong_directory(output, rows)]
    for row in rows:
        check = {"done": _wrong_done, "failed": _wrong_failed}.get(row["status"], _wrong_status)
        wrong += [f"row {row['manifest_row']}: {text}" for text in check(output, row)]
    return wrong


def _wrong_columns(schema: pa.Schema) -> Iterator[str]:
    for name, kind in COLUMNS.items():
        if name not in schema.names:
            yield f"no column {name}"
        elif kind is not None and schema.field(name).type != kind:
            yield f"{name} is {schema.field(name).type}, not {kind}"
        elif name == "config" and not pa.types.is_struct(schema.field(name).type):
            yield f"config is {schema.field(name).type}, not a struct"
        elif name == "style" and not _names_in_list(schema.field(name).type) >= _ENTRY:
            yield f"style is {schema.field(name).type}, not a list of structs with {', '.join(sorted(_ENTRY))}"


def _names_in_list(kind: pa.DataType) -> set[str]:
    if not pa.types.is_list(kind) or not pa.types.is_struct(kind.value_type):
        return set()
    return {field.name for field in kind.value_type}


def _wrong_directory(output: Path, rows: list[Row]) -> Iterator[str]:
    if [row["manifest_row"] for row in rows] != list(range(len(rows))):
        yield f"manifest_row is not 0..{len(rows) - 1}, each once and in order"
    if not (job := _json(output / "job.json")):
        yield "job.json is missing or damaged"
    elif len(rows) not in job.values():
        yield f"job.json nowhere says {len(rows)} rows"
    page = output / "gallery" / "index.html"
    if not page.exists() or "</html>" not in page.read_text():
        yield "gallery/index.html is missing or cut short"
    done = {row["run_id"] for row in rows if row["status"] == "done"}
    if done & {row["run_id"] for row in rows if row["status"] == "failed"}:
        yield "rows of the same run_id are both done and failed"
    for folder in ("images", "thumbs", "runs", "measures", "failures", "metrics"):
        yield from (f"{path}: what a write left behind" for path in (output / folder).glob("*") if _is_leftover(path))


def _is_leftover(path: Path) -> bool:
    return path.is_dir() or path.is_symlink() or path.suffix not in {".png", ".webp", ".json", ".parquet"}


def _wrong_status(_: Path, row: Row) -> Iterator[str]:
    yield f"status {row['status']!r}"


def _wrong_failed(output: Path, row: Row) -> Iterator[str]:
    message = row["error_message"] or ""
    if not row["error_type"] or not message.strip() or "\n" in message.strip():
        yield "failed without a one-line reason"
    if not row["run_id"]:
        return
    record = _json(output / "failures" / f"{row['run_id']}.json")
    if not record:
        yield "failed, and its failure record is missing or damaged"
    elif record.get("error_type") != row["error_type"]:
        yield f"failed by {row['error_type']}, but its failure record says {record.get('error_type')}"


def _wrong_done(output: Path, row: Row) -> Iterator[str]:
    run_id = row["run_id"] or ""
    if not re.fullmatch("[0-9a-f]{16}", run_id):
        yield f"run_id {run_id!r}"
        return
    if row["image"] != f"images/{run_id}.png":
        yield f"image {row['image']!r}"
    for leftover in (f"failures/{run_id}.json", f"partial/{run_id}.png", f"checkpoints/{run_id}.npz"):
        if (output / leftover).exists():
            yield f"done, but {leftover} is still there"
    yield from _wrong_picture(output, row)
    yield from _wrong_thumbnail(output / "thumbs" / f"{run_id}.webp", row)
    yield from _wrong_frames(output / "frames" / run_id, row)
    yield from _wrong_numbers(row)
    yield from (f"done without {name}" for name in ("weights_sha256", "device") if not row[name])
    if not (row["seconds"] or 0) > 0:
        yield f"seconds {row['seconds']}"
    if row["error_type"] or row["error_message"]:
        yield f"done, with the error {row['error_type']}: {row['error_message']}"


def _wrong_picture(output: Path, row: Row) -> Iterator[str]:
    path = output / "images" / f"{row['run_id']}.png"
    try:
        with Image.open(path) as image:
            image.load()
            carried = json.loads(getattr(image, "text", {}).get("stylebeam", "null"))
    except (OSError, ValueError) as error:
        yield f"{path.name} is missing or damaged: {error}"
        return
    if image.size != (row["width"], row["height"]) or image.mode != "RGB":
        yield f"the picture is {image.mode} {image.size}, the row says {(row['width'], row['height'])}"
    marker = _json(output / "runs" / f"{row['run_id']}.json")
    if not isinstance(carried, dict) or carried.get("run_id") != row["run_id"]:
        yield "the picture does not carry its row"
    elif marker is None:
        yield "the marker is missing or damaged"
    elif different := sorted(name for name in carried.keys() | marker if _differs(name, carried, marker)):
        yield f"picture and marker disagree about {different}"
    elif different := sorted(_disagreements(row, _with_later_measures(output, marker))):
        yield f"metrics and marker disagree about {different}"


def _disagreements(row: Row, marker: Row) -> Iterator[str]:
    return (name for name in COLUMNS.keys() - OF_THE_ROW if not _same(marker.get(name), row[name]))


def _with_later_measures(output: Path, marker: Row) -> Row:
    later = _json(output / "measures" / f"{marker['run_id']}.json") or {}
    return {**marker, **{name: value for name, value in later.items() if marker.get(name) is None}}


def _differs(name: str, carried: Row, marker: Row) -> bool:
    """Compares picture and marker; with --deterministic only the marker has `seconds` and measures."""
    untimed = name == "seconds" or name.startswith("measure_")
    return carried.get(name) != marker.get(name) and not (untimed and carried.get(name) is None)


def _same(recorded: Any, stored: Any) -> bool:
    """Returns whether a marker's JSON value equals a column's; loss columns are float32, so to seven digits."""
    if isinstance(recorded, float) and isinstance(stored, float):
        return math.isclose(recorded, stored, rel_tol=1e-6)
    if isinstance(recorded, list) and isinstance(stored, list):
        return len(recorded) == len(stored) and all(map(_same, recorded, stored))
    if isinstance(recorded, dict) and isinstance(stored, dict):
        return recorded.keys() == stored.keys() and all(_same(recorded[name], stored[name]) for name in stored)
    return bool(recorded == stored)


def _wrong_thumbnail(path: Path, row: Row) -> Iterator[str]:
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, UnidentifiedImageError) as error:
        yield f"the thumbnail is missing or damaged: {error}"
        return
    if image.width > row["width"] or image.height > row["height"]:
        yield f"the thumbnail is {image.size}, larger than its picture"


def _wrong_frames(folder: Path, row: Row) -> Iterator[str]:
    frames = row["frames"] or []
    if frames != sorted(set(frames)) or not all(0 <= number < row["iterations"] for number in frames):
        yield f"frames {frames}, iterations {row['iterations']}"
    for number in frames:
        yield from _wrong_thumbnail(folder / f"{number}.webp", row)


def _wrong_numbers(row: Row) -> Iterator[str]:
    config, history = row["config"], row["history"] or []
    yield from (f"config.{name} is not filled" for name in (*(f"{t}_weight" for t in TERMS), "iterations", "seed")
                if config.get(name) is None)  # fmt: skip
    losses = [{**{t: row[f"loss_{t}"] for t in LOSSES}, "iteration": "as delivered"}, *history]
    for loss in losses:
        total = sum(config[f"{term}_weight"] * loss[term] for term in TERMS)
        if not math.isfinite(total) or abs(total - loss["total"]) > 1e-3 * abs(total):
            yield f"loss {loss['iteration']}: {loss['total']:.6g} is not the weighted sum of its terms, {total:.6g}"
    steps = [entry["iteration"] for entry in history]
    if not steps or steps[0] != 0 or steps[-1] != row["iterations"] or steps != sorted(set(steps)):
        yield f"history runs over {steps[:3]}..{steps[-1:]}, iterations {row['iterations']}"
    elif not set(range(min(10, row["iterations"]))) <= set(steps):
        yield f"history lacks some of the first ten iterations: {steps[:12]}"
    if row["stop_reason"] not in STOP_REASONS:
        yield f"stop_reason {row['stop_reason']!r}"
    if row["iterations"] > config["iterations"]:
        yield f"{row['iterations']} iterations of {config['iterations']}"


def _json(path: Path) -> Row | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def main(arguments: list[str]) -> int:
    """Prints the faults; returns 0 if there are none, 1 if there are, 2 unless one directory is named."""
    if len(arguments) != 1:
        print("usage: python -m tests.support.contract DIR", file=sys.stderr)
        return 2
    wrong = violations(Path(arguments[0]))
    kinds = Counter(re.sub(r"^row \d+: ", "", text) for text in wrong)
    print("\n".join(wrong[:40]) or "the output directory keeps the contract")
    if len(wrong) > 40:
        print(f"... {len(wrong)} in all, {len(kinds)} of them different")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
