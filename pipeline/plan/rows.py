"""RowPlanner: the runs that good rows ask for, and the reasons why the other rows are bad.

A grid repeats images, styles and configurations. Each is parsed once in an Arrow batch, so that a good row costs no
more than its run_id. A bad row is parsed and resolved as in a job, which gives it the same reason.
"""

import dataclasses
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.plan.counts import RunCounter
from stylecore.config.style_config import StyleConfig
from stylecore.images.style import style_size
from stylecore.networks.precision import Arithmetic, PrecisionError
from stylecore.planning.room import style_does_not_fit
from transforms.batch import BatchLimits, batch_size_of, place_of
from transforms.deal import along_axis, place
from transforms.manifest.distinct import number_combinations, number_values, to_rows, to_values
from transforms.manifest.files import ManifestSlice
from transforms.manifest.parse import (
    RowError,
    parse_config,
    parse_content,
    parse_initial,
    parse_row,
    parse_style,
    row_location,
)
from transforms.output import storage
from transforms.records import (
    ImageFacts,
    Reason,
    Run,
    config_identity,
    join_identity,
    region_count,
    style_identity,
)
from transforms.resolve import refusal, resolve_run, usable

Size = tuple[int, int]
BadRow = tuple[Reason, str]

# The configuration fields that decide which group a run belongs to.
_telling_fields = operator.attrgetter(
    *(field.name for field in dataclasses.fields(StyleConfig) if not field.metadata["is_data"])
)


@dataclasses.dataclass(frozen=True)
class _Column:
    """A column: the number of each row's value, int64 [rows], and the distinct values, bad ones as None."""

    numbers: np.ndarray
    values: list[Any]

    def good(self) -> np.ndarray:
        """Returns whether the value of each row is good, bool [rows]."""
        return np.array([value is not None for value in self.values], bool)[self.numbers]

    def numbers_by(self, key: Callable[[Any], Any]) -> np.ndarray:
        """Returns the number of each row's key, int64 [rows]; values with equal keys have one number."""
        known: dict[Any, int] = {}
        keys = [None if value is None else key(value) for value in self.values]
        return np.array([known.setdefault(key, len(known)) for key in keys], np.int64)[self.numbers]


@dataclasses.dataclass(frozen=True)
class _Style:
    """A style: what run_ids need of it, and of each entry the size, the own scale, and whether it has a style mask."""

    first_sha256: str
    identity: str
    sizes: tuple[tuple[Size, float | None, bool], ...]
    regions: int


@dataclasses.dataclass(frozen=True)
class _Config:
    identity: str
    telling: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class _Initial:
    """The picture to start from; both None where a row names none."""

    sha256: str | None = None
    size: Size | None = None


class _Columns(NamedTuple):
    content: _Column
    style: _Column
    config: _Column
    initial: _Column

    def good(self) -> np.ndarray:
        """Returns the rows of which every value is good."""
        return np.flatnonzero(np.logical_and.reduce([column.good() for column in self]))


