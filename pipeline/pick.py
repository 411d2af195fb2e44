"""`stylebeam pick`: the chosen runs of a finished grid -> a manifest that makes them again, with changes.

`pick` chooses among the rows of a metrics table; `write_picked` reads and writes the files around it.
"""

import dataclasses
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.grid import ROWS_PER_GROUP, write_manifest
from stylecore.config.style_config import ConfigError, StyleConfig
from stylecore.errors import UsageError, hint
from stylecore.measures.measure import MEASURES
from transforms.output import storage
from transforms.output.choices import Choice, read_choices
from transforms.output.metrics_files import read_metrics
from transforms.output.paths import Output
from transforms.output.record import arrow_config, config_type, metrics_schema, style_type
from transforms.records import recorded_images

logger = logging.getLogger(__name__)

PICKED_FROM = "picked_from"
GROUPINGS = ("content", "style")
_BETTER_LARGE = frozenset(one.key for one in MEASURES if one.better == "max")


class PickError(UsageError, ValueError):
    """A selection that cannot be made."""


@dataclasses.dataclass(frozen=True)
class Criterion:
    """A numeric column of the metrics by which pictures are compared: the least value is best, or the largest."""

    column: str
    largest: bool = False

    @classmethod
    def parse(cls, text: str) -> "Criterion":
        """Parses COLUMN, COLUMN:min or COLUMN:max, or raises PickError.

        Without a direction the least is best; a warning says so where more of a measure is better.
        """
        column, colon, direction = text.partition(":")
        if colon and direction not in ("min", "max"):
            raise PickError(f"{text!r}: expected COLUMN, COLUMN:min or COLUMN:max")
        if not colon and column in _BETTER_LARGE:
            logger.warning(
                "%s: more of it is better, and the least is picked: %s:max picks the largest", column, column
            )
        return cls(column, direction == "max")


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which runs are picked.

    Attributes:
      chosen: only these runs, with their choices; None: all.
      best: those that are best by this criterion.
      front: those on the Pareto front of these two: no other is better by one and at least as good by the other.
      per: the pictures of each content, each style or each pair are compared among themselves; empty: all are.
      top: at most this many of each group; None: one by `best`, all by choices and on a front.
    """

    chosen: Mapping[str, Choice] | None = None
    best: Criterion | None = None
    front: tuple[Criterion, Criterion] | None = None
    per: tuple[str, ...] = ()
    top: int | None = None


def pick(metrics: pa.Table, selection: Selection) -> pa.Table:
    """Returns the picked rows of a metrics table, best first within each group, every run once.

    Failed rows, and rows without a value in a column that is compared, are never picked. Equal values keep the order
    of the manifest; of equal points on a front all are picked. Groups are in the order of their first rows.

    Args:
      metrics: the columns run_id, status, content and style, and those of the criteria.
      selection: which rows are picked.

    Raises:
      PickError: a criterion's column does not exist, holds no numbers, or is null in every finished row.
    """
    criteria = [*filter(None, [selection.best]), *(selection.front or ())]
    for criterion in criteria:
        _check_column(metrics, criterion.column)
    rows = _candidates(metrics, selection)
    costs = np.stack([_costs(metrics, criterion) for criterion in criteria], axis=1) if criteria else None
    if costs is not None:
        rows = [row for row in rows if not np.isnan(costs[row]).any()]
    picked: list[int] = []
    for group in _groups(metrics, rows, selection.per):
        if selection.front is not None and costs is not None:
            picked += _front(group, costs[:, -2:])[: selection.top]
        elif selection.best is not None and costs is not None:
            picked += sorted(group, key=lambda row: costs[row, 0])[: selection.top or 1]
        else:
            ratings = {run_id: choice.rating or 0 for run_id, choice in (selection.chosen or {}).items()}
            picked += sorted(group, key=lambda row: -ratings.get(metrics["run_id"][row].as_py(), 0))[: selection.top]
    return metrics.take(pa.array(picked, pa.int64()))


def write_picked(
    directory: str, manifest: str, selection: Selection, choices: str | None, overrides: Mapping[str, Any]
) -> int:
    """Writes a manifest of the picked runs of an output directory.

    Args:
      directory: the output directory, local or gs://.
      manifest: the Parquet file to write, local or gs://.
      selection: which runs are picked; `chosen` follows from `choices`.
      choices: a choices.json, to whose chosen runs the selection is confined; None: that of the directory if the
        selection names neither `best` nor `front`.
      overrides: configuration fields that win over those of every picked run.

    Returns:
      The number of rows.

    Raises:
      PickError: nothing can be picked, or a run cannot be made again from its record.
      ChoicesError: see `read_choices`.
    """
    output = Output(directory)
    compared = [*filter(None, [selection.best]), *(selection.front or ())]
    metrics = _metrics(output, [criterion.column for criterion in compared])
    if choices is None and not compared:
        choices = storage.join(directory, "choices.json")
        if not storage.exists(choices):
            raise PickError(f"{choices}: not found: give --choices FILE.json, --best COLUMN or --front X,Y")
    if choices is not None:
        found = read_choices(choices, set(metrics["run_id"].to_pylist()))
        chosen = {run_id: choice for run_id, choice in found.items() if choice.is_chosen}
        selection = dataclasses.replace(selection, chosen=chosen)
    picked = pick(metrics, selection)
    if not len(picked):
        raise PickError(f"{directory}: no finished run is chosen")
    table = picked_manifest(_full_rows(output, picked["manifest_row"].to_pylist()), overrides)
    groups = (table.slice(first, ROWS_PER_GROUP) for first in range(0, len(table), ROWS_PER_GROUP))
    return write_manifest(groups, table.schema, manifest)


def picked_manifest(rows: Iterable[Mapping[str, Any]], overrides: Mapping[str, Any]) -> pa.Table:
    """Returns a manifest of metrics rows, with `picked_from` beside their further columns.

    Args:
      rows: whole metrics rows of finished runs, maps as dicts.
      overrides: configuration fields that win over each row's.

    Raises:
      PickError: a row does not say where its images lie, or its configuration does not take the overrides.
    """
    picked, extras = [], []
    for row in rows:
        picked.append(_manifest_row(row, overrides))
        extras.append({**json.loads(row["extra"] or "{}"), PICKED_FROM: row["run_id"]})
    kinds = {"content": pa.string(), "style": style_type(), "initial": pa.string(), "config": config_type()}
    arrays = {name: pa.array([values[name] for values in picked], kind) for name, kind in kinds.items()}
    names = dict.fromkeys(name for extra in extras for name in extra)
    return pa.table(arrays | {name: _extra_column([extra.get(name) for extra in extras]) for name in names})


def _manifest_row(row: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Returns content, style, initial and config of a metrics row, with resolved URIs, as a manifest has them."""
    try:
        images = recorded_images(row)
    except ValueError as error:
        raise PickError(
            f"run {row['run_id']}: its metrics do not say where its images lie; "
            "run the grid's manifest on this directory again, which computes nothing anew"
        ) from error
    config = _config(row, overrides)
    scaled = any(style.scale is not None for style in images.styles)
    if scaled and config.style_fit != "keep":
        raise PickError(
            f"run {row['run_id']}: style_fit must be keep with the scale of a style, got {config.style_fit}"
        )
    initial = images.initial if config.init == "image" else None
    if config.init == "image" and initial is None:
        raise PickError(f"run {row['run_id']}: init must be noise, content or style without initial, got image")
    return {
        "content": images.content.uri,
        "style": [style.to_record(resolved=True) for style in images.styles],
        "initial": initial and initial.uri,
        "config": arrow_config(config.to_dict()),
    }


