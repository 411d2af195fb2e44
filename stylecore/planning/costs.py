"""What one evaluation of one picture costs: arithmetic, traffic, memory, and the seconds of a device. No TensorFlow.

An evaluation is the network up to the deepest layer in use, the losses, the gradient to the pixels and the optimiser's
step. Costs are counted from the layers, so that batches can be cut to a memory budget and times predicted for machines
that are not at hand; only `HELD_FACTOR` and the speed of two cores are measured.
"""

import dataclasses
from collections.abc import Collection, Mapping

from stylecore.config.style_config import StyleConfig
from stylecore.networks.layers import Layer, layers_in_use
from stylecore.planning.buckets import StepKind, step_kind
from stylecore.planning.tiles import Cut, Tiles, cut_after, tile_sides

FLOAT32_BYTES = 4
_PRECISION_BYTES = {"float32": 4, "bfloat16": 2}

# The real peak over the counted bytes: tensors that the executor keeps alive between operations, scratch of the
# convolutions, the allocator's waste. With it the estimate is 1.1 to 1.7 times the peak that
# benchmarks/held_memory.py measures.
HELD_FACTOR = 1.25

# Tensors of the picture's size that a step reads or writes (passes) or holds at once (held); counted from the code.
_LOSS_PASSES = 12
_ADAM_PASSES, _ADAM_HELD = 20, 10
_LBFGS_PASSES, _LBFGS_HELD = 50, 20
_LBFGS_PASSES_PER_PAIR, _LBFGS_HELD_PER_PAIR = 10, 9
# Tensors of a style layer's size that regions add where they divide the picture among them: features gathered, weighted
# and back again; and what one region that is the whole picture adds to the memory.
_REGION_PASSES = 10
# The gradient that tiles add to, and a copy while one is added.
_TILED_HELD = 3
# Products of channels x channels matrices in the loss between Gaussians: two a step of the polar decomposition, three
# around them; a Cholesky factor and a triangular solution count as one. And such matrices held at once.
GAUSSIAN_PRODUCTS, _GAUSSIAN_HELD = 2 * 14 + 4, 12
# The sliced loss moves the projections of picture and style about as often while it sorts; it holds the style's
# features, both projections, their order and where they go.
_SORT_PASSES, _SLICED_HELD = 60, 9


@dataclasses.dataclass(frozen=True)
class EvaluationCost:
    """What one evaluation of one picture costs.

    Attributes:
      convolution_flops: arithmetic of the convolutions, forward and gradient to their input.
      gram_flops: arithmetic of the style loss and its gradient, Gram matrices or others, always in float32.
      bytes_moved: traffic if every operation reads its inputs and writes its outputs once.
      bytes_held: peak memory without the network's weights, estimated from above.
    """

    convolution_flops: int
    gram_flops: int
    bytes_moved: int
    bytes_held: int

    @property
    def flops(self) -> int:
        """The arithmetic of convolutions and style loss together."""
        return self.convolution_flops + self.gram_flops


