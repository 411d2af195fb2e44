"""Two thousand small runs of three sizes in one process: its memory comes to rest, and nothing is traced twice.

Over the second half the resident size may grow by LIMIT_BYTES a run, and what malloc has handed out by a third of that.
Before, both grow faster: the sizes come one after the other, and each fills oneDNN's caches of compiled primitives.
"""

import ctypes
import os
import threading
from pathlib import Path

import numpy as np

from stylecore.run import engine_cache
from tests.faults.jobs import main_of, write_grid
from tests.support.jobs import run

PICTURE_SIZES = (32, 40, 48)
LIMIT_BYTES = 30_000


def measure(folder, runs, iterations):
    manifest = write_grid(folder, -(-runs // (4 * len(PICTURE_SIZES))), PICTURE_SIZES, iterations=iterations)
    markers, samples, over = folder / "out" / "runs", [], threading.Event()

    def sample():
        while not over.wait(0.2):
            samples.append((len(list(markers.glob("*.json"))), resident_bytes(), allocated_bytes()))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        arguments = ["--manifest", manifest, "--output", folder / "out", "--batch_size=4", "--dataset=none"]
        done = run([*map(str, arguments), f"--limit={runs}"])
    finally:
        over.set()
        sampler.join()
    return {
        "runs": done.computed,
        "all_done": done.computed == done.done == runs,
        **growth(np.array(samples), runs),
        "traces": (traces := engine_cache.traces()),
        "no_trace_beyond_the_third": 1 <= traces <= len(PICTURE_SIZES),
    }


def growth(samples, runs):
    """Returns megabytes after shares of the runs, the growth a run over the second half, and whether it is small."""
    finished, resident, allocated = samples[samples[:, 0] > 0].T
    megabytes = {share: float(np.interp(runs * share / 100, finished, resident)) / 1e6 for share in (10, 50, 99)}
    late = (finished >= runs / 2) & (finished < runs)
    slopes = [float(np.polyfit(finished[late], size[late], 1)[0]) for size in (resident, allocated)]
    return {
        **{f"mb_after_{share}_percent": round(value) for share, value in megabytes.items()},
        "samples": len(samples),
        "bytes_per_run_in_second_half": round(slopes[0]),
        "allocated_bytes_per_run_in_second_half": round(slopes[1]),
        "comes_to_rest": slopes[0] < LIMIT_BYTES and slopes[1] < LIMIT_BYTES / 3,
    }


def resident_bytes():
    """Returns the resident size of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class _Mallinfo2(ctypes.Structure):
    """See mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def allocated_bytes():
    """Returns what malloc has handed out in this process."""
    ask = ctypes.CDLL("libc.so.6").mallinfo2
    ask.restype = _Mallinfo2
    found = ask()
    return found.uordblks + found.hblkhd


if __name__ == "__main__":
    main_of(__doc__, measure, runs=2000, iterations=5)
