"""The kinds of fields that StyleConfig declares.

A kind turns a value from JSON, Parquet, YAML or Python into the value that a StyleConfig holds, words the error when
that is impossible, and names the Arrow type of the field's column.
"""

import dataclasses
import math
import struct
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, Literal, Protocol


class Kind(Protocol):
    """What a field may hold."""

    @property
    def arrow(self) -> str:
        """The Arrow type of the field's column, as text; every column is nullable."""

    def parse(self, value: Any) -> Any:
        """Returns the value as a StyleConfig holds it.

        Raises:
          ValueError: the value is illegal; the message says what is expected and goes on from the field's name.
        """

    def plain(self, value: Any) -> Any:
        """Returns a held value as JSON represents it."""


class _Scalar:
    def plain(self, value: Any) -> Any:
        return value


@dataclasses.dataclass(frozen=True)
class Choice(_Scalar):
    """One of the given names."""

    names: tuple[str, ...]
    arrow: str = "string"

    def parse(self, value: Any) -> str:
        if value not in self.names or not isinstance(value, str):
            raise ValueError(f"must be one of {', '.join(self.names)}")
        return value


@dataclasses.dataclass(frozen=True)
class Flag(_Scalar):
    """True or false."""

    arrow: str = "bool"

    def parse(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value


@dataclasses.dataclass(frozen=True)
class Text(_Scalar):
    """Text that is not empty."""

    arrow: str = "string"

    def parse(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise ValueError("must be text")
        return value


@dataclasses.dataclass(frozen=True)
class Number(_Scalar):
    """A number that is finite in float32, in [low, high]; `open_low` and `open_high` exclude the bounds."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    arrow: str = "double"

    def parse(self, value: Any) -> float:
        number = _float(value)
        used = _as_float32(number)  # The range holds for the value that the optimisation computes with.
        above = used > self.low if self.open_low else used >= self.low
        below = used < self.high if self.open_high else used <= self.high
        if not (above and below):
            raise ValueError(f"must be {self._range()}")
        return number + 0.0  # -0.0 becomes 0.0: the same work has one canonical form.

    def _range(self) -> str:
        low = f"{'>' if self.open_low else '>='} {self.low:g}" if self.low > -math.inf else ""
        high = f"{'<' if self.open_high else '<='} {self.high:g}" if self.high < math.inf else ""
        return " and ".join(filter(None, (low, high)))


@dataclasses.dataclass(frozen=True)
class Whole(_Scalar):
    """A whole number in [low, high]. 300.0 is one: pandas stores a column of whole numbers with gaps as floats."""

    low: int
    high: int
    arrow: str = "int64"

    def parse(self, value: Any) -> int:
        number = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else _float(value)
        if number != int(number) or not self.low <= number <= self.high:
            raise ValueError(f"must be a whole number from {self.low} to {self.high}")
        return int(number)


@dataclasses.dataclass(frozen=True)
class Nullable(_Scalar):
    """None, or what another kind holds."""

    kind: Kind

    @property
    def arrow(self) -> str:
        return self.kind.arrow

    def parse(self, value: Any) -> Any:
        return None if value is None else self.kind.parse(value)


LayerWeights = tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True)
class Layers:
    """Layer weights as (name, weight) pairs; a list of names gets 1 each, or equal weights that sum to `total`."""

    total: float | None
    arrow: str = "map<string, double>"

    def parse(self, value: Any) -> LayerWeights:
        pairs = list(value.items()) if isinstance(value, Mapping) else _sequence(value)
        if all(isinstance(p, str) for p in pairs):
            weight = 1.0 if self.total is None else self.total / max(len(pairs), 1)
            pairs = [(name, weight) for name in pairs]
        # A struct column has a member for each layer that any row names: null in the rows that leave it out.
        present = [(name, weight) for name, weight in map(_pair, pairs) if weight is not None]
        if not present:
            raise ValueError("must name at least one layer")
        if not all(isinstance(name, str) for name, _ in present):
            raise ValueError("must name layers by text")
        return tuple((name, self._weight(name, weight)) for name, weight in present)

    def plain(self, value: LayerWeights) -> dict[str, float]:
        return dict(value)

    @staticmethod
    def _weight(name: str, weight: Any) -> float:
        try:
            return Number(low=0).parse(weight)
        except ValueError as error:
            raise ValueError(f"must have a weight >= 0 for {name!r}") from error


@dataclasses.dataclass(frozen=True)
class Pyramid:
    """Stages, coarse to fine, as (scale, share) pairs: fractions of the final size and of the iterations."""

    arrow: str = "list<struct<scale: double, share: double>>"

    def parse(self, value: Any) -> tuple[tuple[float, float], ...]:
        return tuple(self._stage(stage) for stage in _sequence(value))

    def plain(self, value: tuple[tuple[float, float], ...]) -> list[dict[str, float]]:
        return [{"scale": scale, "share": share} for scale, share in value]

    @staticmethod
    def _stage(stage: Any) -> tuple[float, float]:
        try:
            scale, share = (stage["scale"], stage["share"]) if isinstance(stage, Mapping) else _pair(stage)
            fraction = Number(low=0, high=1, open_low=True)
            return fraction.parse(scale), fraction.parse(share)
        except (KeyError, ValueError) as error:
            raise ValueError("must be a list of {scale, share}, each > 0 and <= 1") from error


def setting(
    default: Any,
    kind: Kind,
    help: str,
    *,
    added_later: bool = False,
    is_data: bool = False,
    defines: Literal["terms", "total"] | None = None,
) -> Any:
    """Declares a field of StyleConfig; its dataclass default is None, which stands for the preset's value.

    Args:
      default: the value where the preset has none.
      kind: what the field may hold.
      help: what the field means, in one clause; units where they could be doubted.
      added_later: leaves the field out of the canonical form at its default, so that finished grids keep their names.
      is_data: neither what shares a batch nor what a run costs depends on the field; a sweep may give it any number of
        values.
      defines: "terms" where losses of different values do not compare, since each term means something else; "total"
        where the terms compare and their weighted sum does not.
    """
    metadata = {
        "default": default,
        "kind": kind,
        "help": help,
        "added_later": added_later,
        "is_data": is_data,
        "defines": defines,
    }
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
