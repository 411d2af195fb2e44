"""Deal: the runs of a bucket -> shards, each about a block of contents x styles, so that its batches share images.

The hashes of a run's content and of its first style choose its place on a Z-order curve over the square of contents and
styles. Shards are pieces of the curve with equally many runs, and a piece of such a curve is a block, or a few. Where
the pieces end follows from the numbers of runs in the cells of the curve. A cell that reaches beyond the end of its
shard is divided by run_id, however many runs a content or a pair has.

Reference: G. M. Morton, A computer oriented geodetic data base and a new technique in file sequencing (IBM, 1966).
"""

import math
from collections.abc import Iterable
from typing import Any

# A shard is grouped and sorted in one worker's memory; a run weighs one to two kilobytes.
RUNS_PER_SHARD = 512
PLACE_BITS = 32
# 16 to 32 cells a shard. More make its block a little rounder, and the counts, which every worker has, longer.
_CELL_BITS_OF_A_SHARD = 4


def along_axis(sha256: str) -> int:
    """Returns where an image stands on its axis of the square: 16 bits of its hash, at the even bits of a number.

    Args:
      sha256: the hash of its file, hex.
    """
    bits = int(sha256[:4], 16)
    for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        bits = (bits | bits << shift) & mask
    return bits


def place(content: Any, style: Any) -> Any:
    """Returns the places of runs on the curve, 0 to 2**PLACE_BITS - 1.

    Args:
      content, style: from `along_axis`, integers or arrays of them.
    """
    return content << 1 | style


def cell_bits(runs: int) -> int:
    """Returns how many leading bits of a place name its cell, in a bucket of so many runs."""
    shards = math.ceil(runs / RUNS_PER_SHARD)
    return min(PLACE_BITS, (shards - 1).bit_length() + _CELL_BITS_OF_A_SHARD) if shards > 1 else 0


def shard_at(before: Any, runs_in_cell: Any, run_id: Any, runs: Any) -> Any:
    """Returns the shards of runs: each at its share of its cell, which its run_id says, among equally long shards.

    Args, integers or uint64 arrays of one shape:
      before: the number of the bucket's runs in the cells before the run's.
      runs_in_cell: the number of runs in its cell.
      run_id: the run_id as a number of 64 bits.
      runs: the number of runs in the bucket, < 2**31.
    """
    position = before + (runs_in_cell * (run_id >> 32) >> 32)
    shards = (runs + RUNS_PER_SHARD - 1) // RUNS_PER_SHARD
    return position * shards // runs


class Deal:
    """How the runs of one bucket are dealt.

    Args:
      cells: (cell, number of its runs), each cell once.
    """

    def __init__(self, cells: Iterable[tuple[int, int]]) -> None:
        self._cells: dict[int, tuple[int, int]] = {}
        self._runs = 0
        for cell, runs in sorted(cells):
            self._cells[cell] = (self._runs, runs)
            self._runs += runs

    def shard(self, place: int, run_id: str) -> int:
        """Returns the shard of a run, which follows from the run and the counts: a retried bundle gives the same."""
        cell = place >> (PLACE_BITS - cell_bits(self._runs))
        return int(shard_at(*self._cells[cell], int(run_id, 16), self._runs))