def evaluation_cost(
    kind: StepKind, height: int, width: int, history_size: int = 0, regions: int = 2, tiles: Tiles | None = None
) -> EvaluationCost:
    """Returns what one evaluation of one picture costs.

    Where the step has regions, memory is counted as if each were the whole picture, time as if they divided it.

    Args:
      kind: the step.
      height, width: of the picture, in pixels.
      history_size: the number of L-BFGS' curvature pairs; without effect under Adam.
      regions: the number of regions; without effect where the step has none.
      tiles: how the picture is computed in tiles; None: whole.
    """
    layers = layers_in_use(kind.backbone, frozenset((*kind.content_layers, *kind.style_layers)), height, width)
    style = [layers[name] for name in kind.style_layers]
    content = [layers[name] for name in kind.content_layers]
    pairs = history_size if kind.optimizer == "lbfgs" else 0
    picture = 3 * height * width
    size = _PRECISION_BYTES[kind.precision]
    region_passes = _REGION_PASSES * FLOAT32_BYTES * sum(layer.values for layer in style) if kind.regions else 0
    regions = regions if kind.regions else 0
    whole = EvaluationCost(
        convolution_flops=2 * sum(layer.flops for layer in layers.values()),
        gram_flops=_style_flops(kind, style),
        bytes_moved=_bytes_moved(layers, style, content, size, picture)
        + _style_bytes_moved(kind, style)
        + _optimizer_bytes_moved(kind, picture, pairs)
        + region_passes,
        bytes_held=_bytes_held(layers, style, content, size)
        + _style_bytes_held(kind, style, max(1, regions))
        + _optimizer_bytes_held(kind, picture, pairs)
        + _regions_bytes_held(style, regions),
    )
    if tiles is None:
        return whole
    cut = cut_after(kind, tiles.last)
    # The front is computed forward twice and backward once, its halos too.
    front = [layers[name] for name in cut.front]
    share = _share_with_halos(cut, height, width, tiles.side_px)
    twice = _bytes_moved({layer.name: layer for layer in front}, [], [], size, picture) // 2
    return EvaluationCost(
        convolution_flops=whole.convolution_flops + round((3 * share - 2) * sum(layer.flops for layer in front)),
        gram_flops=whole.gram_flops,
        bytes_moved=whole.bytes_moved + round((3 * share - 2) * twice),
        bytes_held=_tiled_bytes_held(kind, cut, height, width, tiles.side_px, regions)
        + _optimizer_bytes_held(kind, picture, pairs)
        + _style_bytes_held(kind, style, max(1, regions))
        + _TILED_HELD * FLOAT32_BYTES * picture,
    )


def _style_flops(kind: StepKind, style: Collection[Layer]) -> int:
    # Forward one product of [N, M] x [M, N], and one of the same size for the gradient.
    products = 2 * sum(2 * layer.values * layer.channels for layer in style)
    if kind.style_loss == "gaussian":
        return products + GAUSSIAN_PRODUCTS * sum(2 * layer.channels**3 for layer in style)
    # The style's features, counted as of the picture's size, are projected too.
    return products * 3 // 2 if kind.style_loss == "sliced" else products


def _style_bytes_moved(kind: StepKind, style: Collection[Layer]) -> int:
    """Returns what the style loss moves beyond what one of Gram matrices does."""
    if kind.style_loss == "gaussian":
        return FLOAT32_BYTES * 3 * GAUSSIAN_PRODUCTS * sum(layer.channels**2 for layer in style)
    return FLOAT32_BYTES * _SORT_PASSES * _values(style) if kind.style_loss == "sliced" else 0


def _style_bytes_held(kind: StepKind, style: Collection[Layer], regions: int) -> int:
    """Returns what the style loss holds beyond what one of Gram matrices does, targets included."""
    if kind.style_loss == "gaussian":
        return FLOAT32_BYTES * _GAUSSIAN_HELD * regions * sum(layer.channels**2 for layer in style)
    return FLOAT32_BYTES * _SLICED_HELD * regions * _values(style) if kind.style_loss == "sliced" else 0


def _values(layers: Collection[Layer]) -> int:
    return sum(layer.values for layer in layers)


def targets_bytes_held(
    kind: StepKind, height: int, width: int, masked: bool = False, tiles: Tiles | None = None
) -> int:
    """Returns the peak memory of taking a style's targets, which happens for one style at a time, without the weights.

    Args:
      kind: the step.
      height, width: at which the style's targets are taken, in pixels.
      masked: they are taken from a part of the style.
      tiles: how they are taken in tiles; None: whole.
    """
    layers = layers_in_use(kind.backbone, frozenset((*kind.content_layers, *kind.style_layers)), height, width)
    if tiles is None:
        return _targets_bytes_held(kind, layers, masked)
    cut = cut_after(kind, tiles.last)
    tile = layers_in_use(kind.backbone, {*cut.front}, *_largest_tile(cut, height, width, tiles.side_px))
    back = {name: layers[name] for name in cut.back}
    bridge = 2 * FLOAT32_BYTES * (layers[cut.last].values if cut.last else 0)
    return bridge + max(_targets_bytes_held(kind, part, masked) for part in (tile, back) if part)


def _targets_bytes_held(kind: StepKind, layers: Mapping[str, Layer], masked: bool) -> int:
    # The styles' features stay until their Gram matrices are made; beside them an operation reads one tensor of the
    # largest layer and writes another.
    features = sum(layers[name].values for name in kind.style_layers if name in layers)
    largest = max(layer.values for layer in layers.values())
    return round(HELD_FACTOR * FLOAT32_BYTES * ((2 if masked else 1) * features + 2 * largest))


