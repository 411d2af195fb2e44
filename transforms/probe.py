"""ProbeImages: image URIs -> the facts of each distinct image, or the reason why it cannot be used."""

import dataclasses
import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import apache_beam as beam
import numpy as np

from stylecore.images.codec import ImageError, decode_image, thumbnail
from transforms.ahead import ByteBudget, MapAhead
from transforms.input_images import MAX_FILE_BYTES, sha256_hex
from transforms.output import storage
from transforms.output.facts import KnownImage, load_facts, save_facts, shard_of
from transforms.output.paths import WEBP, Output
from transforms.records import ImageFacts, Reason

Made = TypeVar("Made")

# The bytes of the files that are read at once; of these images so many are decoded, which takes far more memory.
_reading = ByteBudget(2 * MAX_FILE_BYTES)
# What is read without asking for its size first; so many at once as there are threads.
_SMALL_BYTES = 4 * 2**20
_decoding = threading.BoundedSemaphore(2)


def image_facts(uri: str) -> ImageFacts | Reason:
    """Reads an image and decodes all of it; may be called in several threads.

    Args:
      uri: the path or gs:// URI of a file in a format that `decode_image` reads.

    Returns:
      Its facts, or the reason why it cannot be used.
    """
    try:
        probed = _decoded(uri, storage.read_bytes(uri, _SMALL_BYTES), _nothing)
    except storage.TooLargeError:
        probed = _probe_version(uri, _version(uri), _nothing)
    except storage.StorageError as error:
        return Reason.of(error)
    return probed if isinstance(probed, Reason) else probed[0]


def _nothing(image: np.ndarray) -> None:
    pass


def _version(uri: str) -> storage.Version:
    """Returns an image's version; none of a known name if it cannot be looked for: reading it says why."""
    try:
        return storage.version_of(uri)
    except storage.StorageError:
        return storage.Version(0, None)


def _probe_version(
    uri: str, version: storage.Version, make: Callable[[np.ndarray], Made]
) -> tuple[ImageFacts, Made] | Reason:
    with _reading.taken(min(version.size_bytes, MAX_FILE_BYTES)):
        try:
            data = storage.read_bytes(uri, MAX_FILE_BYTES)
        except storage.StorageError as error:
            return Reason.of(error)
        return _decoded(uri, data, make)


def _decoded(uri: str, data: bytes, make: Callable[[np.ndarray], Made]) -> tuple[ImageFacts, Made] | Reason:
    """Decodes all of an image.

    Args:
      uri: its URI.
      data: its file.
      make: receives the pixels, uint8 RGB [height, width, 3], which must not be kept.

    Returns:
      Its facts and what `make` returned; or the reason why it cannot be used.
    """
    with _decoding:
        try:
            image = decode_image(data)
        except ImageError as error:
            return Reason(type(error).__name__, f"{uri}: {error}")
        height, width = image.shape[:2]
        return ImageFacts(sha256_hex(data), height, width, not image.any()), make(image)


class ProbeImages(beam.PTransform):
    """Image URIs -> (URI, ImageFacts or Reason), once for each distinct URI; thumbnails are written to sources/.

    An image that is as an earlier job found it is not read, see `transforms.output.facts`.
    """

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def expand(self, uris: Any) -> Any:
        known = uris.pipeline | "Once" >> beam.Create([self._output]) | "LoadFacts" >> beam.Map(load_facts)
        probed = (
            uris
            | "DistinctImages" >> beam.Distinct()
            | "Probe" >> MapAhead(functools.partial(_probe, self._output), beam.pvalue.AsSingleton(known))
        )
        _ = (
            probed
            | "KnownImages" >> beam.FlatMap(_known)
            | "GroupShards" >> beam.GroupByKey()
            | "SaveFacts" >> beam.MapTuple(functools.partial(save_facts, self._output))
        )
        return probed | "Facts" >> beam.Map(lambda found: (found.uri, found.facts))


class _Probed(NamedTuple):
    uri: str
    facts: ImageFacts | Reason
    version: str | None


def _probe(output: Output, uri: str, known: Mapping[str, KnownImage]) -> _Probed:
    version = _version(uri)
    before = known.get(storage.absolute(uri))
    if before is not None and before.version == version.name:
        return _Probed(uri, before.facts, version.name)
    # The version is looked at first: if the image changes in between, the next job finds another one, and decodes it.
    probed = _probe_version(uri, version, thumbnail)
    if isinstance(probed, Reason):
        return _Probed(uri, probed, None)
    facts, small = probed
    storage.write_once(output.source(facts.sha256), small, WEBP)
    return _Probed(uri, facts, version.name)


def _known(found: _Probed) -> list[tuple[str, KnownImage]]:
    if found.version is None or isinstance(found.facts, Reason):
        return []
    uri, facts = storage.absolute(found.uri), found.facts
    return [(shard_of(uri), KnownImage(uri, found.version, *dataclasses.astuple(facts)))]
