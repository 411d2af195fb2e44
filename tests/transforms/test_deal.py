"""Shards are bounded whatever the grid, follow from the run and the counts, and share images."""

import hashlib
import itertools
import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms import deal
from transforms.deal import PLACE_BITS, RUNS_PER_SHARD, Deal, along_axis, cell_bits, place

GRIDS = [(1, 10_000, 1), (10_000, 1, 1), (1, 1, 100_000), (500, 500, 1), (100, 100, 10), (3, 400, 50), (7, 9, 3)]


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def places_of(contents, styles):
    """The place of each pair."""
    columns = [along_axis(sha256(f"content {number}")) for number in range(contents)]
    rows = [along_axis(sha256(f"style {number}")) for number in range(styles)]
    return {(c, s): place(columns[c], rows[s]) for c, s in itertools.product(range(contents), range(styles))}


def dealt(grid):
    """Returns (content, style, run_id, place) of each run, and how they are dealt."""
    contents, styles, configs = grid
    places = places_of(contents, styles)
    runs = [(c, s, sha256(f"{c} {s} {number}")[:16], at) for (c, s), at in places.items() for number in range(configs)]
    cells = Counter(at >> (PLACE_BITS - cell_bits(len(runs))) for *_, at in runs)
    return runs, Deal(cells.items())


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_shards_are_of_bounded_size_and_a_retry_gives_the_same(grid):
    runs, whole = dealt(grid)
    sizes = Counter(whole.shard(at, run_id) for *_, run_id, at in runs)
    assert sizes.keys() == set(range(-(-len(runs) // RUNS_PER_SHARD)))
    assert max(sizes.values()) <= 1.25 * RUNS_PER_SHARD
    random.Random(0).shuffle(runs)
    cells = Counter(at >> (PLACE_BITS - cell_bits(len(runs))) for *_, at in runs)
    again = Deal(cells.items())
    assert all(again.shard(at, run_id) == whole.shard(at, run_id) for *_, run_id, at in runs)


@pytest.mark.parametrize(
    ("grid", "images_per_run"), [((500, 500, 1), 0.15), ((100, 100, 10), 0.05), ((1, 400, 50), 0.08)]
)
def test_the_runs_of_a_shard_share_images(grid, images_per_run):
    """Dealt by run_id alone they have 1.25, 0.39 and 0.78 images a run."""
    runs, whole = dealt(grid)
    images: defaultdict[int, set[tuple[str, int]]] = defaultdict(set)
    for content, style, run_id, at in runs:
        images[whole.shard(at, run_id)] |= {("content", content), ("style", style)}
    assert sum(map(len, images.values())) / len(runs) < images_per_run


@given(st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1)), min_size=1, max_size=200))
def test_any_images_make_shards_in_the_order_of_their_places(pairs):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deal, "RUNS_PER_SHARD", 8)
        runs = sorted((place(along_axis(f"{c:04x}"), along_axis(f"{s:04x}")), sha256(str(pair))[:16])
                      for pair in enumerate(pairs) for c, s in [pair[1]])  # fmt: skip
        shift = PLACE_BITS - cell_bits(len(runs))
        whole = Deal(Counter(at >> shift for at, _ in runs).items())
        shards = [(at >> shift, whole.shard(at, run_id)) for at, run_id in runs]
        assert all(0 <= shard < -(-len(runs) // 8) for _, shard in shards)
        for (cell, shard), (next_cell, next_shard) in itertools.pairwise(shards):
            assert shard <= next_shard or cell == next_cell


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**16 - 1))
def test_a_place_has_the_bits_of_both_hashes_by_turns(content, style):
    turns = zip(f"{content:016b}", f"{style:016b}", strict=True)
    assert place(along_axis(f"{content:04x}"), along_axis(f"{style:04x}")) == int("".join(map("".join, turns)), 2)
