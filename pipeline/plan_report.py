"""A plan as text for people."""

import dataclasses
import os
from collections.abc import Iterator

from pipeline.plan import MAX_SHOWN, BadRows, Plan
from pipeline.run_counts import BucketCounts
from pipeline.text import duration, plural
from stylecore.buckets import StepKind


def report(plan: Plan) -> Iterator[str]:
    """Yields the lines that `stylebeam plan` prints."""
    counts = plan.counts
    yield f"{plan.manifest}: {plural(plan.rows, 'row')}, {plural(plan.images, 'distinct image')}"
    yield f"runs: {counts.runs} distinct, {plural(plan.duplicates, 'duplicate row')}"
    yield from _bad_rows(plan.bad)
    yield from _finished(plan)
    yield from _table(plan.counts.buckets)
    yield from _time(plan)


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


def _telling_fields(kinds: list[StepKind]) -> list[str]:
    """The backbone, the optimizer, and whatever else differs between batches."""
    names = [field.name for field in dataclasses.fields(StepKind)]
    varying = {name for name in names if len({getattr(kind, name) for kind in kinds}) > 1}
    return [name for name in names if name in {"backbone", "optimizer"} | varying]


def _value(kind: StepKind, field: str) -> str:
    value = getattr(kind, field)
    return "+".join(value) if isinstance(value, tuple) else str(value)[:32]


def _time(plan: Plan) -> Iterator[str]:
    todo = sum(entry.to_compute for entry in plan.counts.buckets)
    batches = sum(entry.batches for entry in plan.counts.buckets)
    yield f"to compute: {plural(todo, 'run')} in {plural(batches, 'batch')}"
    if todo:
        yield (
            f"time: about {duration(plan.counts.secs)}, an estimate for two CPU cores and VGG19 in float32 without "
            f"early stops (this machine has {os.cpu_count()}); a GPU is many times faster"
        )
    if plan.price_per_hour is not None:
        cost = plan.counts.secs / 3600 * plan.price_per_hour
        yield f"cost: about {cost:.2f}, at {plan.price_per_hour:g} an hour for such a machine"
