"""The vocabulary in which StyleConfig declares its fields.

A kind knows how to turn a foreign value (from JSON, Parquet, YAML or Python) into the value a StyleConfig holds, what
to say when it cannot, and which Arrow type its column has. `parse` raises ValueError saying what was expected.
"""

import dataclasses
import math
import struct
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Protocol


class Kind(Protocol):
    """What a field may hold; `arrow` is the Arrow type of its column."""

    @property
    def arrow(self) -> str:
        """The Arrow type, as text."""

    def parse(self, value: Any) -> Any:
        """Returns the value as a StyleConfig holds it, or raises ValueError."""

    def plain(self, value: Any) -> Any:
        """Returns a held value as JSON has it."""


class _Scalar:
    def plain(self, value: Any) -> Any:
        return value


@dataclasses.dataclass(frozen=True)
class Choice(_Scalar):
    """One of a few names."""

    names: tuple[str, ...]
    arrow: str = "string"

    def parse(self, value: Any) -> str:
        """See Kind."""
        if value not in self.names or not isinstance(value, str):
            raise ValueError(f"must be one of {', '.join(self.names)}")
        return value


@dataclasses.dataclass(frozen=True)
class Text(_Scalar):
    """Text that is not empty."""

    arrow: str = "string"

    def parse(self, value: Any) -> str:
        """See Kind."""
        if not isinstance(value, str) or not value:
            raise ValueError("must be text")
        return value


@dataclasses.dataclass(frozen=True)
class Number(_Scalar):
    """A finite float: at least `low` (above it if `open_low`), at most `high` (below it if `open_high`)."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    arrow: str = "double"

    def parse(self, value: Any) -> float:
        """See Kind."""
        number = _float(value)
        # The optimisation computes in float32: what counts is the value there.
        used = _as_float32(number)
        above = used > self.low if self.open_low else used >= self.low
        below = used < self.high if self.open_high else used <= self.high
        if not (above and below):
            raise ValueError(f"must be {self._range()}")
        return number + 0.0  # -0.0 is the same work as 0.0.

    def _range(self) -> str:
        low = f"{'>' if self.open_low else '>='} {self.low:g}" if self.low > -math.inf else ""
        high = f"{'<' if self.open_high else '<='} {self.high:g}" if self.high < math.inf else ""
        return " and ".join(filter(None, (low, high)))


@dataclasses.dataclass(frozen=True)
class Whole(_Scalar):
    """A whole number in [low, high]; 300.0 is one, since Parquet and pandas like to store it that way."""

    low: int
    high: int
    arrow: str = "int64"

    def parse(self, value: Any) -> int:
        """See Kind."""
        number = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else _float(value)
        if number != int(number) or not self.low <= number <= self.high:
            raise ValueError(f"must be a whole number from {self.low} to {self.high}")
        return int(number)


@dataclasses.dataclass(frozen=True)
class Optional(_Scalar):
    """Another kind, or None."""

    kind: Kind

    @property
    def arrow(self) -> str:
        """The other kind's Arrow type: every column is nullable."""
        return self.kind.arrow

    def parse(self, value: Any) -> Any:
        """See Kind."""
        return None if value is None else self.kind.parse(value)


LayerWeights = tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True)
class Layers:
    """Layer weights as (name, weight) pairs; a list of names gets equal weights that sum to `total` (None: 1 each)."""

    total: float | None
    arrow: str = "map<string, double>"

    def parse(self, value: Any) -> LayerWeights:
        """See Kind."""
        pairs = list(value.items()) if isinstance(value, Mapping) else _sequence(value)
        if all(isinstance(p, str) for p in pairs):
            weight = 1.0 if self.total is None else self.total / max(len(pairs), 1)
            pairs = [(name, weight) for name in pairs]
        # A struct column has every layer that any row names: null means that this row does not.
        present = [(name, weight) for name, weight in map(_pair, pairs) if weight is not None]
        if not present:
            raise ValueError("must name at least one layer")
        if not all(isinstance(name, str) for name, _ in present):
            raise ValueError("must name layers by text")
        return tuple((name, self._weight(name, weight)) for name, weight in present)

    def plain(self, value: LayerWeights) -> dict[str, float]:
        """See Kind."""
        return dict(value)

    @staticmethod
    def _weight(name: str, weight: Any) -> float:
        try:
            return Number(low=0).parse(weight)
        except ValueError as error:
            raise ValueError(f"must have a weight >= 0 for {name!r}") from error


@dataclasses.dataclass(frozen=True)
class Pyramid:
    """Stages of a coarse-to-fine schedule, as (scale, share of the iterations) pairs."""

    arrow: str = "list<struct<scale: double, share: double>>"

    def parse(self, value: Any) -> tuple[tuple[float, float], ...]:
        """See Kind."""
        return tuple(self._stage(stage) for stage in _sequence(value))

    def plain(self, value: tuple[tuple[float, float], ...]) -> list[dict[str, float]]:
        """See Kind."""
        return [{"scale": scale, "share": share} for scale, share in value]

    @staticmethod
    def _stage(stage: Any) -> tuple[float, float]:
        try:
            scale, share = (stage["scale"], stage["share"]) if isinstance(stage, Mapping) else _pair(stage)
            fraction = Number(low=0, high=1, open_low=True)
            return fraction.parse(scale), fraction.parse(share)
        except (KeyError, ValueError) as error:
            raise ValueError("must be a list of {scale, share}, each > 0 and <= 1") from error


def setting(default: Any, kind: Kind, help: str, *, added_later: bool = False) -> Any:
    """Declares a field of StyleConfig.

    The dataclass default is None, which stands for the preset's value or, where the preset has none, `default`.
    A field `added_later` is left out of the canonical form at its default, so that finished grids keep their names.
    """
    metadata = {"default": default, "kind": kind, "help": help, "added_later": added_later}
    return dataclasses.field(default=None, metadata=metadata)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError("must be a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def _as_float32(number: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", number))[0])  # The native format lets infinity pass.
    except OverflowError as error:
        raise ValueError("must be a finite number in float32") from error


def _sequence(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list or a mapping")
    return list(value)


def _pair(value: Any) -> tuple[Any, Any]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("must be pairs")
    return value[0], value[1]