def seconds_per_evaluation(
    cost: EvaluationCost,
    flops_per_sec: float,
    bytes_per_sec: float,
    efficiency: float,
    gram_flops_per_sec: float | None = None,
) -> float:
    """Predicts the seconds of one evaluation of one picture in a full batch.

    Operations run one after another, so that arithmetic does not hide the wait for memory: the two times add up, where
    the roofline of a single operation takes the greater one.

    Args:
      cost: the evaluation's cost.
      flops_per_sec: the device's peak in the arithmetic of the convolutions.
      bytes_per_sec: the peak of its memory.
      efficiency: the share of both peaks that is reached, above 0, at most 1.
      gram_flops_per_sec: its peak in the arithmetic of the Gram matrices, float32 or TF32; default: `flops_per_sec`.

    References:
      Williams, Waterman, Patterson: Roofline: An Insightful Visual Performance Model. CACM 52, 2009.
    """
    arithmetic = cost.convolution_flops / flops_per_sec + cost.gram_flops / (gram_flops_per_sec or flops_per_sec)
    return (arithmetic + cost.bytes_moved / bytes_per_sec) / efficiency


def _bytes_moved(
    layers: Mapping[str, Layer], style: Collection[Layer], content: Collection[Layer], size: int, picture: int
) -> int:
    moved = 0
    for layer in layers.values():
        taken = sum(layers[name].values if name else picture for name in layer.inputs)
        # Forward: in, out. Gradient: out, in. A ReLU's gradient reads two tensors and writes one.
        value_bytes = FLOAT32_BYTES if "" in layer.inputs else size  # The first layer is float32 at every precision.
        moved += value_bytes * (2 * (taken + layer.values) + 3 * layer.rectified * layer.values)
    # Gram: F; F and a gradient; its sum with the gradient from above.
    compared = 6 * sum(layer.values for layer in style) + 12 * sum(layer.values for layer in content)
    if size != FLOAT32_BYTES:
        compared += 3 * sum(layer.values for layer in {*style, *content})
    return moved + FLOAT32_BYTES * (compared + _LOSS_PASSES * picture)


def _tiled_bytes_held(kind: StepKind, cut: Cut, height: int, width: int, side_px: int, regions: int) -> int:
    """Returns the peak memory of the layers: of a tile's, beside what the tiles give together, or of the deep ones."""
    wanted = frozenset((*kind.content_layers, *kind.style_layers))
    size = _PRECISION_BYTES[kind.precision]
    layers = layers_in_use(kind.backbone, wanted, height, width)
    tile = layers_in_use(kind.backbone, {*cut.front}, *_largest_tile(cut, height, width, side_px))
    back = {name: layers[name] for name in cut.back}

    def held(part: Mapping[str, Layer]) -> int:
        style, content = (
            [part[name] for name in names if name in part] for names in (kind.style_layers, kind.content_layers)
        )
        return _bytes_held(part, style, content, size) + _regions_bytes_held(style, regions)

    # Behind the cut: the activations and their gradient. The targets and guides of layers in tiles are whole.
    bridge = 2 * FLOAT32_BYTES * (layers[cut.last].values if cut.last else 0)
    targets = FLOAT32_BYTES * sum(layers[name].values for name in kind.content_layers if name in cut.front)
    guided = [layers[name] for name in kind.style_layers if name in cut.front]
    targets += 4 * FLOAT32_BYTES * regions * sum(layer.height * layer.width for layer in guided)
    return bridge + targets + max(held(part) for part in (tile, back) if part)


def _largest_tile(cut: Cut, height: int, width: int, side_px: int) -> tuple[int, int]:
    return max(tile_sides(height, cut, side_px)), max(tile_sides(width, cut, side_px))


def _share_with_halos(cut: Cut, height: int, width: int, side_px: int) -> float:
    """Returns the pixels of all tiles with their halos over those of the picture."""
    return sum(tile_sides(height, cut, side_px)) * sum(tile_sides(width, cut, side_px)) / (height * width)


