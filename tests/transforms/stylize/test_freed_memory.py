"""Freed memory is given back, also from the arenas of threads."""

import platform
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.faults.long_haul import resident_bytes
from transforms.stylize.freed_memory import give_back_freed_memory

BLOCK_BYTES, BLOCKS = 100_000, 1_000  # Below the size from which malloc asks the system for each block.


def last_of_blocks() -> np.ndarray:
    """Frees all blocks but the last one, which keeps the arena from shrinking by itself."""
    blocks = [np.ones(BLOCK_BYTES, np.uint8) for _ in range(BLOCKS)]
    return blocks[-1]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")
def test_what_a_thread_has_freed_returns_to_the_system():
    with ThreadPoolExecutor(1) as pool:
        kept = pool.submit(last_of_blocks).result()
        before = resident_bytes()
        give_back_freed_memory()
        assert before - resident_bytes() > 0.8 * BLOCK_BYTES * BLOCKS
        assert kept.all()
