"""Cuts and tiles, against what the layers depend on."""

import numpy as np
import pytest

from stylecore.config.style_config import StyleConfig
from stylecore.planning.buckets import step_kind
from stylecore.planning.tiles import cut_after, cuts, smallest_side_px, tile_count, tile_sides, tile_start, usual_cut


def kind_of(backbone="vgg19", **settings):
    return step_kind(StyleConfig(backbone=backbone, **settings), "")


def test_halos_are_those_of_the_formulas():
    halos = {cut.last: (cut.halo_px, cut.stride) for cut in cuts(kind_of(content_layers=["conv5_2"]))}
    assert halos == {
        "block1_pool": (2, 2), "block2_pool": (8, 4), "block3_pool": (24, 8), "block4_pool": (64, 16), "": (96, 16),
    }  # fmt: skip


def test_a_network_is_cut_only_in_front_of_layers_in_use():
    shallow = kind_of(content_layers=["conv2_2"], style_layers=["conv1_1"])
    assert [cut.last for cut in cuts(shallow)] == ["block1_pool", ""]
    assert usual_cut(shallow).last == ""
    assert usual_cut(kind_of()).last == "block3_pool"
    assert usual_cut(kind_of("resnet50", content_layers=["conv4_block1_out"], style_layers=["conv1_relu"])).last == (
        "conv2_block3_out"
    )


def test_front_and_back_are_all_layers_in_use():
    cut = cut_after(kind_of(content_layers=["conv4_2"], style_layers=["conv1_1"]), "block3_pool")
    assert (cut.front[0], cut.front[-1]) == ("block1_conv1", "block3_pool")
    assert cut.back == ("block4_conv1", "block4_conv2")
    assert cut.field_px == 56 == smallest_side_px()


@pytest.mark.parametrize("last", ["block1_pool", "block3_pool", ""])
@pytest.mark.parametrize("side_px", [208, 216, 512])
def test_tiles_are_even_cover_a_side_and_are_never_larger_than_asked(last, side_px):
    cut = cut_after(kind_of(), last)
    for length in (*range(1, 40), *range(side_px - 20, side_px + 20), 1000, 4 * side_px):
        count = tile_count(length, side_px, cut.stride)
        starts = np.array([tile_start(index, count, length, cut.stride) for index in range(count)])
        sides = np.diff([*starts, length])
        assert starts[0] == 0
        assert not (starts % cut.stride).any()
        assert 0 < sides.min() <= sides.max() <= side_px
        assert sides.max() - sides.min() < 2 * cut.stride
        with_halos = [*tile_sides(length, cut, side_px)]
        assert len(with_halos) == count
        assert max(with_halos) <= min(length, side_px + 2 * cut.halo_px)
    assert [*tile_sides(length, cut, 0)] == [length]
