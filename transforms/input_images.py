"""Decoded input images by URI and hash, in a cache of this process that is bounded in bytes."""

import hashlib
import threading

import cachetools
import numpy as np

from stylecore.images.codec import decode_image
from transforms.output import storage

MAX_FILE_BYTES = 256 * 2**20
CACHE_BYTES = 1024 * 2**20

_cache: cachetools.LRUCache[str, np.ndarray] = cachetools.LRUCache(CACHE_BYTES, getsizeof=lambda image: image.nbytes)
_lock = threading.Lock()


class ChangedError(ValueError):
    """An image that has changed since the job began."""


def load_image(uri: str, sha256: str) -> np.ndarray:
    """Returns an input image, from the cache where it is there.

    Args:
      uri: its path or gs:// URI.
      sha256: the hash that its bytes had when the job began, hex.

    Returns:
      Pixels, uint8 RGB [height, width, 3].

    Raises:
      StorageError: the file cannot be read.
      ImageError: the file cannot be decoded.
      ChangedError: the file has another hash than `sha256`.
    """
    with _lock:
        if (image := _cache.get(sha256)) is not None:
            return image
    data = storage.read_bytes(uri, MAX_FILE_BYTES)
    if sha256_hex(data) != sha256:
        raise ChangedError(f"{uri}: changed since the job began")
    image = decode_image(data)
    if image.nbytes <= CACHE_BYTES:
        with _lock:
            _cache[sha256] = image
    return image


def sha256_hex(data: bytes) -> str:
    """Returns the sha256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()
