"""Two thousand small runs of three sizes in one process: its memory rests, and nothing is traced twice.

A small job before them meets every size: each fills caches of compiled primitives, the more the larger its pictures
are. From the first tenth of the two thousand on, the resident size may grow by LIMIT_BYTES a run, and what malloc has
handed out by a third of that.
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
    job(manifest, folder / "before", runs // 10)
    done, samples = job(manifest, folder / "out", runs)
    return {
        "runs": done.computed,
        "all_done": done.computed == done.done == runs,
        **growth(samples, runs),
        "traces": (traces := engine_cache.traces()),
        "no_trace_beyond_the_third": 1 <= traces <= len(PICTURE_SIZES),
    }


def job(manifest, output, runs):
    """Runs a job in this process; returns what it did, and (finished runs, resident, allocated bytes) on the way."""
    markers, samples, over = output / "runs", [], threading.Event()

    def sample():
        while not over.wait(0.2):
            samples.append((len(list(markers.glob("*.json"))), resident_bytes(), allocated_bytes()))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        arguments = ["--manifest", manifest, "--output", output, "--batch_size=4", "--dataset=none"]
        done = run([*map(str, arguments), f"--limit={runs}"])
    finally:
        over.set()
        sampler.join()
    return done, np.array(samples)


def growth(samples, runs):
    """Returns megabytes after each tenth of the runs, the growth a run from the first tenth on, and if it is small."""
    finished, resident, allocated = samples[(samples[:, 0] >= runs / 10) & (samples[:, 0] < runs)].T
    tenths = [runs * tenth / 10 for tenth in range(1, 11)]
    slopes = [float(np.polyfit(finished, size, 1)[0]) for size in (resident, allocated)]
    return {
        "resident_mb_after_tenths": np.rint(np.interp(tenths, finished, resident) / 1e6).astype(int).tolist(),
        "allocated_mb_after_tenths": np.rint(np.interp(tenths, finished, allocated) / 1e6).astype(int).tolist(),
        "samples": len(finished),
        "bytes_per_run": round(slopes[0]),
        "allocated_bytes_per_run": round(slopes[1]),
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
