"""Hours and money: how long devices compute, and what workers cost by the hour, from prices.json or a user's file."""

import dataclasses
import json
import math
from collections.abc import Mapping
from importlib import resources
from typing import Any

from pipeline.dataflow.gpus import GPUS, Gpu
from pipeline.plan.counts import Group
from stylecore.errors import UsageError
from stylecore.planning.costs import Device, evaluation_cost
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


# The share of a GPU's peaks that is reached. Assumed, not measured: there was no GPU to measure on.
GPU_EFFICIENCY = 0.4


def gpu_device(gpu: Gpu) -> Device:
    """Returns the speed of a GPU, which computes float32 in TF32 where it has TF32."""
    float32 = gpu.tf32_flops or gpu.float32_flops
    flops = {"float32": float32, "bfloat16": gpu.bfloat16_flops}
    return Device(
        flops_per_sec={precision: peak for precision, peak in flops.items() if peak},
        gram_flops_per_sec=float32,
        bytes_per_sec=gpu.memory_bytes_per_sec,
        efficiency=GPU_EFFICIENCY,
    )


def total_secs(device: Device, runs: Mapping[Group, int]) -> float | None:
    """Returns the estimated seconds of all runs, None if the device lacks the precision of one.

    Args:
      device: computes the runs, one full batch after the other.
      runs: group -> number of runs.
    """
    if any(group.bucket.kind.precision not in device.flops_per_sec for group in runs):
        return None
    return sum(count * _run_secs(device, group) for group, count in runs.items())


def _run_secs(device: Device, group: Group) -> float:
    kind = group.bucket.kind
    pairs = group.history_size
    return sum(
        iterations * device.evaluation_secs(evaluation_cost(kind, height, width, pairs, tiles=tiles), kind.precision)
        for (height, width, iterations), tiles in zip(group.stages, group.tiles, strict=True)
    )