def _bytes_held(layers: Mapping[str, Layer], style: Collection[Layer], content: Collection[Layer], size: int) -> int:
    compared_layers = {*style, *content}
    # The gradients of ReLU, pooling and the losses need values; those of convolution, normalisation and sum do not.
    kept = sum(
        layer.values
        for layer in layers.values()
        if layer.rectified or layer.name.endswith("pool") or layer in compared_layers
    )
    largest = max(layer.values for layer in layers.values())
    # The gradients of the losses are ready long before the gradient from above reaches their layer.
    compared = sum(layer.values for layer in style) + 3 * sum(layer.values for layer in content)
    if size != FLOAT32_BYTES:
        compared += sum(layer.values for layer in compared_layers)
    grams = 4 * sum(layer.channels**2 for layer in style)
    # The first layer and its gradient.
    wide = 2 * (FLOAT32_BYTES - size) * sum(layer.values for layer in layers.values() if "" in layer.inputs)
    return round(HELD_FACTOR * (size * (kept + 3 * largest) + wide + FLOAT32_BYTES * (compared + grams)))


def _regions_bytes_held(style: Collection[Layer], regions: int) -> int:
    """Returns the memory of the rows of `regions` regions, each the whole picture, and of their guides and targets."""
    rows = regions * sum(layer.values for layer in style)
    # The gradients of the rows, by region and by position, are there for one layer at a time.
    passing = 2 * regions * max(layer.values for layer in style) if style else 0
    guides = 3 * regions * sum(layer.height * layer.width for layer in style)
    grams = 4 * regions * sum(layer.channels**2 for layer in style)
    return round(HELD_FACTOR * FLOAT32_BYTES * (rows + passing + guides + grams))


def _optimizer_bytes_moved(kind: StepKind, picture: int, pairs: int) -> int:
    passes = _ADAM_PASSES if kind.optimizer == "adam" else _LBFGS_PASSES + _LBFGS_PASSES_PER_PAIR * pairs
    return FLOAT32_BYTES * picture * passes


def _optimizer_bytes_held(kind: StepKind, picture: int, pairs: int) -> int:
    held = _ADAM_HELD if kind.optimizer == "adam" else _LBFGS_HELD + _LBFGS_HELD_PER_PAIR * pairs
    return FLOAT32_BYTES * picture * held


_TYPICAL_SIDE_PX = 256


@dataclasses.dataclass(frozen=True)
class Device:
    """The speed of a device.

    Attributes:
      flops_per_sec: peak of the convolutions by precision; a precision that the device lacks is absent.
      gram_flops_per_sec: peak of the Gram matrices.
      bytes_per_sec: peak of the memory.
      efficiency: the share of the peaks that is reached, above 0, at most 1.
    """

    flops_per_sec: Mapping[str, float]
    gram_flops_per_sec: float
    bytes_per_sec: float
    efficiency: float = 1.0

    def evaluation_secs(self, cost: EvaluationCost, precision: str) -> float:
        """Returns the estimated seconds of one evaluation of one picture, in a precision that the device has."""
        return seconds_per_evaluation(
            cost, self.flops_per_sec[precision], self.bytes_per_sec, self.efficiency, self.gram_flops_per_sec
        )

    def secs_per_pixel_and_iteration(self) -> float:
        """Returns the estimated seconds of one evaluation a pixel, for the default configuration at 256x256 pixels."""
        cost = evaluation_cost(step_kind(StyleConfig(), ""), _TYPICAL_SIDE_PX, _TYPICAL_SIDE_PX)
        return self.evaluation_secs(cost, "float32") / _TYPICAL_SIDE_PX**2


# The peaks are fitted to steps of 256 px in batches of two on two cores with AVX-512 and AMX: in float32 VGG19 took
# 0.32 and ResNet50 0.12 seconds of both cores a picture, in bfloat16 0.11 and 0.10; other programs ran beside. The
# efficiency brings VGG19 in float32 to 0.36 seconds, see benchmarks/step_time.py: batch sizes depend on this figure.
TWO_CORES = Device(
    flops_per_sec={"float32": 395e9, "bfloat16": 1_500e9},
    gram_flops_per_sec=395e9,
    bytes_per_sec=17e9,
    efficiency=0.843,
)
