"""What is too small for the layers is what Keras' own shapes leave nothing of."""

import functools

import keras
import numpy as np
import pytest

from stylecore.config.style_config import StyleConfig
from stylecore.images.style import Style
from stylecore.networks.features import build_backbone
from stylecore.planning.buckets import step_kind
from stylecore.planning.too_small import StyleFile, too_small, too_small_in_run
from stylecore.run.problem import prepare


@functools.cache
def keras_model(backbone, layers):
    network = build_backbone(backbone)
    return keras.Model(network.inputs, [network.get_layer(name).output for name in layers])


def fits(model, height, width):
    """Returns Keras' own answer."""
    try:
        shapes = model.compute_output_shape((1, height, width, 3))
    except ValueError:  # Some layers of Keras refuse what others let pass.
        return False
    return all(min(shape[1:3]) >= 1 for shape in (shapes if isinstance(shapes, list) else [shapes]))


NETWORKS = [
    ("vgg19", {"conv1_1": 1.0}, [(1, 1), (1, 90)]),
    ("vgg19", {"conv2_1": 1.0}, [(1, 1), (1, 9), (2, 2), (3, 2)]),
    ("vgg19", {"conv4_1": 1.0, "conv5_2": 1.0}, [(16, 40), (15, 40), (40, 15)]),
    ("vgg16", {"conv4_1": 1.0, "conv1_1": 1.0}, [(7, 90), (8, 8), (9, 7)]),
    ("vgg19", {"block5_pool": 1.0}, [(31, 40), (32, 32)]),
    ("resnet50", {"conv2_block1_out": 1.0}, [(1, 1), (2, 3)]),
]


@pytest.mark.parametrize(("backbone", "layers", "sizes"), NETWORKS)
@pytest.mark.parametrize(
    ("fit", "scale"),
    [({}, None), ({"style_fit": "keep", "style_scale": 0.5}, None), ({"style_fit": "keep"}, 0.5)],
    ids=["stretch", "keep", "own scale"],
)
@pytest.mark.parametrize(
    "pyramid", [[], [{"scale": 0.5, "share": 0.5}, {"scale": 1, "share": 0.5}]], ids=["one", "two"]
)
def test_a_run_is_too_small_where_keras_finds_one_of_its_images_too_small(backbone, layers, sizes, fit, scale, pyramid):
    config = StyleConfig(
        backbone=backbone, content_layers=layers, style_layers=layers, weights="random:1", pyramid=pyramid, **fit
    )
    names = tuple(sorted(name for name, _ in config.style_layers))
    model, kind = keras_model(backbone, names), step_kind(config, "")
    for height, width in sizes:
        for style in [(height, width), (40, 3), (3, 40)]:
            given = Style(np.zeros((*style, 3), np.uint8), scale=scale)
            problem = prepare(np.zeros((height, width, 3), np.uint8), given, config)
            images = [
                (field, image.shape[:2])
                for stage in problem.stages
                for field, image in (("content", stage.content), *(("style", style.image) for style in stage.styles))
            ]
            for _, size in images:
                assert (too_small(kind, *size) is None) == fits(model, *size)
            expected = next(
                (
                    f"{field}: an image of {size[1]}x{size[0]} pixels is too small for the layers {', '.join(names)}"
                    for field, size in images
                    if not fits(model, *size)
                ),
                None,
            )
            assert too_small_in_run(config, height, width, [StyleFile(*style, scale)]) == expected
