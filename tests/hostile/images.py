"""Thousands of damaged images: each must decode or be refused in one line, in bounded time and memory.

    python -m tests.hostile.images --count 5000 --seed 1

--first INDEX --count 1 runs one case of a seed alone; --save DIRECTORY writes the files of the cases that broke.
"""

import argparse
import random
import sys
from pathlib import Path

import numpy as np

from stylecore.images.codec import MAX_PIXELS, ImageError, decode_image
from tests.hostile.isolation import BUG, DONE, REFUSED, run_isolated
from tests.hostile.mutations import mutated
from tests.hostile.seeds import seed_pictures

# The memory that decoding the largest accepted image may take, whatever its format; see docs/trust.md.
MAX_BYTES_A_PIXEL = 16
PEAK_BYTES = MAX_PIXELS * MAX_BYTES_A_PIXEL + 200 * 2**20
TASK = "tests.hostile.images:decode_case"


def hostile_picture(seed, index):
    """Returns (name of the sound image, its mutated bytes); the formats take turns."""
    pictures = seed_pictures()
    names = sorted(pictures)
    name = names[index % len(names)]
    return name, mutated(pictures[name], list(pictures.values()), random.Random(f"{seed}/{index}"))


def decode_case(seed, index):
    """Decodes one case, as a task of isolation.run_isolated."""
    name, data = hostile_picture(seed, index)
    try:
        pixels = decode_image(data)
    except ImageError as error:
        reason = str(error)
        whole = reason == " ".join(reason.split()) and 0 < len(reason) <= 300 and "MemoryError" not in reason
        return (REFUSED if whole else BUG), reason or "refused without a reason"
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.flags.c_contiguous:
        return BUG, f"{name}: {pixels.dtype} {pixels.shape}"
    if not 0 < pixels.size <= 3 * MAX_PIXELS:
        return BUG, f"{name}: {pixels.shape}"
    return DONE, name


def main(arguments=None):
    """Prints the figures; exits 1 if a case broke or memory was not bounded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args(arguments)
    indices = range(options.first, options.first + options.count)
    summary = run_isolated(TASK, indices, options.seed, options.workers)
    print(summary)
    for outcome in summary.broken if options.save else ():
        options.save.mkdir(parents=True, exist_ok=True)
        name, data = hostile_picture(options.seed, outcome.index)
        (options.save / f"{options.seed}-{outcome.index}-{name.replace(' ', '_')}").write_bytes(data)
    return int(bool(summary.broken) or summary.peak_bytes > PEAK_BYTES)


if __name__ == "__main__":
    sys.exit(main())
