"""This process' networks that measure pictures, by their fingerprint: each is read once."""

import logging
import threading

from stylecore.measures.network import PictureNetwork
from stylecore.networks.layers import LPIPS_NETWORK
from stylecore.networks.weights.sources import WeightsError
from transforms.output import storage
from transforms.output.job import read_job
from transforms.output.paths import Output
from transforms.output.published_weights import NOT_TO_BE_HAD, find_weights, load_published
from transforms.output.storage import StorageError

logger = logging.getLogger(__name__)

_lock = threading.Lock()
_networks: dict[str, PictureNetwork | None] = {}


def picture_network(output: Output, fingerprint: str) -> PictureNetwork | None:
    """Returns the network that the job has published; None, after one warning, if it cannot be read.

    Args:
      output: the output directory.
      fingerprint: names the network, hex.
    """
    with _lock:
        if fingerprint not in _networks:
            _networks[fingerprint] = _load(output, fingerprint)
        return _networks[fingerprint]


def network_for(output: Output) -> PictureNetwork | None:
    """Returns the network for the pictures of a finished directory; None, after one warning, if it cannot be had.

    It is the one that measured the job's other pictures, or else the one that a job would get now.
    """
    job = read_job(output)
    if job and job.measures_sha256 and storage.exists(output.weights(job.measures_sha256)):
        return picture_network(output, job.measures_sha256)
    try:
        return PictureNetwork(find_weights(LPIPS_NETWORK, "imagenet", None).network)
    except WeightsError as error:
        logger.warning(NOT_TO_BE_HAD, error)
        return None


def _load(output: Output, fingerprint: str) -> PictureNetwork | None:
    try:
        return PictureNetwork(load_published(output, LPIPS_NETWORK, fingerprint))
    except (WeightsError, StorageError) as error:
        logger.warning(NOT_TO_BE_HAD, error)
        return None
