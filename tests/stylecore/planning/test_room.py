"""Which pictures are computed in tiles, by memory; and what is said of those that do not fit."""

import pytest

from stylecore.config.style_config import StyleConfig
from stylecore.planning.buckets import step_kind
from stylecore.planning.costs import evaluation_cost, targets_bytes_held
from stylecore.planning.room import (
    UNLIMITED,
    Room,
    TilesError,
    does_not_fit,
    needs_whole,
    target_tiles_of,
    tiles_of,
    time_factor,
)
from stylecore.planning.tiles import Tiles

SIZE = (1536, 2048)


def kind_of(**settings):
    return step_kind(StyleConfig(**settings), "")


BASIC = kind_of()


def held(tiles, kind=BASIC, size=SIZE, pairs=0):
    height, width = size
    return evaluation_cost(kind, height, width, pairs, tiles=tiles).bytes_held


def test_what_fits_is_computed_whole():
    assert tiles_of(BASIC, *SIZE, 0, UNLIMITED) is None
    assert tiles_of(BASIC, *SIZE, 0, Room(held(None))) is None
    assert target_tiles_of(BASIC, *SIZE, Room(targets_bytes_held(BASIC, *SIZE))) is None


def test_less_memory_takes_more_time_and_never_more_than_there_is():
    factors = []
    for gigabytes in (12, 8, 6, 4, 3, 2, 1.5):
        memory_bytes = int(gigabytes * 1e9)
        tiles = tiles_of(BASIC, *SIZE, 0, Room(memory_bytes))
        assert held(tiles) <= memory_bytes
        factors.append(time_factor(BASIC, *SIZE, tiles))
    assert factors == sorted(factors)
    assert factors[0] == 1.0 and 1.3 < factors[-2] < 1.7


def test_recomputation_comes_before_tiles():
    tiles = tiles_of(BASIC, *SIZE, 0, Room(held(None) - 1))
    assert tiles is not None and tiles.side_px == 0


def test_shallow_blocks_are_tiled_and_deep_ones_whole_at_two_gigabytes():
    assert tiles_of(BASIC, *SIZE, 0, Room(2 * 10**9)) == Tiles("block3_pool", 512)


def test_targets_are_taken_within_the_memory():
    tiles = target_tiles_of(BASIC, *SIZE, Room(10**9))
    assert tiles is not None
    assert targets_bytes_held(BASIC, *SIZE, tiles=tiles) <= 10**9 < targets_bytes_held(BASIC, *SIZE)


def test_tiles_that_are_asked_for_are_used_where_the_picture_is_larger():
    assert tiles_of(BASIC, 512, 512, 0, Room(tile_px=512)) is None
    assert tiles_of(BASIC, 512, 520, 0, Room(tile_px=512)) == Tiles("block3_pool", 512)
    assert time_factor(BASIC, 1024, 1024, Tiles("block3_pool", 512)) < 1.7


def test_tiles_smaller_than_the_receptive_field_are_refused():
    with pytest.raises(TilesError, match=r"^tile_px must be >= 56, the receptive field .*, got 55$"):
        Room(tile_px=55)
    assert Room(tile_px=56).tile_px == 56


def test_a_history_that_does_not_fit_is_not_shortened_but_said():
    kind, room = kind_of(optimizer="lbfgs", history_size=100), Room(4 * 10**9)
    reason = does_not_fit(kind, *SIZE, 100, room)
    assert reason is not None and reason.startswith("image_size must be smaller: 2048x1536 pixels need about")
    words = reason.split()
    longest = int(words[words.index("history_size") + 1])
    assert does_not_fit(kind, *SIZE, longest, room) is None
    assert does_not_fit(kind, *SIZE, longest + 1, room) is not None
    assert reason.endswith("or optimizer: adam would fit")
    assert does_not_fit(BASIC, *SIZE, 0, room) is None
    assert "adam" not in (does_not_fit(BASIC, *SIZE, 0, Room(10**8)) or "adam")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"normalize_gradients": True}, "normalize_gradients divides"), ({"feature_map": "softmax"}, "softmax divides")],
)
def test_what_is_no_sum_over_positions_is_computed_as_one_tile_or_refused(settings, reason):
    kind = kind_of(**settings)
    assert needs_whole(BASIC) is None
    assert tiles_of(kind, *SIZE, 0, Room(tile_px=512)) is None
    tiles = tiles_of(kind, *SIZE, 0, Room(2 * 10**9))
    assert tiles is not None and tiles.side_px == 0
    assert reason in (does_not_fit(kind, *SIZE, 0, Room(2 * 10**9)) or "")
