"""facts/: what is known of the input images, so that a rerun decodes none that is as it was.

An image is as it was if its version is: its generation on Cloud Storage, else its size and the time of its last change.
Facts are kept in 16 files, by a digest of the image's URI. Whatever is wrong with one of them costs a decoding.
"""

import hashlib
import io
import logging
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stylecore.errors import one_line
from stylecore.images.codec import MAX_PIXELS
from transforms.output import storage
from transforms.output.paths import PARQUET, Output, source_path
from transforms.records import ImageFacts

logger = logging.getLogger(__name__)

SHARDS = "0123456789abcdef"
# What a file may claim: a million images in 16 files have a tenth of it.
_MAX_FILE_BYTES, _MAX_UNPACKED_BYTES = 2**27, 2**29
_SHA256 = re.compile("[0-9a-f]{64}")
_SCHEMA = pa.schema(
    [
        pa.field("uri", pa.string()),
        pa.field("version", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("height", pa.int64()),
        pa.field("width", pa.int64()),
        pa.field("is_black", pa.bool_()),
    ]
)


class KnownImage(NamedTuple):
    """The facts of a version of an image."""

    uri: str
    version: str
    sha256: str
    height: int
    width: int
    is_black: bool

    @property
    def facts(self) -> ImageFacts:
        """What was found when it was decoded."""
        return ImageFacts(self.sha256, self.height, self.width, self.is_black)


def shard_of(uri: str) -> str:
    """Returns which of SHARDS keeps the facts of an image."""
    return hashlib.sha256(uri.encode("utf-8", "surrogatepass")).hexdigest()[0]


def load_facts(output: Output) -> dict[str, KnownImage]:
    """Returns URI -> what is known of the image, for those whose thumbnail is in sources/."""
    found = storage.read_ahead(lambda shard: list(_load(output, shard)), SHARDS, len(SHARDS))
    known = {image.uri: image for images in found for image in images}
    digits = storage.hex_prefixes(output.root) if known else []
    listed = storage.read_ahead(lambda digit: list(_thumbnails(output, digit)), digits, len(SHARDS))
    present = {name for names in listed for name in names}
    return {uri: image for uri, image in known.items() if source_path(image.sha256).rpartition("/")[2] in present}


def _thumbnails(output: Output, digit: str) -> Iterator[str]:
    return storage.list_names(storage.join(output.root, "sources"), ".webp", digit)


def _load(output: Output, shard: str) -> Iterator[KnownImage]:
    uri = output.facts(shard)
    try:
        source = pq.ParquetFile(io.BytesIO(storage.read_bytes(uri, _MAX_FILE_BYTES)))
        groups = (source.metadata.row_group(index).total_byte_size for index in range(source.num_row_groups))
        if not source.schema_arrow.equals(_SCHEMA) or sum(groups) > _MAX_UNPACKED_BYTES:
            raise ValueError("not what a job writes there")
        rows = source.read().to_pylist()
    except storage.NotFoundError:
        return
    except (storage.StorageError, pa.ArrowException, ValueError) as error:
        logger.warning("%s: left out, images are decoded again: %s", uri, one_line(error, 200))
        return
    yield from (image for row in rows if _is_sound(image := KnownImage(**row)))


def _is_sound(image: KnownImage) -> bool:
    return (
        None not in image
        and _SHA256.fullmatch(image.sha256) is not None
        and min(image.height, image.width) > 0
        and image.height * image.width <= MAX_PIXELS
    )


def save_facts(output: Output, shard: str, images: Iterable[KnownImage]) -> None:
    """Writes the file of a shard, unless it is there with the same images."""
    table = pa.Table.from_pylist([image._asdict() for image in sorted(images)], schema=_SCHEMA)
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    try:
        if storage.read_bytes(output.facts(shard), _MAX_FILE_BYTES) == buffer.getvalue():
            return
    except storage.NotFoundError:
        pass
    storage.write(output.facts(shard), buffer.getvalue(), PARQUET)


def forget_facts(output: Output, uris: Iterable[str]) -> None:
    """Deletes the files that keep the facts of these images: one of them was not as it should have been."""
    for shard in sorted({shard_of(storage.absolute(uri)) for uri in uris}):
        storage.delete(output.facts(shard))
