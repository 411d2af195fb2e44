"""The price of a worker per hour, from the dated file prices.json or a user's file of the same form."""

import dataclasses
import json
import math
from collections.abc import Mapping
from importlib import resources
from typing import Any

from pipeline.dataflow.gpus import GPUS
from stylecore.errors import UsageError
from transforms.output import storage

CPU = "cpu"
WORKERS = (CPU, *(gpu.accelerator for gpu in GPUS))


class PriceError(UsageError, ValueError):
    """A file of prices that cannot be used; the message names the file and the entry."""


@dataclasses.dataclass(frozen=True)
class Prices:
    """The prices of workers.

    Attributes:
      origin: the file that holds them.
      date: the day on which they were looked up.
      currency: the currency of all prices.
      region: the region in which they hold.
      per_hour: the price of a worker with one GPU, by `Gpu.accelerator`, and with two CPU cores, by "cpu".
    """

    origin: str
    date: str
    currency: str
    region: str
    per_hour: Mapping[str, float]


def read_prices(uri: str | None = None) -> Prices:
    """Reads prices.

    Args:
      uri: a JSON file like prices.json, local or gs://; None reads prices.json.

    Raises:
      PriceError: the file has another form, an unknown worker, or a price that is not a number >= 0.
      StorageError: the file cannot be read.
    """
    origin = uri or "pipeline/dataflow/prices.json"
    data = storage.read_bytes(uri) if uri else resources.files("pipeline.dataflow").joinpath("prices.json").read_bytes()
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PriceError(f"{origin}: not valid JSON: {error}") from error
    if not isinstance(values, dict) or not isinstance(values.get("workers"), dict):
        raise PriceError(f"{origin}: must be an object with date, currency, region and workers")
    about = {name: _text(origin, name, values.get(name)) for name in ("date", "currency", "region")}
    per_hour = {name: _sum(origin, name, parts) for name, parts in values["workers"].items()}
    return Prices(origin=origin, **about, per_hour=per_hour)


def _text(origin: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise PriceError(f"{origin}: {name} must be text, got {value!r:.60}")
    return value


def _sum(origin: str, name: str, parts: Any) -> float:
    """Returns a worker's price: the sum of the prices of its parts."""
    if name not in WORKERS:
        raise PriceError(f"{origin}: unknown worker {name!r:.60}, known: {', '.join(WORKERS)}")
    if not isinstance(parts, list) or not parts:
        raise PriceError(f"{origin}: {name} must be a list of {{what, per_hour, source}}, got {parts!r:.60}")
    return math.fsum(_price(origin, name, part) for part in parts)


def _price(origin: str, name: str, part: Any) -> float:
    price = part.get("per_hour") if isinstance(part, dict) else None
    if isinstance(price, bool) or not isinstance(price, int | float) or not (math.isfinite(price) and price >= 0):
        raise PriceError(f"{origin}: per_hour of {name} must be a number >= 0, got {price!r:.60}")
    return float(price)
