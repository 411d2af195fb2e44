"""A plan as text."""

import dataclasses
from collections.abc import Iterator

from pipeline.cli.command import duration, plural, size
from pipeline.dataflow.estimates import CPU, GPU_EFFICIENCY, gpu_device, total_secs
from pipeline.plan.counts import BucketCounts, Group
from pipeline.plan.plan import MAX_SHOWN, BadRows, Plan
from pipeline.plan.sizes import output_sizes
from stylecore.planning.buckets import StepKind
from stylecore.planning.costs import TWO_CORES, Device, evaluation_cost
from stylecore.planning.room import does_not_fit, time_factor
from stylecore.planning.tiles import Tiles


def report(plan: Plan, here: Device | None = None) -> Iterator[str]:
    """Yields the lines that `stylebeam plan` prints.

    Args:
      plan: what a job would do.
      here: the speed of this machine, as measured; None leaves it out.
    """
    counts = plan.counts
    yield f"{plan.manifest}: {plural(plan.rows, 'row')}, {plural(plan.images, 'distinct image')}"
    yield f"runs: {counts.runs} distinct, {plural(plan.duplicates, 'duplicate row')}"
    yield from _bad_rows(plan.bad)
    yield from _finished(plan)
    yield from _table(plan.counts.buckets)
    yield from _tiles(plan)
    yield from _time(plan, here)


def _bad_rows(bad: BadRows) -> Iterator[str]:
    yield f"bad rows: {bad.count}"
    yield from (f"  {message}" for message in bad.shown)
    if bad.count > len(bad.shown):
        yield f"  and {bad.count - len(bad.shown)} more; all of them by reason:"
        yield from (f"  {count:>9}  {reason}" for reason, count in bad.reasons.most_common(MAX_SHOWN))
        if (others := len(bad.reasons) - MAX_SHOWN) > 0:
            yield f"  and {plural(others, 'other reason')}"


def _finished(plan: Plan) -> Iterator[str]:
    if plan.output is not None:
        hidden = f", not known of {plan.counts.unidentified}" if plan.counts.unidentified else ""
        yield f"already finished in {plan.output}: {plan.counts.finished}{hidden}"
    for backbone, weights in plan.unknown_weights:
        yield (
            f"weights {weights} of {backbone} are not on this machine and a plan downloads nothing: which of their "
            f"runs are finished is not known (`stylebeam weights --backbone {backbone}` fetches them)"
        )


def _table(buckets: tuple[BucketCounts, ...]) -> Iterator[str]:
    if not buckets:
        return
    fields = _telling_fields([entry.bucket.kind for entry in buckets])
    yield f"{'height x width':>16} {'runs':>9} {'to compute':>10} {'batches':>9} {'of up to':>8}  {', '.join(fields)}"
    for entry in buckets[:MAX_SHOWN]:
        shape = f"{entry.bucket.height} x {entry.bucket.width}"
        kind = ", ".join(_value(entry.bucket.kind, field) for field in fields)
        yield f"{shape:>16} {entry.runs:>9} {entry.to_compute:>10} {entry.batches:>9} {entry.batch_size:>8}  {kind}"
    if len(buckets) > MAX_SHOWN:
        rest = buckets[MAX_SHOWN:]
        yield f"  and {len(rest)} more kinds of batches with {sum(entry.to_compute for entry in rest)} runs to compute"


def _tiles(plan: Plan) -> Iterator[str]:
    """Yields a line for each size that is computed in tiles, and one for each picture or style that does not fit."""
    lines: dict[str, None] = {}
    for group in plan.counts.to_compute:
        kind = group.bucket.kind
        for (height, width, _), tiles in zip(group.stages, group.tiles, strict=True):
            if tiles is not None:
                lines[f"{height} x {width}: {_in_tiles(group, height, width, tiles)}"] = None
            reason = does_not_fit(kind, height, width, group.history_size, plan.room, group.regions)
            if reason is not None:
                lines[f"{height} x {width}: will fail: {reason}"] = None
    lines |= dict.fromkeys(f"will fail: {reason}" for reason in plan.too_large_styles)
    yield from (f"  {line}" for line in list(lines)[:MAX_SHOWN])


def _in_tiles(group: Group, height: int, width: int, tiles: Tiles) -> str:
    kind = group.bucket.kind
    held = evaluation_cost(kind, height, width, group.history_size, group.regions, tiles).bytes_held
    how = f"in tiles of {tiles.side_px} px" if tiles.side_px else "twice"
    layers = f"up to {tiles.last} " if tiles.last else ""
    factor = time_factor(kind, height, width, tiles)
    return (
        f"layers {layers}computed {how}, about {factor:.1f} times the time of the whole picture, {held / 2**30:.1f} GiB"
    )


def _telling_fields(kinds: list[StepKind]) -> list[str]:
    """Returns the backbone, the optimizer, and the other fields that differ between batches."""
    names = [field.name for field in dataclasses.fields(StepKind)]
    varying = {name for name in names if len({getattr(kind, name) for kind in kinds}) > 1}
    return [name for name in names if name in {"backbone", "optimizer"} | varying]


def _value(kind: StepKind, field: str) -> str:
    value = getattr(kind, field)
    return "+".join(value) if isinstance(value, tuple) else str(value)[:32]


def _time(plan: Plan, here: Device | None) -> Iterator[str]:
    todo = sum(entry.to_compute for entry in plan.counts.buckets)
    batches = sum(entry.batches for entry in plan.counts.buckets)
    yield f"to compute: {plural(todo, 'run')} in {plural(batches, 'batch')}"
    if todo:
        yield _sizes(plan)
        yield from _costs(plan, here)


def _sizes(plan: Plan) -> str:
    found = output_sizes(plan.counts.to_compute, plan.frames)
    parts = [f"pictures {size(found.pictures)}", f"thumbnails {size(found.thumbnails)}"]
    if plan.frames:
        parts.append(f"frames {size(found.frames)}")
    return f"  the pictures will take about {size(sum(found))}: {', '.join(parts)}"


def _costs(plan: Plan, here: Device | None) -> Iterator[str]:
    """Yields a table of the time and the cost of this machine and of each kind of worker."""
    prices = plan.prices
    hourly = f"{prices.currency} an hour"
    yield f"{'one worker with':>19} {'takes about':>14} {'hours':>11} {hourly:>12} {prices.currency:>13}"
    if here is not None:
        yield _cost("this machine", total_secs(here, plan.counts.to_compute), None)
    yield _cost("2 CPU cores", total_secs(TWO_CORES, plan.counts.to_compute), prices.per_hour.get(CPU))
    for gpu in plan.gpus:
        secs = total_secs(gpu_device(gpu), plan.counts.to_compute)
        yield _cost(gpu.name, secs, prices.per_hour.get(gpu.accelerator))
    measured = "this machine as measured just now; " if here is not None else ""
    yield (
        f"  estimates for full batches without early stops: {measured}two cores as measured with AVX-512; GPUs at "
        f"{GPU_EFFICIENCY:.0%} of the peaks of their data sheets, which is assumed"
    )
    yield f"  prices of {prices.date} in {prices.region}, from {prices.origin}: workers alone, as long as they compute"


def _cost(name: str, secs: float | None, per_hour: float | None) -> str:
    if secs is None:
        return f"{name:>19} {'lacks bfloat16':>14}"
    hours = secs / 3600
    line = f"{name:>19} {duration(secs):>14} {hours:>11,.2f}"
    return line if per_hour is None else f"{line} {per_hour:>12,.2f} {hours * per_hour:>13,.2f}"