class RowPlanner:
    """Counts the runs of good rows and returns the reasons of bad ones.

    Args:
      counter: receives the runs.
      facts: URI -> the image's facts, or the reason why it cannot be used, for every URI that `image_uris` gives.
      fingerprints: (backbone, weights) -> fingerprint; may load weights at their first look-up.
      arithmetic: the precisions that the computing device supports.
      limits: what bounds a batch.

    Attributes:
      too_large: what is wrong with styles that need more than the device's memory, each once.
    """

    def __init__(
        self,
        counter: RunCounter,
        facts: Mapping[str, ImageFacts | Reason],
        fingerprints: Mapping[tuple[str, str], str],
        arithmetic: Arithmetic,
        limits: BatchLimits,
    ) -> None:
        self._counter = counter
        self._facts = facts
        self._fingerprints = fingerprints
        self._arithmetic = arithmetic
        self._limits = limits
        self.too_large: dict[str, None] = {}

    def take(self, batch: pa.RecordBatch, part: ManifestSlice, offset: int) -> list[BadRow]:
        """Counts the good rows of an Arrow batch and returns the bad ones in order.

        Args:
          batch: rows of the manifest.
          part: the slice of the manifest that contains them.
          offset: the number of rows of the slice before the batch.
        """
        columns = self._columns(batch, storage.parent(part.file))
        rows, groups = self._groups(batch, columns, part, offset)
        self._counter.add(_run_ids(columns, rows), _places(columns, rows), groups)
        others = np.setdiff1d(np.arange(batch.num_rows), rows)
        return list(self._looked_at_alone(batch, others, part, offset))

    def _columns(self, batch: pa.RecordBatch, directory: str) -> _Columns:
        parsers = {"content": self._content, "style": self._style, "config": self._config, "initial": self._initial}
        return _Columns(*(_column(batch, name, directory, parse) for name, parse in parsers.items()))

    def _content(self, value: Any, directory: str) -> ImageFacts | None:
        return self._usable("content", parse_content(value, directory).uri)

    def _style(self, value: Any, directory: str) -> _Style | None:
        entries = parse_style(value, directory)
        named = [image for entry in entries for image in entry.images()]
        usable_facts = [self._usable(field, uri) for field, uri in named]
        facts = {uri: image for (_, uri), image in zip(named, usable_facts, strict=True) if image is not None}
        if None in usable_facts:
            return None
        sha256 = {uri: image.sha256 for uri, image in facts.items()}
        styles = [entry.hashed(sha256) for entry in entries]
        return _Style(
            styles[0].sha256,
            style_identity(styles),
            tuple((_size(facts[entry.uri]), entry.scale, entry.style_mask is not None) for entry in entries),
            region_count([style.content_mask for style in styles]),
        )

    def _initial(self, value: Any, directory: str) -> _Initial | None:
        if (named := parse_initial(value, directory)) is None:
            return _Initial()
        facts = self._usable("initial", named.uri)
        return None if facts is None else _Initial(facts.sha256, _size(facts))

    def _usable(self, field: str, uri: str) -> ImageFacts | None:
        facts = usable(field, uri, self._facts)
        return None if isinstance(facts, Reason) else facts

    def _config(self, value: Any, directory: str) -> _Config | None:
        config = parse_config(value, directory)
        try:
            config = self._arithmetic.settle(config)
        except PrecisionError:
            return None
        identity = config_identity(config, self._fingerprints[config.backbone, config.weights])
        return _Config(identity, (*_telling_fields(config), config.init == "image", config.color == "content"))

    def _groups(
        self, batch: pa.RecordBatch, columns: _Columns, part: ManifestSlice, offset: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows that can be run and the group of each: equal sizes and telling fields make a group."""
        rows = columns.good()
        parts = [
            columns.content.numbers_by(_size),
            columns.style.numbers_by(lambda style: (style.sizes, style.regions)),
            columns.config.numbers_by(lambda config: config.telling),
            columns.initial.numbers_by(lambda initial: initial.size),
        ]
        combinations, first = number_combinations([part[rows] for part in parts])
        runs = self._resolved(batch, rows[first], part, offset)
        groups = [None if isinstance(run, Reason) else self._group(run) for _, run in runs]
        can_run = np.array([group is not None for group in groups], bool)[combinations]
        numbers = np.array([-1 if group is None else group for group in groups], np.int64)
        return rows[can_run], numbers[combinations[can_run]]

    def _group(self, run: Run) -> int:
        if (reason := self._too_large_style(run)) is not None:
            self.too_large[reason] = None
        return self._counter.number(run, batch_size_of(run, self._limits), self._limits.room)

    def _too_large_style(self, run: Run) -> str | None:
        config, kind, room = run.row.config, run.bucket.kind, self._limits.room
        for style in run.row.styles:
            size = style_size(*_size(self._facts[style.uri]), run.height, run.width, config, style.scale)
            masked, own_scale = style.style_mask is not None, style.scale is not None
            if (reason := style_does_not_fit(kind, *size, room, masked, own_scale)) is not None:
                return reason
        return None

    def _looked_at_alone(
        self, batch: pa.RecordBatch, rows: np.ndarray, part: ManifestSlice, offset: int
    ) -> Iterator[BadRow]:
        for location, run in self._resolved(batch, rows, part, offset):
            if isinstance(run, Reason):
                yield run, location
            else:
                ids = np.array([int(run.run_id, 16)], np.uint64)
                self._counter.add(ids, np.array([place_of(run)]), np.array([self._group(run)]))

    def _resolved(
        self, batch: pa.RecordBatch, rows: np.ndarray, part: ManifestSlice, offset: int
    ) -> Iterator[tuple[str, Run | Reason]]:
        """Yields, for each row, its location and its run, or the reason that a job would give for having none."""
        for row, values in zip(rows.tolist(), to_rows(batch.take(pa.array(rows))), strict=True):
            in_slice = offset + row
            location = row_location(part.file, part.first_in_file + in_slice)
            try:
                parsed = parse_row(values, part.first_row + in_slice, part.first_in_file + in_slice, part.file)
            except RowError as error:
                yield location, Reason(type(error).__name__, f"{location}: {error}")
            else:
                run = resolve_run(parsed, self._facts, self._fingerprints, self._arithmetic)
                yield location, run if isinstance(run, Reason) else refusal(run, self._facts) or run


def image_uris(batch: pa.RecordBatch, directory: str) -> dict[str, None]:
    """Returns the distinct URIs of the images that rows name, in order, as far as their columns can be parsed.

    Args:
      batch: rows of the manifest.
      directory: the directory of the manifest, against which paths are resolved.
    """
    contents = _column(batch, "content", directory, parse_content)
    styles = _column(batch, "style", directory, parse_style)
    initials = _column(batch, "initial", directory, parse_initial)
    entries = [image for style in styles.values for entry in style or () for image in entry.images()]
    others = [named.uri for named in (*contents.values, *initials.values) if named]
    return dict.fromkeys([*others, *(uri for _, uri in entries)])


def _column(batch: pa.RecordBatch, name: str, directory: str, parse: Callable[[Any, str], Any]) -> _Column:
    column = batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows)
    numbers, first = number_values(column)
    return _Column(numbers, [_parsed(parse, value, directory) for value in to_values(column.take(pa.array(first)))])


def _parsed(parse: Callable[[Any, str], Any], value: Any, directory: str) -> Any:
    try:
        return parse(value, directory)
    except RowError:
        return None


def _size(facts: Any) -> Size:
    return facts.height, facts.width


def _run_ids(columns: _Columns, rows: np.ndarray) -> np.ndarray:
    content, style, config, initial = (column.values for column in columns)
    numbers = zip(*(column.numbers[rows].tolist() for column in columns), strict=True)
    identities = (
        join_identity(content[i].sha256, style[j].identity, config[k].identity, initial[n].sha256)
        for i, j, k, n in numbers
    )
    return np.fromiter((int(run_id, 16) for run_id in identities), np.uint64, len(rows))


def _places(columns: _Columns, rows: np.ndarray) -> np.ndarray:
    return place(
        _by_value(columns.content, rows, lambda content: along_axis(content.sha256)),
        _by_value(columns.style, rows, lambda style: along_axis(style.first_sha256)),
    )


def _by_value(column: _Column, rows: np.ndarray, number: Callable[[Any], int]) -> np.ndarray:
    """Returns `number` of the value of each of these rows, int64."""
    return np.array([0 if value is None else number(value) for value in column.values], np.int64)[column.numbers[rows]]
