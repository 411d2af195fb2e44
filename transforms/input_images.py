"""Input images by URI and hash, in caches of this process that are bounded in bytes.

A grid uses few images many times, each at one size or a few. Pixels at the sizes in use are kept, so that a worker
reads, decodes and resizes an image once; whole decoded images, which may be far larger, are kept for a while too.
"""

import functools
import hashlib
import operator
from collections.abc import Callable, Hashable
from threading import Condition

import cachetools
import numpy as np

from stylecore.images.codec import decode_image
from stylecore.images.resize import Recolour, ScalableImage, resize, resize_8_bits, resize_mask
from transforms.output import storage

MAX_FILE_BYTES = 256 * 2**20
DECODED_BYTES = 256 * 2**20
RESIZED_BYTES = 768 * 2**20
_SIZES = 2**16


class ChangedError(ValueError):
    """An image that has changed since the job began."""


def read_file(uri: str) -> bytes:
    """Returns the content of an image's file, at most MAX_FILE_BYTES."""
    return storage.read_bytes(uri, MAX_FILE_BYTES)


_condition_of = operator.attrgetter("condition")


class ImageCache:
    """The input images of a process. Of threads that want the same at once, one makes it and the others wait.

    Args:
      decoded_bytes: bounds the whole images that are kept.
      resized_bytes: bounds the images at the sizes in use that are kept.
      read: reads a file.
    """

    def __init__(
        self,
        decoded_bytes: int = DECODED_BYTES,
        resized_bytes: int = RESIZED_BYTES,
        read: Callable[[str], bytes] = read_file,
    ) -> None:
        self.condition = Condition()
        self.decoded = cachetools.LRUCache[Hashable, np.ndarray](decoded_bytes, getsizeof=_bytes_of)
        self.resized = cachetools.LRUCache[Hashable, np.ndarray](resized_bytes, getsizeof=_bytes_of)
        self.sizes = cachetools.LRUCache[Hashable, tuple[int, int]](_SIZES)
        self._read = read

    def image(self, uri: str, sha256: str) -> "InputImage":
        """Returns an image, which is read when it is asked for what the cache lacks.

        Args:
          uri: its path or gs:// URI.
          sha256: the hash that its bytes had when the job began, hex.
        """
        return InputImage(self, sha256, lambda: self.decode(uri, sha256))

    @cachetools.cachedmethod(
        operator.attrgetter("decoded"), key=lambda self, uri, sha256: sha256, condition=_condition_of
    )
    def decode(self, uri: str, sha256: str) -> np.ndarray:
        """Returns all pixels of an image, uint8 RGB [height, width, 3].

        Raises:
          StorageError: the file cannot be read.
          ImageError: the file cannot be decoded.
          ChangedError: the file has another hash than `sha256`.
        """
        data = self._read(uri)
        if sha256_hex(data) != sha256:
            raise ChangedError(f"{uri}: changed since the job began")
        return decode_image(data)

    @cachetools.cachedmethod(operator.attrgetter("sizes"), key=lambda self, image: image.key, condition=_condition_of)
    def size(self, image: "InputImage") -> tuple[int, int]:
        """Returns the (height, width) of an image in pixels."""
        height, width = image.pixels.shape[:2]
        return height, width

    @cachetools.cachedmethod(
        operator.attrgetter("resized"),
        key=lambda self, image, height, width: (image.key, height, width),
        condition=_condition_of,
    )
    def at(self, image: "InputImage", height: int, width: int) -> np.ndarray:
        """Returns an image at a size, [height, width, 3]: uint8, or float32 if it was recoloured."""
        scale = resize_8_bits if image.pixels.dtype == np.uint8 else resize
        return scale(image.pixels, height, width)

    @cachetools.cachedmethod(
        operator.attrgetter("resized"),
        key=lambda self, image, height, width: ("mask", image.key, height, width),
        condition=_condition_of,
    )
    def mask_at(self, image: "InputImage", height: int, width: int) -> np.ndarray:
        """Returns an image as a mask at a size, float32 [height, width] in 0..1."""
        return resize_mask(image.pixels, height, width)


class InputImage(ScalableImage):
    """An image of an ImageCache, for one use: it keeps the pixels that it has made.

    Args:
      cache: keeps its sizes; its methods raise what `ImageCache.decode` raises.
      key: names its pixels.
      make: returns its pixels.
    """

    def __init__(self, cache: ImageCache, key: Hashable, make: Callable[[], np.ndarray]) -> None:
        self._cache = cache
        self.key = key
        self._make = make

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        return self._make()

    def size(self) -> tuple[int, int]:
        return self._cache.size(self)

    def at(self, height: int, width: int) -> np.ndarray:
        return np.asarray(self._cache.at(self, height, width), np.float32)

    def mask_at(self, height: int, width: int) -> np.ndarray:
        return self._cache.mask_at(self, height, width)

    def recoloured(self, recolour: Recolour, other: ScalableImage) -> "InputImage":
        assert isinstance(other, InputImage)
        return InputImage(self._cache, (recolour, self.key, other.key), lambda: recolour(self.pixels, other.pixels))


def _bytes_of(image: np.ndarray) -> int:
    return image.nbytes


def sha256_hex(data: bytes) -> str:
    """Returns the sha256 of bytes, in hex."""
    return hashlib.sha256(data).hexdigest()
