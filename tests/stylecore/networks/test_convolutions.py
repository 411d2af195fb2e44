"""Convolutions that are computed as gradients: the same numbers as plain ones, and only where that is faster."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from stylecore import kernels
from stylecore.networks import convolutions
from stylecore.networks.convolutions import Conv2D, are_faster_plain, convolution, kernel_of, plain_convolutions
from tests.support.graphs import operations_of

rng = np.random.default_rng(1)


@pytest.fixture(params=[True, False], ids=["gradients", "plain"])
def gradients_are_faster(request, monkeypatch):
    monkeypatch.setattr(convolutions, "gradients_are_faster", lambda: request.param)
    return request.param


def values(*shape):
    return tf.constant(rng.normal(size=shape).astype(np.float32))


def operations(function, *arguments):
    return operations_of(tf.function(function).get_concrete_function(*arguments).graph)


@pytest.mark.parametrize("shape", [(1, 12, 9), (3, 7, 16), (2, 1, 1)])
@pytest.mark.parametrize("kernel", [(3, 3, 3, 8), (5, 3, 4, 2), (1, 1, 4, 8), (2, 2, 3, 4), (3, 4, 3, 4)])
def test_values_and_gradients_are_those_of_the_plain_convolution(gradients_are_faster, shape, kernel):
    inputs, weights, upstream = values(*shape, kernel[2]), values(*kernel), values(*shape, kernel[3])
    found = []
    for convolve in (
        lambda x: convolution(x, kernel_of(weights)),
        lambda x: tf.nn.conv2d(x, weights, 1, "SAME"),
    ):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = convolve(inputs)
        found.append((outputs.numpy(), tape.gradient(outputs, inputs, output_gradients=upstream).numpy()))
    for ours, plain in zip(*found, strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-5 * np.abs(plain).max())


def test_a_layer_calls_convolutions_only_where_they_are_faster(gradients_are_faster):
    layer = Conv2D(4, 3, padding="same", activation="relu")
    layer.build((None, None, None, 3))

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            total = tf.reduce_sum(layer(x) ** 2)
        return tape.gradient(total, x)

    assert ("Conv2D" in operations(gradient, values(1, 8, 8, 3))) == (not gradients_are_faster)


def test_what_is_traced_within_plain_convolutions_has_no_gradients_for_them(monkeypatch):
    monkeypatch.setattr(convolutions, "gradients_are_faster", lambda: True)
    layer, kernel = Conv2D(4, 3, padding="same"), kernel_of(values(3, 3, 3, 4))
    layer.build((None, None, None, 3))
    inputs = values(2, 8, 8, 3)
    for convolve in (lambda x: layer(x), lambda x: convolution(x, kernel)):
        with plain_convolutions():
            assert "Conv2D" in operations(convolve, inputs)
        assert "Conv2D" not in operations(convolve, inputs)


@pytest.mark.parametrize(
    ("batch", "faster", "plain"),
    [
        ((2, 256, 256), True, True),
        ((2, 256, 256), False, False),
        ((1, 256, 256), True, False),
        ((1, 64, 64), True, True),
    ],
)
def test_batches_and_small_pictures_are_faster_plain(monkeypatch, batch, faster, plain):
    monkeypatch.setattr(convolutions, "gradients_are_faster", lambda: faster)
    assert are_faster_plain(*batch) == plain


@pytest.mark.parametrize("options", [{"strides": 2, "padding": "same"}, {"padding": "valid"}, {"dilation_rate": 2}])
def test_other_layers_are_computed_as_keras_does(gradients_are_faster, options):
    ours, theirs = Conv2D(4, 3, **options), keras.layers.Conv2D(4, 3, **options)
    inputs = values(2, 9, 8, 3)
    ours.build(inputs.shape), theirs.build(inputs.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_array_equal(ours(inputs).numpy(), theirs(inputs).numpy())


def test_functions_traced_after_a_change_of_weights_use_the_new_ones(gradients_are_faster):
    layer, inputs = Conv2D(2, 3, padding="same", use_bias=False), values(1, 6, 6, 3)
    layer.build(inputs.shape)
    before = tf.function(layer)(inputs).numpy()
    layer.set_weights([2 * layer.get_weights()[0]])
    np.testing.assert_allclose(tf.function(layer)(inputs).numpy(), 2 * before, rtol=1e-5, atol=1e-6)


def test_functions_traced_with_the_same_weights_share_the_turned_kernel(monkeypatch):
    monkeypatch.setattr(convolutions, "gradients_are_faster", lambda: True)
    layer = Conv2D(2, 3, padding="same")
    layer.build((None, None, None, 3))
    traced = [tf.function(layer).get_concrete_function(values(1, side, side, 3)) for side in (4, 5)]
    captured = [{id(tensor) for tensor in function.graph.external_captures} for function in traced]
    assert captured[0] == captured[1]


def test_xla_gets_plain_convolutions(monkeypatch):
    monkeypatch.setattr(convolutions, "gradients_are_faster", lambda: True)
    inputs, kernel = values(1, 6, 6, 3), kernel_of(values(3, 3, 3, 2))
    assert kernel.turned is not None
    compiled = tf.function(lambda x: convolution(x, kernel), jit_compile=True)
    assert "Conv2D" in {node.type for node in compiled.get_concrete_function(inputs).graph.get_operations()}
    np.testing.assert_allclose(compiled(inputs).numpy(), convolution(inputs, kernel).numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("flags", "cap", "faster"),
    [
        ("avx avx2 fma", None, True),
        ("avx avx2 avx_vnni", None, True),
        ("avx2 avx512f", None, False),
        ("avx2 avx512f avx512_bf16", "AVX2", True),
        ("avx2 avx512f", "avx2_vnni", True),
        ("avx2 avx512f", "AVX512_CORE", False),
        ("avx", None, False),
    ],
)
def test_gradients_are_faster_with_the_kernels_for_avx2(tmp_path, monkeypatch, flags, cap, faster):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}")
    monkeypatch.setattr(kernels, "has_onednn", lambda: True)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if cap:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", cap)
    assert kernels.gradients_are_faster(tmp_path / "cpuinfo") == faster


@pytest.mark.parametrize("gpus, onednn", [(["GPU"], True), ([], False)])
def test_neither_on_gpus_nor_without_onednn(tmp_path, monkeypatch, gpus, onednn):
    (tmp_path / "cpuinfo").write_text("flags : avx2")
    monkeypatch.setattr(kernels, "has_onednn", lambda: onednn)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    assert not kernels.gradients_are_faster(tmp_path / "cpuinfo")
