"""ProbeImages: image URIs -> the facts of each distinct image, or the reason why it cannot be used."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from stylecore.images.codec import ImageError, decode_image, thumbnail
from transforms.input_images import MAX_FILE_BYTES, sha256_hex
from transforms.output import storage
from transforms.output.paths import WEBP, Output
from transforms.records import ImageFacts, Reason


def probe_image(uri: str) -> tuple[ImageFacts, np.ndarray] | Reason:
    """Reads an image and decodes all of it.

    Args:
      uri: the path or gs:// URI of a file in a format that `decode_image` reads.

    Returns:
      Its facts and its pixels, uint8 RGB [height, width, 3]; or the reason why it cannot be used.
    """
    try:
        data = storage.read_bytes(uri, MAX_FILE_BYTES)
    except storage.StorageError as error:
        return Reason.of(error)
    try:
        image = decode_image(data)
    except ImageError as error:
        return Reason(type(error).__name__, f"{uri}: {error}")
    height, width = image.shape[:2]
    return ImageFacts(sha256_hex(data), height, width), image


class ProbeImages(beam.PTransform):
    """Image URIs -> (URI, ImageFacts or Reason), once for each distinct URI; thumbnails are written to sources/."""

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def expand(self, uris: Any) -> Any:
        return uris | "DistinctImages" >> beam.Distinct() | "Probe" >> beam.ParDo(_Probe(self._output))


class _Probe(beam.DoFn):
    def __init__(self, output: Output) -> None:
        self._output = output

    def process(self, uri: str) -> Iterator[tuple[str, ImageFacts | Reason]]:
        probed = probe_image(uri)
        if isinstance(probed, Reason):
            yield uri, probed
            return
        facts, image = probed
        storage.write_once(self._output.source(facts.sha256), thumbnail(image), WEBP)
        yield uri, facts
