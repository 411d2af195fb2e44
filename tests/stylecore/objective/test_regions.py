"""Regions: guided losses and their gradient against the float64 reference, masks at the layers, what is left out."""

from types import SimpleNamespace

import numpy as np
import pytest

from stylecore import Style, StyleConfig
from stylecore.images.style import FittedStyle
from stylecore.networks.weights.sources import random_network
from stylecore.objective.regions import layer_masks, layer_regions, left_out, position_weights
from stylecore.planning.buckets import step_kind
from stylecore.run.engine import Engine
from stylecore.run.problem import prepare
from tests.support import reference
from tests.support.pictures import noise
from tests.support.small_problems import assert_batch_is_each_alone, relative

HEIGHT, WIDTH = 18, 13
LAYERS = {"content_layers": ["conv2_1"], "style_layers": {"conv2_2": 0.4, "conv1_1": 0.6}, "weights": "random:5"}
TERMS = ("total", "content", "style", "tv")


def painting(seed, height=HEIGHT, width=WIDTH):
    return noise(height, width, seed)


def halves(height=HEIGHT, width=WIDTH):
    """The masks of the left and of the right half, float32 in 0..255."""
    left = np.zeros((height, width), np.float32)
    left[:, : width // 2] = 255
    return left, 255 - left


def soft(seed, height=HEIGHT, width=WIDTH):
    return noise(height, width, seed)[..., 0]


LEFT, RIGHT = halves()
STYLES = {
    "two halves": [Style(painting(1), 1.0, content_mask=LEFT), Style(painting(2), 1.0, content_mask=RIGHT)],
    "soft and weighted": [Style(painting(1), 0.7, content_mask=soft(3)), Style(painting(2), 2.0, content_mask=soft(4))],
    "a blend within a region": [
        Style(painting(1), 0.3, content_mask=LEFT),
        Style(painting(2), 1.2, content_mask=soft(4)),
        Style(painting(3), 0.5, content_mask=LEFT),
    ],
    "a region and everywhere": [Style(painting(1), 2.0, content_mask=soft(5)), Style(painting(2), 0.5)],
    "both masks": [
        Style(painting(1), 1.0, content_mask=LEFT, style_mask=soft(6)),
        Style(painting(2), 1.0, content_mask=RIGHT, style_mask=halves()[1]),
    ],
    "parts of styles everywhere": [Style(painting(1), 0.4, style_mask=soft(7)), Style(painting(2), 1.1)],
    "none": [Style(painting(1), 0.6), Style(painting(2), 0.7)],
}


@pytest.fixture(scope="module")
def network():
    return random_network("vgg19", 5)


@pytest.fixture(scope="module")
def weights(network):
    return {
        layer.name: layer.get_weights() for layer in network.layers if layer.name.startswith(("block1_c", "block2_c"))
    }


def problem_of(styles, seed=0, height=HEIGHT, width=WIDTH, **settings):
    return prepare(noise(height, width, 30 + seed), styles, StyleConfig(**{**LAYERS, **settings}))


def engine_of(network, problem):
    return Engine(step_kind(problem.config, "0", problem.has_regions), network)


def expected(image, problem, weights):
    config = problem.config
    names = SimpleNamespace(
        content_layers=dict(config.content_layers), style_layers=dict(config.style_layers),
        alpha=config.content_weight, beta=config.style_weight, gamma=config.tv_weight,
        content_loss=config.content_loss, reduction=config.reduction, pooling=config.pooling,
    )  # fmt: skip
    return reference.objective(image, problem.content, problem.styles, names, weights)


@pytest.mark.parametrize("styles", STYLES.values(), ids=STYLES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_and_gradient_are_the_reference(network, weights, styles, reduction):
    problem = problem_of(styles, reduction=reduction, content_weight=1e-3, style_weight=1.0)
    image = noise(HEIGHT, WIDTH, 10)
    engine = engine_of(network, problem)
    found, gradient = engine.losses_and_gradient(image[np.newaxis], engine.constants([problem]))
    wanted = expected(image, problem, weights)
    assert {name: float(getattr(found, name)[0]) for name in TERMS} == pytest.approx(wanted, rel=1e-4)
    ours = gradient[0].numpy()
    direction = np.random.default_rng(1).normal(size=image.shape)
    direction = direction / np.linalg.norm(direction) + ours / np.linalg.norm(ours)
    slope = reference.finite_difference(lambda x: expected(x, problem, weights)["total"], image, direction, 1e-4)
    assert np.sum(ours * direction) == pytest.approx(slope, rel=1e-3)


def test_a_white_mask_is_no_mask(network):
    white = np.full((HEIGHT, WIDTH), 255, np.uint8)
    plain, masked = problem_of(painting(1)), problem_of(Style(painting(1), content_mask=white, style_mask=white))
    image = noise(HEIGHT, WIDTH, 10)[np.newaxis]
    results = []
    for problem in (plain, masked):
        engine = engine_of(network, problem)
        results.append(engine.losses_and_gradient(image, engine.constants([problem])))
    (wanted, gradient), (found, own) = results
    assert [float(term[0]) for term in found] == pytest.approx([float(term[0]) for term in wanted], rel=1e-5)
    assert relative(own.numpy(), gradient.numpy()) < 1e-4


def test_pictures_with_any_numbers_of_regions_share_a_batch_and_its_trace(network):
    several = [
        STYLES["two halves"],
        [*STYLES["soft and weighted"], *STYLES["two halves"], Style(painting(9))],
        [Style(painting(3), 0.8, content_mask=soft(8))],
    ]
    problems = [problem_of(styles, seed) for seed, styles in enumerate(several)]
    engine = engine_of(network, problems[0])
    batch = engine.constants(problems)
    state = engine.start(problems)
    for _ in range(3):
        assert_batch_is_each_alone(engine, problems, state.images.numpy(), batch)
        state, _, _ = engine.advance(state, batch, 2)
    other = problem_of(STYLES["soft and weighted"], height=24, width=20)
    engine.advance(engine.start([other]), engine.constants([other]), 1)
    assert engine.traces == 1


@pytest.mark.parametrize("backbone", ["vgg19", "resnet50"])
@pytest.mark.parametrize("size", [(32, 48), (33, 47)])
def test_a_mask_at_a_layer_has_its_size_and_is_white_where_it_is_white(backbone, size):
    layers = ["conv1_1", "conv3_1", "conv5_1"] if backbone == "vgg19" else ["conv1_relu", "conv3_block1_out"]
    config = StyleConfig.from_dict({"backbone": backbone, "style_layers": layers, "content_layers": layers[:1]})
    kind = step_kind(config, "")
    network = random_network(backbone, 0)
    shapes = engine_features(network, kind, size)
    for mask in (np.ones(size, np.float32), soft(1, *size) / 255):
        at_layers = layer_masks(kind, mask)
        assert [layer.shape for layer in at_layers] == shapes
        assert all(layer.min() >= mask.min() and layer.max() <= mask.max() for layer in at_layers)
        assert at_layers[-1].mean() == pytest.approx(mask.mean(), rel=0.1)


def engine_features(network, kind, size):
    features = Engine(kind, network)._features(noise(*size)[np.newaxis])
    return [tuple(features[name].shape[1:3]) for name in kind.style_layers]


def test_the_weights_of_positions_have_the_mean_one():
    mask = soft(1) / 255
    for power in (1.0, 2.0):
        weights = position_weights(mask, power)
        assert weights.mean() == pytest.approx(1, rel=1e-6)
        np.testing.assert_allclose(weights / weights.max(), (mask / mask.max()) ** power, rtol=1e-5)


def spot(side, height=32, width=32):
    """A mask that is white in one square of so many pixels a side."""
    mask = np.zeros((height, width), np.float32)
    mask[8 : 8 + side, 8 : 8 + side] = 1
    return mask


DEEP = step_kind(StyleConfig.from_dict({"style_layers": ["conv1_1", "conv2_1", "conv3_1", "conv4_1"]}), "")


@pytest.mark.parametrize(
    ("mask", "layers"),
    [
        (spot(8), ()),
        (spot(4), ("block4_conv1",)),
        (spot(2), ("block3_conv1", "block4_conv1")),
        (0.6 * spot(8), ("block4_conv1",)),
        (0.5 * np.ones((32, 32), np.float32), ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1")),
    ],
)
def test_a_mask_without_a_position_is_left_out(mask, layers):
    picture = np.zeros((32, 32, 3), np.float32)
    plain = FittedStyle(picture, 1.0)
    for style in (plain._replace(content_mask=mask), plain._replace(style_mask=mask)):
        field = "content_mask" if style.content_mask is not None else "style_mask"
        assert left_out(DEEP, [plain, style], 32, 32) == ({(field, 1): layers} if layers else {})
        for name, regions in zip(DEEP.style_layers, layer_regions(DEEP, [plain, style], 32, 32), strict=True):
            assert (1 in {index for region in regions for index in region.styles}) == (name not in layers)


def test_what_is_left_out_at_a_layer_does_not_count_there(network, weights):
    """The deep layer knows the styles whose masks have a position there, the shallow one all of them."""
    corner = np.zeros((HEIGHT, WIDTH), np.uint8)
    corner[0, :1] = 255
    for left in ({"content_mask": corner}, {"style_mask": corner}, {"content_mask": LEFT, "style_mask": corner}):
        kept = Style(painting(2), 0.5, content_mask=RIGHT if "content_mask" in left else None)
        problem = problem_of([Style(painting(1), 1.0, **left), kept])
        image = noise(HEIGHT, WIDTH, 10)
        engine = engine_of(network, problem)
        found, gradient = engine.losses_and_gradient(image[np.newaxis], engine.constants([problem]))
        shallow = problem_of([Style(painting(1), 1.0, **left), kept], style_layers={"conv1_1": 0.6})
        deep = problem_of([kept], style_layers={"conv2_2": 0.4})
        wanted = sum(expected(image, part, weights)["style"] for part in (shallow, deep))
        assert float(found.style[0]) == pytest.approx(wanted, rel=1e-4)
        assert np.isfinite(gradient).all()
        (note,) = engine.notes(problem)
        assert note.endswith("style 1 is too small at block2_conv2 of 13x18 pixels: left out there")


def test_a_mask_that_is_left_out_everywhere_is_refused(network):
    for masks in ({"content_mask": 0.4 * LEFT}, {"style_mask": 0.4 * LEFT}):
        problem = problem_of([Style(painting(1)), Style(painting(2), **masks)])
        with pytest.raises(
            ValueError, match="_mask of style 2 must cover a position at a style layer, got none at block1"
        ):
            engine_of(network, problem).check(problem)
