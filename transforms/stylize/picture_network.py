"""This process' networks that measure pictures, by their fingerprint: each is read once."""

import logging
import threading

from stylecore.measures.network import PictureNetwork
from stylecore.networks.layers import LPIPS_NETWORK
from stylecore.networks.weights.sources import WeightsError
from transforms.output import storage
from transforms.output.job import read_job, update_job
from transforms.output.paths import Output
from transforms.output.published_weights import NOT_TO_BE_HAD, load_published, publish_measuring_network
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


def network_for(output: Output, weights_dir: str | None) -> PictureNetwork | None:
    """Returns the network for the pictures of a finished directory; None, after one warning, if it cannot be had.

    It is the one that measured the job's other pictures. If there is none, it is found and published as a job does it.

    Args:
      output: the output directory.
      weights_dir: see `publish_weights`.

    Raises:
      StorageError: the output directory cannot be written.
    """
    job = read_job(output)
    if job is None:
        return None
    fingerprint = job.measures_sha256
    if fingerprint is None or not storage.exists(output.weights(fingerprint)):
        if (fingerprint := publish_measuring_network(output, weights_dir)) is None:
            return None
        update_job(output, job, measures_sha256=fingerprint)
    return picture_network(output, fingerprint)


def _load(output: Output, fingerprint: str) -> PictureNetwork | None:
    try:
        return PictureNetwork(load_published(output, LPIPS_NETWORK, fingerprint))
    except (WeightsError, StorageError) as error:
        logger.warning(NOT_TO_BE_HAD, error)
        return None
