"""What needs no pipeline: one picture, and the weights ahead of time."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline.cli.progress_bar import IterationBar
from stylecore.api import stylize
from stylecore.config.style_config import ConfigError, StyleConfig
from stylecore.images.codec import decode_image, encode_png
from stylecore.networks.layers import BACKBONES
from stylecore.networks.weights.sources import cache_directory, load_imagenet
from stylecore.run.result import Result
from transforms.input_images import MAX_FILE_BYTES
from transforms.output import storage
from transforms.output.paths import HDF5, PNG
from transforms.output.published_weights import find_weights, network_bytes


def stylize_one(
    content: str, style: str, values: Mapping[str, Any], output: str, weights_dir: str | None, weights_source: str
) -> Result:
    """Makes one picture; what `stylize` and the storage raise, and the problem's own error, are raised."""
    config = StyleConfig.from_dict(values)
    images = [decode_image(storage.read_bytes(uri, MAX_FILE_BYTES)) for uri in (content, style)]
    weights = find_weights(config.backbone, config.weights, weights_dir, weights_source)
    bar = IterationBar(config.iterations)
    try:
        (result,) = stylize(
            images[:1],
            images[1:],
            [config],
            weights=weights,
            on_progress=lambda state: bar.show(int(state.iterations[0]), state.median_losses()),
        )
    finally:
        bar.close()
    if result.error is not None or result.image is None:
        raise result.error or RuntimeError("no picture")
    record = {"config": config.to_dict(), "loss_total": result.loss_total, "weights_sha256": weights.fingerprint}
    storage.write(output, encode_png(result.image, json.dumps(record)), PNG)
    return result


def fetch_weights(backbone: str, source: str, to: str | None) -> str:
    """Fetches imagenet weights, copies them to a directory if one is given, and says where they are from."""
    if backbone not in BACKBONES:
        raise ConfigError(f"--backbone must be one of {', '.join(BACKBONES)}, got {backbone!r}")
    loaded = load_imagenet(backbone, None, source)
    where = str(cache_directory())
    if to:
        where = storage.join(to, f"{backbone}.weights.h5")
        storage.write(where, network_bytes(loaded.network), HDF5)
    return f"{backbone} from {loaded.origin}\nfingerprint {loaded.fingerprint}\nin {where}"
