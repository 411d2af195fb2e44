"""The names of backbone layers, known without loading TensorFlow.

VGG layers have two spellings in the field, `conv5_2` (the papers') and `block5_conv2` (Keras'). Keras' is the
canonical one here.
"""

import functools
import re

from stylecore.errors import nearest

BACKBONES = ("vgg19", "vgg16", "resnet50")

_VGG_CONVS_PER_BLOCK = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_RESNET50_BLOCKS_PER_STAGE = {2: 3, 3: 4, 4: 6, 5: 3}
_PAPER_SPELLING = re.compile(r"(conv|pool)([1-5])(?:_([1-9]))?")


@functools.cache
def layer_names(backbone: str) -> tuple[str, ...]:
    """Returns the layers of a backbone whose activations can be used, in Keras' spelling, shallow to deep."""
    if backbone == "resnet50":
        return _resnet50_layer_names()
    names = []
    for block, convs in enumerate(_VGG_CONVS_PER_BLOCK[backbone], start=1):
        names += [f"block{block}_conv{i}" for i in range(1, convs + 1)]
        names.append(f"block{block}_pool")
    return tuple(names)


def _resnet50_layer_names() -> tuple[str, ...]:
    names = ["conv1_conv", "conv1_bn", "conv1_relu", "pool1_pool"]
    for stage, blocks in _RESNET50_BLOCKS_PER_STAGE.items():
        for block in range(1, blocks + 1):
            prefix = f"conv{stage}_block{block}"
            units = (1, 2, 0, 3) if block == 1 else (1, 2, 3)
            for unit in units:
                names += [f"{prefix}_{unit}_conv", f"{prefix}_{unit}_bn"]
                if unit in (1, 2):
                    names.append(f"{prefix}_{unit}_relu")
            names += [f"{prefix}_add", f"{prefix}_out"]
    return tuple(names)


def canonical_layer_name(backbone: str, name: str) -> str:
    """Returns Keras' spelling of a layer of `backbone`.

    Raises:
      ValueError: the backbone has no such layer; the message names the nearest one.
    """
    known = layer_names(backbone)
    if name in known:
        return name
    spelled = _paper_to_keras(name)
    if spelled in known:
        return spelled
    raise ValueError(f"{backbone} has no layer {name!r}, the nearest one is {nearest(spelled, known, cutoff=0)!r}")


def _paper_to_keras(name: str) -> str:
    match = _PAPER_SPELLING.fullmatch(name)
    if not match:
        return name
    kind, block, index = match.groups()
    return f"block{block}_{kind}{index or ''}"
