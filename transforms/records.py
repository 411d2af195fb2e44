"""What flows between the steps."""

import dataclasses
import functools
import hashlib
import json
from typing import Any, NamedTuple

from stylecore.config.style_config import StyleConfig
from stylecore.errors import one_line
from stylecore.planning.buckets import Bucket, bucket_of

# Part of every run_id: raised when the same input gives another picture.
RESULTS_VERSION = 3
_ID_HEX_DIGITS = 16


class WeightedUri(NamedTuple):
    """A style as the manifest has it, with the URI that it resolves to."""

    written: str
    uri: str
    weight: float


@dataclasses.dataclass(frozen=True)
class ManifestRow:
    """A valid row of the manifest.

    Attributes:
      number: position in the whole manifest, from 0.
      location: file and row in it, for messages.
      failure_id: under which failures of this row are recorded while it has no run_id.
      content: the content's URI as written.
      content_uri: the same, resolved against the manifest's directory.
      styles: the style images.
      config: parsed and valid, `weights` resolved like an image's URI.
      extra: the other columns as JSON, or None.
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
        """Returns the styles as a record holds them."""
        return [{"uri": style.written, "weight": style.weight} for style in self.styles]

    def images(self) -> list[tuple[str, str]]:
        """Returns (column, resolved URI) of content and styles."""
        return [("content", self.content_uri), *(("style", style.uri) for style in self.styles)]

    def image_uris(self) -> list[str]:
        """Returns the resolved URIs of content and styles."""
        return [uri for _, uri in self.images()]


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """What is known of an image that was read and decoded once: sha256 in hex, size in pixels."""

    sha256: str
    height: int
    width: int


@dataclasses.dataclass(frozen=True)
class Reason:
    """Why something failed: the error's type and one line for people."""

    error_type: str
    error_message: str

    @classmethod
    def of(cls, error: Exception) -> "Reason":
        """Describes an exception."""
        return cls(type(error).__name__, one_line(error, 2000) or type(error).__name__)

    def to_dict(self) -> dict[str, str]:
        """Returns its fields by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Failure:
    """A row or run that failed; `run_id` is None if it never got that far."""

    id: str
    run_id: str | None
    reason: Reason

    def to_json(self) -> bytes:
        """Returns the failure record."""
        record = {"id": self.id, "run_id": self.run_id, **self.reason.to_dict()}
        return json.dumps(record, indent=1, sort_keys=True).encode()


@dataclasses.dataclass(frozen=True)
class Run:
    """One picture to make, whatever rows ask for it.

    Attributes:
      run_id: names the work, see `identify_run`.
      row: the first manifest row that asks for it.
      content_sha256: of the content's bytes.
      style_sha256: of each style's bytes.
      weights_sha256: fingerprint of the backbone's weights.
      height: of the result, in pixels.
      width: of the result, in pixels.
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
        """What it can share a batch with."""
        return bucket_of(self.row.config, self.weights_sha256, self.height, self.width)


def identify_run(content_sha256: str, styles: list[tuple[str, float]], config: StyleConfig, weights_sha256: str) -> str:
    """Returns the run_id: the same work has the same name anywhere.

    Args:
      content_sha256: of the content's bytes, hex.
      styles: (sha256 of the bytes, weight) of each style, in order.
      config: only its canonical form counts.
      weights_sha256: the weights' fingerprint, hex.
    """
    return join_identity(content_sha256, style_identity(styles), config_identity(config, weights_sha256))


def join_identity(content_sha256: str, styles: str, config: str) -> str:
    """Returns the run_id, from the parts that `style_identity` and `config_identity` give."""
    return _sha256(f'[{RESULTS_VERSION},"{content_sha256}",{styles},{config}]')


def style_identity(styles: list[tuple[str, float]]) -> str:
    """Returns what a run_id says of the styles: (sha256 of the bytes, weight) of each, in order."""
    return _json(styles)


@functools.lru_cache(maxsize=4096)
def config_identity(config: StyleConfig, weights_sha256: str) -> str:
    """Returns what a run_id says of a configuration and its weights; a grid has few of them."""
    return f"{_json(config.canonical_json())},{_json(weights_sha256)}"


def identify_failed_row(values: dict[str, Any]) -> str:
    """Returns the name under which a row's failures are recorded while it has no run_id."""
    return f"row-{_sha256(_json(values))}"


_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str).encode


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_HEX_DIGITS]
