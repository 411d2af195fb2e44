"""LPIPS and the style distance of small random networks against NumPy in float64 and SciPy; then of the real one."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import correlate
from scipy.stats import wasserstein_distance

from stylecore.images.resize import resize
from stylecore.measures import network as measuring
from stylecore.measures.network import PictureNetwork, spans
from stylecore.measures.slices import DIRECTIONS, directions
from stylecore.networks.layers import layer_names
from stylecore.networks.lpips_vgg16 import HEADS, LAYERS

SHIFT, SCALE = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])


def small_vgg16(before=lambda tensor: tensor):
    """VGG16 with few channels, He-normal, under the names of the real one; `before` is applied to its input."""
    rng = np.random.default_rng(2)
    inputs = keras.Input((None, None, 3))
    tensor, taps, weights = before(inputs), {}, {}
    for name in layer_names("vgg16"):
        if "pool" in name:
            tensor = keras.layers.MaxPooling2D(2, name=name)(tensor)
            continue
        channels = 2 + int(name[5])
        kernel = rng.normal(size=(3, 3, tensor.shape[-1], channels)) * np.sqrt(2 / (9 * tensor.shape[-1]))
        weights[name] = [kernel, rng.normal(size=channels) * 0.1]
        tensor = keras.layers.Conv2D(channels, 3, padding="same", activation="relu", name=name)(tensor)
        taps[name] = tensor
    heads = []
    for name, layer in zip(HEADS, LAYERS, strict=True):
        heads.append(keras.layers.Conv2D(1, 1, use_bias=False, name=name)(taps[layer]))
        weights[name] = [rng.uniform(0, 1, (1, 1, heads[-1]._keras_history[0].input.shape[-1], 1))]
    network = keras.Model(inputs, heads)
    for name, values in weights.items():
        network.get_layer(name).set_weights(values)
    return network


@pytest.fixture(scope="module")
def small():
    return small_vgg16()


@pytest.fixture(scope="module")
def pictures():
    """Three pictures of 52x70 pixels: smooth noise with two palettes, and a mixture."""
    rng = np.random.default_rng(4)
    content, style = (
        np.rint(resize(rng.uniform(low, high, (9, 12, 3)).astype(np.float32), 52, 70)).astype(np.uint8)
        for low, high in (([0, 0, 60], [90, 200, 255]), ([120, 40, 0], [255, 160, 60]))
    )
    return content, style, np.rint(0.6 * content + 0.4 * style).astype(np.uint8)


def reference_features(network, image):
    """The taps for one picture, in float64: [height, width, channels] each."""
    tensor, taps = (image / 127.5 - 1 - SHIFT) / SCALE, []
    for name in layer_names("vgg16"):
        if "pool" in name:
            height, width = tensor.shape[0] // 2, tensor.shape[1] // 2
            tensor = tensor[: 2 * height, : 2 * width].reshape(height, 2, width, 2, -1).max(axis=(1, 3))
            continue
        kernel, bias = (values.astype(np.float64) for values in network.get_layer(name).get_weights())
        padded = np.pad(tensor, ((1, 1), (1, 1), (0, 0)))
        outputs = [correlate(padded, kernel[..., out], mode="valid")[..., 0] for out in range(kernel.shape[-1])]
        tensor = np.maximum(np.stack(outputs, axis=-1) + bias, 0)
        if name in LAYERS:
            taps.append(tensor)
    return taps


def reference_lpips(network, one, other):
    total = 0.0
    for head, a, b in zip(HEADS, reference_features(network, one), reference_features(network, other), strict=True):
        a, b = (f / np.maximum(np.linalg.norm(f, axis=-1, keepdims=True), 1e-10) for f in (a, b))
        total += ((a - b) ** 2 @ np.float64(network.get_layer(head).get_weights()[0][0, 0, :, 0])).mean()
    return total


def reference_distance(network, image, style):
    parts = []
    pairs = zip(reference_features(network, image), reference_features(network, style), strict=True)
    for seed, (one, other) in enumerate(pairs):
        along = np.float64(directions(one.shape[-1], seed))
        one, other = (features.reshape(-1, features.shape[-1]) @ along for features in (one, other))
        between = [wasserstein_distance(one[:, d], other[:, d]) for d in range(DIRECTIONS)]
        parts.append(np.mean(between) / np.sqrt(np.mean(other**2)))
    return np.mean(parts)


def test_lpips_is_that_of_the_formula(small, pictures):
    content, style, mixture = pictures
    network = PictureNetwork(small)
    for picture in (style, mixture):
        found = network.compare(picture, content.astype(np.float32), [(style, 1.0)]).lpips
        assert found == pytest.approx(reference_lpips(small, picture, content), rel=1e-4)
    assert network.compare(content, content, [(style, 1.0)]).lpips == 0


def test_the_style_distance_is_scipys_along_the_same_directions(small, pictures):
    content, style, mixture = pictures
    expected = reference_distance(small, mixture, style) / reference_distance(small, content, style)
    network = PictureNetwork(small)
    assert network.compare(mixture, content, [(style, 1.0)]).style == pytest.approx(expected, rel=0.02)
    assert network.compare(content, content, [(style, 1.0)]).style == pytest.approx(1)
    assert network.compare(style, content, [(style, 1.0)]).style == pytest.approx(0, abs=1e-6)


def test_several_styles_count_by_their_weights(small, pictures):
    content, style, mixture = pictures
    network, other = PictureNetwork(small), resize(content[::-1, ::-1], 40, 44)
    blend = [(style, 2.0), (other, 0.5)]

    def distances(picture):
        return 2.0 * reference_distance(small, picture, style) + 0.5 * reference_distance(small, picture, other)

    found = network.compare(mixture, content, blend).style
    assert found == pytest.approx(distances(mixture) / distances(content), rel=0.02)
    alone = network.compare(mixture, content, [(style, 1.0)]).style
    assert network.compare(mixture, content, [(style, 3.0), (other, 0.0)]).style == pytest.approx(alone)


def test_where_nothing_can_be_told_there_is_none(small, pictures):
    content, style, _ = pictures
    network = PictureNetwork(small)
    assert network.compare(style[:15], content[:15], [(style, 1.0)]) == (None, None)
    assert network.compare(style[:16], content[:16], [(style, 1.0)]).lpips is not None
    tiny = network.compare(style, content, [(style[:, :15], 1.0)])
    assert (tiny.lpips, tiny.style) == (network.compare(style, content, []).lpips, None)
    assert network.compare(style, content, [(content, 1.0)]).style is None
    assert network.compare(style, content, [(style, 0.0)]).style is None


@pytest.mark.parametrize(("height", "width"), [(300, 210), (193, 129), (128, 352)])
def test_pieces_give_what_the_whole_gives(small, monkeypatch, height, width):
    rng = np.random.default_rng(6)
    content, style, picture = (rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(3))
    whole = PictureNetwork(small).compare(picture, content, [(style, 1.0)])
    monkeypatch.setattr(measuring, "PIECE_PX", 64)
    monkeypatch.setattr(measuring, "LONGEST_WHOLE_PX", 64)
    assert len(spans(height)) * len(spans(width)) > 5
    cut = PictureNetwork(small).compare(picture, content, [(style, 1.0)])
    assert cut == (pytest.approx(whole.lpips, rel=1e-5), pytest.approx(whole.style, rel=1e-5))


def test_no_piece_is_larger_than_the_bound():
    for side in (16, 703, 704, 705, 1024, 1040, 5000):
        cut = spans(side)
        assert [span.begin for span in cut[1:]] == [span.end for span in cut[:-1]]
        assert (cut[0].begin, cut[-1].end) == (0, side)
        assert all(span.seen_end - span.seen_begin <= 704 for span in cut)
        sampled = [place + (span.seen_begin >> 4) for span in cut for place in span.sampled(4)]
        assert len(sampled) == len(set(sampled)) == min(side >> 4, measuring.SAMPLES_A_SIDE)


def test_threads_get_what_one_alone_gets(small, pictures):
    content, style, mixture = pictures
    network = PictureNetwork(small)
    jobs = [(picture, content, [(painting, 1.0)]) for picture in (mixture, style) for painting in (style, mixture)] * 6
    expected = [network.compare(*job) for job in jobs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda job: PictureNetwork.compare(network, *job), jobs)) == expected
    assert [PictureNetwork(small).compare(*job) for job in jobs[:4]] == expected[:4]


def test_a_device_without_memory_is_not_the_end(small, pictures):
    content, style, mixture = pictures
    devices = []

    def short_of_memory(tensor):
        devices.append(tensor.device)
        if len(devices) == 1:
            raise MemoryError
        return tensor

    class Hurdle(keras.layers.Layer):
        def call(self, inputs):
            return tf.ensure_shape(tf.py_function(short_of_memory, [inputs], tf.float32), inputs.shape)

    network = PictureNetwork(small_vgg16(before=Hurdle()))
    found = network.compare(mixture, content, [(style, 1.0)])
    assert len(devices) == 3  # In vain, again on the CPU, and the style.
    assert found == PictureNetwork(small).compare(mixture, content, [(style, 1.0)])
