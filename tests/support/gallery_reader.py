"""Reads what a gallery's page reads, from its files: an independent account of the format."""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

Files = Mapping[str, bytes]
KINDS = {"b": "<u1", "h": "<u2", "i": "<u4", "f": "<f4"}


def index_of(files: Files) -> dict[str, Any]:
    """Returns the index that the page embeds."""
    (text,) = re.findall(r'id="index">(.*?)</script>', files["index.html"].decode(), re.DOTALL)
    return json.loads(text)


def chunk_records(content: bytes) -> list[Any]:
    """Returns the records of a chunk, read as JSON: what a script calls `receive` with is JSON, too."""
    match = re.fullmatch(r'styleBeamGallery\.receive\("[a-z0-9-]+",(.*)\);\n', content.decode("ascii"), re.DOTALL)
    assert match
    return json.loads(match[1])


def unpacked(column: int | str | None, length: int) -> list[Any]:
    """Returns a packed column as a list; None for what is not a number."""
    if not isinstance(column, str):
        return [column] * length
    values = np.frombuffer(base64.b64decode(column[1:]), KINDS[column[0]]).tolist()
    assert len(values) == length
    return [None if value != value else value for value in values]


def part_records(files: Files, kind: str) -> list[Any]:
    """Returns the records of all parts' chunks of a kind that the index names: runs, numbers or failures."""
    return [record for part in index_of(files)["parts"] for name in part[kind] for record in chunk_records(files[name])]


def details_of(files: Files) -> list[dict[str, Any]]:
    """Returns the details of all runs, of hidden ones too."""
    names = [name for record in part_records(files, "runs") for name in record["details"]]
    records = [record for name in names for record in chunk_records(files[name])]
    return [{**record, "history": _history(record["history"])} for record in records]


def _history(packed: dict[str, str]) -> dict[str, list[Any]]:
    length = len(base64.b64decode(packed["iteration"][1:])) // 4
    return {name: unpacked(column, length) for name, column in packed.items()}


def runs_of(files: Files) -> list[dict[str, Any]]:
    """Returns every run that is shown: its run_id, size, numbers, and the labels of its values by dimension."""
    index = index_of(files)
    return [run for part in index["parts"] if part["rows"] for run in _runs_of_part(files, index, part)]


def _runs_of_part(files: Files, index: dict[str, Any], part: dict[str, Any]) -> list[dict[str, Any]]:
    rows = part["rows"]
    [runs] = chunk_records(files[part["runs"][0]])
    [numbers] = chunk_records(files[part["numbers"][0]])
    assert len(runs["ids"]) == 16 * rows
    columns = {key: unpacked(runs[key], rows) for key in ("height", "width")}
    columns |= {
        column["key"]: unpacked(numbers.get(column["key"]), rows) for column in index["losses"] + index["measures"]
    }
    for dimension in index["dimensions"]:
        codes = unpacked(runs["codes"].get(dimension["key"], 0), rows)
        places = [part["codes"][dimension["key"]][code] for code in codes]
        columns[dimension["key"]] = [dimension["values"][place]["label"] for place in places]
    return [
        {"run_id": runs["ids"][16 * row : 16 * row + 16], **{key: column[row] for key, column in columns.items()}}
        for row in range(rows)
        if row not in part.get("hidden", [])
    ]
