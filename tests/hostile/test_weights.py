"""A sample of the damaged weights files."""

from tests.hostile.isolation import DONE, REFUSED, run_isolated
from tests.hostile.weights import PEAK_BYTES, TASK


def test_damaged_weights():
    summary = run_isolated(TASK, range(60), seed=3, limit_bytes=16 * 2**30)
    assert not summary.broken, str(summary)
    kinds = [outcome.kind for outcome in summary.outcomes]
    assert len(kinds) == 60 and min(kinds.count(DONE), kinds.count(REFUSED)) > 5
    assert summary.peak_bytes < PEAK_BYTES
