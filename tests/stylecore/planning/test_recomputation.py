"""One tile against recomputation by block: what a planner would gain by recomputing several blocks, each by itself."""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from stylecore.config.style_config import StyleConfig
from stylecore.networks.layers import layers_in_use
from stylecore.planning import costs
from stylecore.planning.buckets import StepKind, step_kind
from stylecore.planning.costs import FLOAT32_BYTES, TWO_CORES, EvaluationCost, evaluation_cost
from stylecore.planning.tiles import Tiles, cuts

SIDE_PX = 1024


class Choice(NamedTuple):
    """The memory of an evaluation, and its time over that of one that keeps everything."""

    bytes_held: int
    time_factor: float


def choice(cost: EvaluationCost, whole: EvaluationCost) -> Choice:
    secs = [TWO_CORES.evaluation_secs(each, "float32") for each in (cost, whole)]
    return Choice(cost.bytes_held, secs[0] / secs[1])


def one_tile(kind: StepKind) -> Iterator[Choice]:
    whole = evaluation_cost(kind, SIDE_PX, SIDE_PX)
    for cut in cuts(kind):
        yield choice(evaluation_cost(kind, SIDE_PX, SIDE_PX, tiles=Tiles(cut.last, 0)), whole)


def by_block(kind: StepKind) -> Iterator[Choice]:
    """Yields every way to recompute blocks, all but the last: the largest is held beside what lies between them."""
    lasts = [cut.last for cut in cuts(kind) if cut.last]
    chosen = (ends for count in range(1, len(lasts) + 1) for ends in itertools.combinations(lasts, count))
    return (_by_block(kind, ends) for ends in chosen)


def _by_block(kind: StepKind, ends: tuple[str, ...]) -> Choice:
    wanted = frozenset((*kind.content_layers, *kind.style_layers))
    layers = layers_in_use(kind.backbone, wanted, SIDE_PX, SIDE_PX)
    names, picture = list(layers), 3 * SIDE_PX**2
    edges = [0, *(names.index(end) + 1 for end in ends), len(names)]
    blocks = [names[first:behind] for first, behind in itertools.pairwise(edges)]
    between = [FLOAT32_BYTES * layers[end].values for end in ends]
    again = {name: layers[name] for block in blocks[:-1] for name in block}

    def held(block: list[str]) -> int:
        part = {name: layers[name] for name in block}
        style, content = (
            [part[name] for name in names if name in part] for names in (kind.style_layers, kind.content_layers)
        )
        return costs._bytes_held(part, style, content, FLOAT32_BYTES)

    whole = evaluation_cost(kind, SIDE_PX, SIDE_PX)
    cost = EvaluationCost(
        whole.convolution_flops + sum(layer.flops for layer in again.values()),
        whole.gram_flops,
        whole.bytes_moved + costs._bytes_moved(again, [], [], FLOAT32_BYTES, picture) // 2,
        max(map(held, blocks))
        + sum(between)
        + max(between)  # The gradient to one of them.
        + costs._optimizer_bytes_held(kind, picture, 0)
        + costs._TILED_HELD * FLOAT32_BYTES * picture,
    )
    return choice(cost, whole)


def least_saved(kind: StepKind) -> float:
    """Returns the largest share of the memory that blocks save where one tile takes as long or less."""
    tiles = [*one_tile(kind), Choice(evaluation_cost(kind, SIDE_PX, SIDE_PX).bytes_held, 1.0)]
    return max(
        1 - found.bytes_held / min(tile.bytes_held for tile in tiles if tile.time_factor <= found.time_factor + 1e-9)
        for found in by_block(kind)
    )


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({}, 0.0),
        ({"backbone": "vgg16", "content_layers": ["conv5_3"], "style_layers": ["conv1_1", "conv5_1"]}, 0.0),
        ({"content_layers": ["conv4_2"], "style_layers": ["conv1_1", "conv2_1", "conv3_1", "conv4_1"]}, 0.0),
        ({"preset": "resnet50"}, 0.15),
        ({"preset": "resnet50_swag"}, 0.15),
    ],
    ids=["basic", "vgg16", "shallow", "resnet50", "resnet50_swag"],
)
def test_one_tile_leaves_little_to_recomputation_by_block(settings: dict[str, Any], most: float):
    assert least_saved(step_kind(StyleConfig(**settings), "")) <= most
