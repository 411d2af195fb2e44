"""How many pictures are computed together, by what fills a device and what its memory holds."""

import pytest

from stylecore.config.style_config import StyleConfig
from stylecore.planning.batches import CPU_BATCH, GPU_BATCH, MEMORY_SHARE, batch_size_on, default_batch_size
from stylecore.planning.buckets import step_kind
from stylecore.planning.costs import evaluation_cost
from stylecore.planning.room import UNLIMITED, Room

BASIC = step_kind(StyleConfig(), "")
LBFGS = step_kind(StyleConfig(optimizer="lbfgs"), "")
H100_BYTES, T4_BYTES = 80 * 10**9, 16 * 10**9


def sizes(full, room=UNLIMITED, kind=BASIC, sides=(16, 64, 128, 256, 512, 1024), **options):
    return [batch_size_on(full, room, kind, side, side, 10, **options) for side in sides]


def test_a_cpus_batches_are_those_of_finished_grids():
    """Float arithmetic depends on the batch size, so that these numbers must not change."""
    assert sizes(CPU_BATCH) == [64, 32, 8, 2, 1, 1]
    assert sizes(CPU_BATCH, Room(32 * 10**9)) == sizes(CPU_BATCH)
    assert [default_batch_size(*size) for size in ((1, 1), (362, 362), (256, 384), (5000, 5000))] == [64, 1, 1, 1]


def test_small_pictures_fill_a_gpu():
    assert sizes(GPU_BATCH) == [16384, 1024, 256, 64, 16, 4]
    assert sizes(GPU_BATCH, Room(H100_BYTES))[1:] == sizes(GPU_BATCH)[1:]


def test_a_gpu_takes_what_its_memory_holds():
    small = sizes(GPU_BATCH, Room(T4_BYTES))
    assert small[-1] < sizes(GPU_BATCH)[-1]
    for side, size in zip((16, 64, 128, 256, 512, 1024), small, strict=True):
        held = evaluation_cost(BASIC, side, side).bytes_held
        assert size * held <= MEMORY_SHARE * T4_BYTES < (size + 1) * held or size == default_batch_size(
            side, side, GPU_BATCH
        )


def test_history_and_regions_count_where_the_step_has_them():
    room = Room(T4_BYTES)
    few, many = (batch_size_on(GPU_BATCH, room, LBFGS, 512, 512, pairs) for pairs in (5, 100))
    assert many < few
    assert sizes(GPU_BATCH, room, regions=9) == sizes(GPU_BATCH, room)
    regional = step_kind(StyleConfig(), "", regions=True)
    few, many = (batch_size_on(GPU_BATCH, room, regional, 512, 512, 0, count) for count in (2, 9))
    assert many < few


@pytest.mark.parametrize("full", [CPU_BATCH, GPU_BATCH])
def test_a_picture_in_tiles_is_computed_alone(full):
    assert sizes(full, Room(tile_px=64), sides=(65,)) == [1]
    held = evaluation_cost(BASIC, 64, 64).bytes_held
    assert sizes(full, Room(held - 1), sides=(64,), wanted=8) == [1]


def test_a_size_that_is_asked_for_is_taken_as_far_as_the_memory_goes():
    held = evaluation_cost(BASIC, 128, 128).bytes_held
    room = Room(int(5 * held / MEMORY_SHARE) + 1)
    assert [sizes(GPU_BATCH, room, sides=(128,), wanted=wanted) for wanted in (1, 3, 100)] == [[1], [3], [5]]