def _config(row: Mapping[str, Any], overrides: Mapping[str, Any]) -> StyleConfig:
    config = {name: value for name, value in row["config"].items() if value is not None}
    try:
        return StyleConfig.from_dict({**config, **overrides})
    except ConfigError as error:
        raise PickError(f"run {row['run_id']}: {error}") from error


def _extra_column(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):  # Values of several kinds.
        return pa.array([None if value is None else json.dumps(value) for value in values])


def _metrics(output: Output, columns: Sequence[str]) -> pa.Table:
    """Reads the columns that `pick` needs; those that do not exist are left to it to refuse."""
    schema = metrics_schema()
    names = ["manifest_row", "run_id", "status", "content", "style", *(c for c in columns if c in schema.names)]
    names = list(dict.fromkeys(names))
    rows = list(read_metrics(output, names))
    if not rows:
        raise PickError(f"{output.root}: no metrics: expected the output directory of a finished job")
    return pa.Table.from_pylist(rows, pa.schema([schema.field(name) for name in names]))


def _full_rows(output: Output, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Returns whole metrics rows, in the order of their numbers in `numbers`."""
    wanted = set(numbers)
    within = range(min(numbers), max(numbers) + 1)
    found = {row["manifest_row"]: row for row in read_metrics(output, None, within) if row["manifest_row"] in wanted}
    return [found[number] for number in numbers]


def _check_column(metrics: pa.Table, name: str) -> None:
    numeric = [field.name for field in metrics_schema() if _is_number(field.type) and field.name != "manifest_row"]
    if name not in metrics.column_names or not _is_number(metrics.schema.field(name).type):
        raise PickError(f"{name!r} is not a number of the metrics{hint(name, numeric, 'numbers')}")
    if metrics[name].null_count == len(metrics):
        raise PickError(f"{name!r} is null in every row")


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _candidates(metrics: pa.Table, selection: Selection) -> list[int]:
    """Returns the first finished row of each run that may be picked."""
    first: dict[str, int] = {}
    for row, (run_id, status) in enumerate(zip(metrics["run_id"].to_pylist(), metrics["status"].to_pylist())):
        if status == "done" and (selection.chosen is None or run_id in selection.chosen):
            first.setdefault(run_id, row)
    return list(first.values())


def _costs(metrics: pa.Table, criterion: Criterion) -> np.ndarray:
    """Returns a column as float64 [rows], of which less is better; NaN where it has no value."""
    values = metrics[criterion.column].cast(pa.float64()).fill_null(float("nan")).to_numpy()
    return -values if criterion.largest else values


def _groups(metrics: pa.Table, rows: Iterable[int], per: Sequence[str]) -> Iterator[list[int]]:
    groups: dict[str, list[int]] = {}
    keys = [metrics[name].to_pylist() for name in per]
    for row in rows:
        groups.setdefault(json.dumps([key[row] for key in keys]), []).append(row)
    yield from groups.values()


def _front(rows: Sequence[int], costs: np.ndarray) -> list[int]:
    """Returns the rows that no other row dominates, by rising first cost.

    Args:
      rows: row numbers.
      costs: of every row, [rows, 2] float64.
    """
    front: list[int] = []
    for row in sorted(rows, key=lambda row: tuple(costs[row])):
        if not front or costs[row, 1] < costs[front[-1], 1] or np.array_equal(costs[row], costs[front[-1]]):
            front.append(row)
    return front
