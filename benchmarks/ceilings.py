"""The best that this machine reaches: arithmetic in a large matrix product, bandwidth in a large copy.

    python -m benchmarks.ceilings [--side 3072] [--megabytes 256]

These are the ceilings of the roofline in docs/performance.md, which shows what the step reaches at 256 px below them.
"""

import functools
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from benchmarks.figures import Figure, main_of

REPEATS = 7


def measure(side: int, megabytes: int) -> Iterator[Figure]:
    """Yields floating-point operations per second for each precision, and bytes per second."""
    product = tf.function(lambda a: tf.matmul(a, a))
    for precision in ("float32", "bfloat16"):
        factor = tf.cast(tf.random.stateless_normal([side, side], [0, 0]), precision)
        secs = best_secs(functools.partial(product, factor))
        yield Figure(f"matmul_gflops_per_sec_{precision}", 2 * side**3 / secs / 1e9, {"side": side})
    source = np.ones(megabytes << 20, np.uint8)
    target = np.empty_like(source)
    secs = best_secs(functools.partial(np.copyto, target, source))
    yield Figure("copy_gigabytes_per_sec", 2 * source.nbytes / secs / 1e9, {"megabytes": megabytes, "threads": 1})


def best_secs(work: Callable[[], object]) -> float:
    """Returns the seconds of the fastest of several repetitions, after one that warms up."""
    work()
    found = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


if __name__ == "__main__":
    main_of(__doc__, measure, side=3072, megabytes=256)
