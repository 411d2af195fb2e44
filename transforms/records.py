"""The elements that flow between the steps of the pipeline."""

import dataclasses
import functools
import hashlib
import json
from typing import Any, NamedTuple

from stylecore.config.style_config import StyleConfig
from stylecore.errors import one_line
from stylecore.planning.buckets import Bucket, bucket_of

# Part of every run_id: raised whenever a change of the code makes another picture of the same input.
RESULTS_VERSION = 3
_ID_HEX_DIGITS = 16


class WeightedUri(NamedTuple):
    """A style image as the manifest names it (`written`), with its resolved URI and its weight."""

    written: str
    uri: str
    weight: float


@dataclasses.dataclass(frozen=True)
class ManifestRow:
    """A valid row of the manifest.

    Attributes:
      number: its position in the whole manifest, from 0.
      location: its file and its row there, for messages.
      failure_id: names the record of its failure while it has no run_id.
      content: the content image as the manifest names it.
      content_uri: the content image's URI, resolved against the manifest's directory.
      styles: the style images.
      config: the configuration, with `weights` resolved like an image's URI.
      extra: the further columns as JSON; None if there are none.
    """

    number: int
    location: str
    failure_id: str
    content: str
    content_uri: str
    styles: tuple[WeightedUri, ...]
    config: StyleConfig
    extra: str | None

    def style_entries(self) -> list[dict[str, Any]]:
        """Returns the style images in the form of a record: {uri as written, weight}."""
        return [{"uri": style.written, "weight": style.weight} for style in self.styles]

    def images(self) -> list[tuple[str, str]]:
        """Returns (column, resolved URI) of the content image and each style image."""
        return [("content", self.content_uri), *(("style", style.uri) for style in self.styles)]

    def image_uris(self) -> list[str]:
        """Returns the resolved URIs of the content image and the style images."""
        return [uri for _, uri in self.images()]


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """The facts of an input image that could be decoded: sha256 of its file in hex, size in pixels."""

    sha256: str
    height: int
    width: int


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why a row, run or image failed: the error's type, and a message of one line."""

    error_type: str
    error_message: str

    @classmethod
    def of(cls, error: Exception) -> "Reason":
        """Returns the reason that an exception gives."""
        return cls(type(error).__name__, one_line(error, 2000) or type(error).__name__)

    def to_dict(self) -> dict[str, str]:
        """Returns the fields by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Failure:
    """The failure of a row or run; `run_id` is None if the row got none."""

    id: str
    run_id: str | None
    reason: Reason

    def to_json(self) -> bytes:
        """Returns the content of the failure record."""
        record = {"id": self.id, "run_id": self.run_id, **self.reason.to_dict()}
        return json.dumps(record, indent=1, sort_keys=True).encode()


@dataclasses.dataclass(frozen=True)
class Run:
    """One picture to make, whatever rows ask for it.

    Attributes:
      run_id: names the run, see `identify_run`.
      row: the first manifest row that asks for it.
      content_sha256: hash of the content image's file, hex.
      style_sha256: hash of each style image's file, hex.
      weights_sha256: fingerprint of the backbone's weights, hex.
      height: the picture's height in pixels.
      width: the picture's width in pixels.
    """

    run_id: str
    row: ManifestRow
    content_sha256: str
    style_sha256: tuple[str, ...]
    weights_sha256: str
    height: int
    width: int

    @property
    def bucket(self) -> Bucket:
        """The runs that share a batch have equal buckets."""
        return bucket_of(self.row.config, self.weights_sha256, self.height, self.width)


def identify_run(content_sha256: str, styles: list[tuple[str, float]], config: StyleConfig, weights_sha256: str) -> str:
    """Returns the run_id: the same images, configuration and weights have the same one everywhere.

    Args:
      content_sha256: hash of the content image's file, hex.
      styles: (hash of the file in hex, weight) of each style image, in order.
      config: the configuration, of which only the canonical form counts.
      weights_sha256: fingerprint of the backbone's weights, hex.
    """
    return join_identity(content_sha256, style_identity(styles), config_identity(config, weights_sha256))


def join_identity(content_sha256: str, styles: str, config: str) -> str:
    """Returns the run_id.

    Args:
      content_sha256: hash of the content image's file, hex.
      styles: from `style_identity`.
      config: from `config_identity`.
    """
    return _sha256(f'[{RESULTS_VERSION},"{content_sha256}",{styles},{config}]')


def style_identity(styles: list[tuple[str, float]]) -> str:
    """Returns the part of a run_id's source that names the styles, each (hash of the file in hex, weight), in order."""
    return _json(styles)


@functools.lru_cache(maxsize=4096)
def config_identity(config: StyleConfig, weights_sha256: str) -> str:
    """Returns the part of a run_id's source that names configuration and weights; cached, since a grid has few."""
    return f"{_json(config.canonical_json())},{_json(weights_sha256)}"


def identify_failed_row(values: dict[str, Any]) -> str:
    """Returns the name of the failure record of a row without a run_id, from the row's values."""
    return f"row-{_sha256(_json(values))}"


_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_HEX_DIGITS]
