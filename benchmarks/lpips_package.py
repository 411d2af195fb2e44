"""LPIPS by the package `lpips` itself; run by `benchmarks.lpips_reference` in an environment that has it and PyTorch.

    python lpips_package.py ARRAYS.npz

The file holds torchvision's VGG16 as `<layer>/kernel` and `<layer>/bias`, in Keras' order of axes, and pairs of
pictures as `<pair>/picture` and `<pair>/content`, uint8. The answer is a line of JSON: a number for each pair, and the
heads.
"""

import json
import sys

import numpy as np
import torch

# A build of PyTorch for CPUs cannot load the operators that torchvision compiled for another one; LPIPS needs none.
_operators = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import lpips  # noqa: E402
import torchvision  # noqa: E402


def main() -> None:
    """Reads the arrays, and prints."""
    arrays = np.load(sys.argv[1], allow_pickle=False)
    metric = lpips.LPIPS(net="vgg", version="0.1", pnet_rand=True, verbose=False)
    _fill(metric, _vgg16(arrays))
    pairs = sorted(name.removesuffix("/picture") for name in arrays if name.endswith("/picture"))
    with torch.no_grad():
        values = {
            pair: float(metric(_tensor(arrays[f"{pair}/picture"]), _tensor(arrays[f"{pair}/content"])))
            for pair in pairs
        }
    heads = [[float(weight) for weight in head.model[-1].weight.flatten()] for head in metric.lins]
    print(json.dumps({"values": values, "heads": heads}))


def _vgg16(arrays: "np.lib.npyio.NpzFile") -> torch.nn.Module:
    """Returns torchvision's VGG16 with these weights in its convolutions."""
    network = torchvision.models.vgg16(weights=None)
    layers = [name.removesuffix("/kernel") for name in arrays if name.endswith("/kernel")]
    convolutions = [module for module in network.features if isinstance(module, torch.nn.Conv2d)]
    for layer, convolution in zip(layers, convolutions, strict=True):
        convolution.weight.data = torch.from_numpy(arrays[f"{layer}/kernel"].transpose(3, 2, 0, 1).copy())
        convolution.bias.data = torch.from_numpy(arrays[f"{layer}/bias"])
    return network


def _fill(metric: torch.nn.Module, network: torch.nn.Module) -> None:
    """Gives the metric's network, which the package cut out of torchvision's, the layers of another one."""
    state = network.features.state_dict()
    for part in (getattr(metric.net, f"slice{number}") for number in range(1, 6)):
        part.load_state_dict({name: value for name, value in state.items() if name in part.state_dict()})


def _tensor(image: np.ndarray) -> torch.Tensor:
    """Returns RGB [height, width, 3] in 0..255 as the package takes it: [1, 3, height, width] in -1..1."""
    return torch.from_numpy(image.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]


if __name__ == "__main__":
    main()
