"""Backbone weights in the output directory: published once before anything computes, read by every worker."""

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras

from stylecore.config.style_config import WEIGHTS_DIR_VARIABLE
from stylecore.networks.layers import LPIPS_NETWORK
from stylecore.networks.weights.files import file_names
from stylecore.networks.weights.sources import Weights, WeightsError, load_file, load_weights, save_weights
from transforms.output import storage
from transforms.output.paths import HDF5, Output

MAX_WEIGHTS_BYTES = 2**30

# What a log says once where the network that measures pictures is missing; %s is the reason.
NOT_TO_BE_HAD = "measure_lpips and measure_style stay empty: %s"

logger = logging.getLogger(__name__)


def publish_weights(
    output: Output, pairs: Iterable[tuple[str, str]], weights_dir: str | None, source: str = "auto"
) -> dict[tuple[str, str], str]:
    """Finds the weights of each (backbone, weights) and copies them to the output directory.

    Args:
      output: the output directory.
      pairs: the distinct (backbone, weights) of a manifest, see `distinct_backbones`.
      weights_dir: the directory, local or gs://, to search first for imagenet files; None takes the environment's.
      source: see `stylecore.networks.weights.sources.load_weights`.

    Returns:
      (backbone, weights) -> fingerprint.

    Raises:
      WeightsError: weights are not found, cannot be downloaded, or do not fit their backbone.
      StorageError: the output directory cannot be written.
    """
    fingerprints = {}
    for backbone, name in sorted(pairs):
        loaded = find_weights(backbone, name, weights_dir, source)
        logger.info("weights of %s: %s, from %s", backbone, loaded.fingerprint[:16], loaded.origin)
        fingerprints[backbone, name] = loaded.fingerprint
        uri = output.weights(loaded.fingerprint)
        if not storage.exists(uri):
            storage.write_once(uri, network_bytes(loaded.network), HDF5)
    return fingerprints


def publish_measuring_network(output: Output, weights_dir: str | None) -> str | None:
    """Copies the network that measures pictures to the output directory, and returns its fingerprint.

    Where it is not to be had, one warning says why, and None is returned: pictures are measured without it.

    Args:
      output: the output directory.
      weights_dir: see `publish_weights`.

    Raises:
      StorageError: the output directory cannot be written.
    """
    try:
        (fingerprint,) = publish_weights(output, [(LPIPS_NETWORK, "imagenet")], weights_dir).values()
    except WeightsError as error:
        logger.warning(NOT_TO_BE_HAD, error)
        return None
    return fingerprint


def find_weights(backbone: str, name: str, weights_dir: str | None, source: str = "auto") -> Weights:
    """Loads weights like `stylecore.networks.weights.sources.load_weights`, from gs:// too.

    Args:
      backbone: the network's name.
      name: "imagenet", "random:SEED", or the path or gs:// URI of an .h5 file.
      weights_dir: the directory, local or gs://, to search first for imagenet files; None takes the environment's.
      source: see `load_weights`.

    Raises:
      WeightsError: the weights are not found, cannot be downloaded, or do not fit the backbone.
    """
    if name.endswith(".h5"):
        with _local_copy(name) as path:
            return load_file(backbone, path, origin=name)
    weights_dir = weights_dir or os.environ.get(WEIGHTS_DIR_VARIABLE)
    if weights_dir and not storage.is_local(weights_dir):
        with _local_directory(weights_dir, backbone) as directory:
            return load_weights(backbone, name, directory=directory, source=source)
    return load_weights(backbone, name, directory=weights_dir, source=source)


def load_published(output: Output, backbone: str, fingerprint: str) -> keras.Model:
    """Returns the network with the weights that the job has published.

    Args:
      output: the output directory.
      backbone: the network's name.
      fingerprint: names the weights, hex.

    Raises:
      WeightsError: the file is missing, or its weights have another fingerprint.
    """
    with _local_copy(output.weights(fingerprint)) as path:
        loaded = load_file(backbone, path)
    if loaded.fingerprint != fingerprint:
        raise WeightsError(f"{output.weights(fingerprint)}: damaged, its fingerprint is {loaded.fingerprint}")
    return loaded.network


def network_bytes(network: keras.Model) -> bytes:
    """Returns the network's weights as a Keras `.weights.h5`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.weights.h5"
        save_weights(network, path)
        return path.read_bytes()


@contextlib.contextmanager
def _local_copy(uri: str) -> Iterator[Path]:
    if storage.is_local(uri):
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / uri.rpartition("/")[2]
        try:
            path.write_bytes(storage.read_bytes(uri, MAX_WEIGHTS_BYTES))
        except storage.StorageError as error:
            raise WeightsError(str(error)) from error
        yield path


@contextlib.contextmanager
def _local_directory(uri: str, backbone: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        for name in file_names(backbone):
            with contextlib.suppress(storage.NotFoundError):
                (Path(folder) / name).write_bytes(storage.read_bytes(storage.join(uri, name), MAX_WEIGHTS_BYTES))
        yield folder
