"""ProbeImages: image URIs -> the facts of each distinct image, or the reason why it cannot be used."""

import functools
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import apache_beam as beam
import numpy as np

from stylecore.images.codec import ImageError, decode_image, thumbnail
from transforms.ahead import MapAhead
from transforms.input_images import MAX_FILE_BYTES, sha256_hex
from transforms.output import storage
from transforms.output.paths import WEBP, Output
from transforms.records import ImageFacts, Reason

Made = TypeVar("Made")

# Images that are read at once, each at most MAX_FILE_BYTES; of these so many are decoded, which takes far more memory.
AHEAD = 16
_decoding = threading.BoundedSemaphore(2)


def probe_image(uri: str, make: Callable[[np.ndarray], Made]) -> tuple[ImageFacts, Made] | Reason:
    """Reads an image and decodes all of it; may be called in several threads.

    Args:
      uri: the path or gs:// URI of a file in a format that `decode_image` reads.
      make: receives the pixels, uint8 RGB [height, width, 3], which must not be kept.

    Returns:
      Its facts and what `make` returned; or the reason why it cannot be used.
    """
    try:
        data = storage.read_bytes(uri, MAX_FILE_BYTES)
    except storage.StorageError as error:
        return Reason.of(error)
    with _decoding:
        try:
            image = decode_image(data)
        except ImageError as error:
            return Reason(type(error).__name__, f"{uri}: {error}")
        height, width = image.shape[:2]
        return ImageFacts(sha256_hex(data), height, width), make(image)


def image_facts(uri: str) -> ImageFacts | Reason:
    """Returns the facts of an image, or the reason why it cannot be used; may be called in several threads."""
    probed = probe_image(uri, lambda image: None)
    return probed if isinstance(probed, Reason) else probed[0]


class ProbeImages(beam.PTransform):
    """Image URIs -> (URI, ImageFacts or Reason), once for each distinct URI; thumbnails are written to sources/."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def expand(self, uris: Any) -> Any:
        probe = functools.partial(_probe, self._output)
        return uris | "DistinctImages" >> beam.Distinct() | "Probe" >> MapAhead(probe, AHEAD)


def _probe(output: Output, uri: str) -> tuple[str, ImageFacts | Reason]:
    probed = probe_image(uri, thumbnail)
    if isinstance(probed, Reason):
        return uri, probed
    facts, small = probed
    storage.write_once(output.source(facts.sha256), small, WEBP)
    return uri, facts
