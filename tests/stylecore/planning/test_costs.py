"""Costs against the real networks of keras.applications, whose layers say their own shapes."""

import functools
import math

import keras
import pytest

from stylecore import StyleConfig
from stylecore.networks.features import build_backbone
from stylecore.networks.layers import BACKBONES, layer_names, layers_in_use
from stylecore.planning.buckets import StepKind, step_kind
from stylecore.planning.costs import EvaluationCost, evaluation_cost, seconds_per_evaluation, targets_bytes_held

CUTS = {
    "vgg19": [["block1_conv1"], ["block4_conv2", "block5_conv1"], ["block5_conv2"], ["block5_pool"]],
    "vgg16": [["block2_pool"], ["block5_conv3"]],
    "resnet50": [["conv1_relu"], ["conv3_block1_0_conv"], ["conv4_block6_3_conv"], ["conv5_block3_out"]],
}
SIZES = [(64, 64), (97, 130), (224, 255)]


backbone_of = functools.cache(build_backbone)


def kind_of(**fields) -> StepKind:
    return step_kind(StyleConfig(**fields), "0" * 64)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_layer_has_the_shape_and_the_arithmetic_of_keras(backbone, height, width):
    network = backbone_of(backbone)
    ours = layers_in_use(backbone, layer_names(backbone), height, width)
    outputs = [network.get_layer(name).output for name in ours]
    shapes = keras.Model(network.inputs, outputs).compute_output_shape((1, height, width, 3))
    for (name, layer), shape in zip(ours.items(), shapes, strict=True):
        assert (layer.height, layer.width, layer.channels) == tuple(shape[1:]), name
        assert layer.flops == flops_of(network.get_layer(name), shape), name


def flops_of(layer: keras.layers.Layer, shape: tuple[int, ...]) -> int:
    """Each kernel value is multiplied and added once for each position of the output."""
    if not isinstance(layer, keras.layers.Conv2D):
        return 0
    return 2 * math.prod(layer.kernel.shape) * shape[1] * shape[2]


@pytest.mark.parametrize(("backbone", "wanted"), [(name, cut) for name, cuts in CUTS.items() for cut in cuts])
def test_a_cut_has_the_layers_that_keras_needs_for_it(backbone, wanted):
    network = backbone_of(backbone)
    cut = keras.Model(network.inputs, [network.get_layer(name).output for name in wanted])
    needed = {layer.name for layer in cut.layers} & set(layer_names(backbone))
    assert set(layers_in_use(backbone, wanted, 64, 64)) == needed


def test_the_targets_of_a_style_of_8192_px_take_more_than_its_widest_layer():
    widest = 64 * 8192 * 8192 * 4
    assert widest > 17e9
    assert 3 * widest < targets_bytes_held(kind_of(), 8192, 8192) < 6 * widest


def test_the_preset_basic_takes_97_gflop_for_256_px():
    assert evaluation_cost(kind_of(), 256, 256).convolution_flops == pytest.approx(97e9, rel=0.01)


def test_gram_matrices_and_their_gradients_are_two_products_a_layer():
    cost = evaluation_cost(kind_of(style_layers=["conv1_1"]), 10, 20)
    assert cost.gram_flops == 2 * 2 * 64 * 64 * 200


def test_bfloat16_halves_the_activations_but_not_the_losses():
    single, half = (evaluation_cost(kind_of(precision=name), 256, 256) for name in ("float32", "bfloat16"))
    assert half.flops == single.flops
    assert 0.5 * single.bytes_held < half.bytes_held < 0.95 * single.bytes_held
    assert 0.5 * single.bytes_moved < half.bytes_moved < single.bytes_moved


def test_the_history_of_lbfgs_is_held_and_moved_and_adam_has_none():
    none, twenty = (evaluation_cost(kind_of(optimizer="lbfgs"), 64, 64, history_size=size) for size in (0, 20))
    assert twenty.bytes_held - none.bytes_held >= 2 * 20 * 3 * 64 * 64 * 4
    assert twenty.bytes_moved > none.bytes_moved
    assert evaluation_cost(kind_of(), 64, 64, history_size=20) == evaluation_cost(kind_of(), 64, 64)


def test_regions_are_held_each_as_large_as_the_picture_and_cost_nothing_where_there_are_none():
    plain, regional = (step_kind(StyleConfig(), "", regions=regions) for regions in (False, True))
    assert evaluation_cost(plain, 256, 256, regions=5) == evaluation_cost(plain, 256, 256)
    two, three = (evaluation_cost(regional, 256, 256, regions=count) for count in (2, 3))
    rows = 4 * sum(
        layer.values
        for layer in layers_in_use("vgg19", plain.style_layers, 256, 256).values()
        if layer.name in plain.style_layers
    )
    assert rows < three.bytes_held - two.bytes_held < 4 * rows
    assert two.bytes_held > evaluation_cost(plain, 256, 256).bytes_held + 2 * rows
    assert two.bytes_moved == three.bytes_moved > evaluation_cost(plain, 256, 256).bytes_moved
    assert targets_bytes_held(plain, 256, 256, masked=True) >= targets_bytes_held(plain, 256, 256) + rows


def test_activations_kept_for_the_gradient_are_part_of_what_is_held():
    layers = layers_in_use("vgg19", ["block5_conv2"], 256, 256)
    activations = 4 * sum(layer.values for layer in layers.values())
    assert activations < evaluation_cost(kind_of(), 256, 256).bytes_held < 3 * activations


def test_seconds_add_arithmetic_and_traffic():
    cost = EvaluationCost(convolution_flops=100, gram_flops=20, bytes_moved=30, bytes_held=0)
    assert seconds_per_evaluation(cost, 10.0, 5.0, efficiency=0.5) == (12 + 6) / 0.5
    assert seconds_per_evaluation(cost, 10.0, 5.0, efficiency=1.0, gram_flops_per_sec=4.0) == 10 + 5 + 6
