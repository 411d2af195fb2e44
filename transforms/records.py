"""The elements that flow between the steps of the pipeline."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from stylecore.config.style_config import StyleConfig
from stylecore.errors import one_line
from stylecore.planning.buckets import Bucket, bucket_of

# Part of every run_id: raised whenever a change of the code makes another picture of the same input.
RESULTS_VERSION = 3
_ID_HEX_DIGITS = 16
MASKS = ("content_mask", "style_mask")


class NamedImage(NamedTuple):
    """An image as the manifest names it (`written`), with its resolved URI."""

    written: str
    uri: str


class StyleEntry(NamedTuple):
    """A style image as the manifest names it (`written`), with its resolved URI, and how it is used.

    `weight` is used as given, `scale` replaces the configuration's `style_scale`; `content_mask` says where in the
    content the style applies, `style_mask` where in the style its statistics come from. What the manifest leaves out is
    None.
    """

    written: str
    uri: str
    weight: float
    scale: float | None = None
    content_mask: NamedImage | None = None
    style_mask: NamedImage | None = None

    def images(self) -> list[tuple[str, str]]:
        """Returns (field, resolved URI) of the style image and the masks."""
        return [("style", self.uri), *((field, mask.uri) for field, mask in self.masks())]

    def masks(self) -> list[tuple[str, NamedImage]]:
        """Returns (field, mask) of the masks that the entry has."""
        return [(name, mask) for name in MASKS if (mask := getattr(self, name)) is not None]

    def hashed(self, sha256: Mapping[str, str]) -> "HashedStyle":
        """Returns the entry as a run_id knows it; `sha256` maps URIs to the hashes of their files, hex."""
        masks = {name: sha256[mask.uri] for name, mask in self.masks()}
        return HashedStyle(sha256[self.uri], self.weight, self.scale, **masks)

    def to_record(self, resolved: bool = False) -> dict[str, Any]:
        """Returns every field by its name in a manifest, images as written there or by their resolved URIs."""
        images = {"uri": NamedImage(self.written, self.uri), **{name: getattr(self, name) for name in MASKS}}
        named = {name: image and (image.uri if resolved else image.written) for name, image in images.items()}
        return {**named, "weight": self.weight, "scale": self.scale}


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
      initial: the picture to start from, with `init: image`.
    """

    number: int
    location: str
    failure_id: str
    content: str
    content_uri: str
    styles: tuple[StyleEntry, ...]
    config: StyleConfig
    extra: str | None
    initial: NamedImage | None = None

    def style_entries(self) -> list[dict[str, Any]]:
        """Returns the style images in the form of a record."""
        return [style.to_record() for style in self.styles]

    def masks(self) -> list[tuple[str, NamedImage]]:
        """Returns (field, mask) of the masks, those of the first style first."""
        return [mask for style in self.styles for mask in style.masks()]

    def images(self) -> list[tuple[str, str]]:
        """Returns (field, resolved URI) of the content image, each style image, the masks and the initial picture."""
        return [
            ("content", self.content_uri),
            *(("style", style.uri) for style in self.styles),
            *((field, mask.uri) for field, mask in self.masks()),
            *([("initial", self.initial.uri)] if self.initial else []),
        ]

    def image_uris(self) -> list[str]:
        """Returns the resolved URIs of `images`."""
        return [uri for _, uri in self.images()]


class RecordedImages(NamedTuple):
    """The input images that a metrics row names."""

    content: NamedImage
    styles: tuple[StyleEntry, ...]
    initial: NamedImage | None


def recorded_images(row: Mapping[str, Any]) -> RecordedImages:
    """Returns the images of a metrics row's columns content, style and initial, with their URIs from its `uris`.

    Raises:
      ValueError: the row does not say where its images lie.
    """
    entries, initial, uris = row["style"], row.get("initial"), row.get("uris") or []
    masks = [{name: entry[name] for name in MASKS if entry.get(name) is not None} for entry in entries]
    if len(uris) != 1 + len(entries) + sum(map(len, masks)) + (initial is not None):
        raise ValueError("its metrics do not say where its input images lie")
    rest = iter(uris)
    content = NamedImage(row["content"], next(rest))
    style_uris = [next(rest) for _ in entries]
    named = [{name: NamedImage(written, next(rest)) for name, written in some.items()} for some in masks]
    styles = tuple(
        StyleEntry(entry["uri"], uri, entry["weight"], entry.get("scale"), **some)
        for entry, uri, some in zip(entries, style_uris, named, strict=True)
    )
    return RecordedImages(content, styles, None if initial is None else NamedImage(initial, next(rest)))


@dataclasses.dataclass(frozen=True)
class ImageFacts:
    """The facts of an input image that could be decoded.

    Attributes:
      sha256: the hash of its file, hex.
      height: in pixels.
      width: in pixels.
      is_black: whether no pixel has any light, so that as a mask it names nothing.
    """

    sha256: str
    height: int
    width: int
    is_black: bool = False


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
      mask_sha256: hash of each mask's file, hex, in the order of `ManifestRow.masks`.
      initial_sha256: hash of the initial picture's file, hex; None if there is none.
    """

    run_id: str
    row: ManifestRow
    content_sha256: str
    style_sha256: tuple[str, ...]
    weights_sha256: str
    height: int
    width: int
    mask_sha256: tuple[str, ...] = ()
    initial_sha256: str | None = None

    @property
    def sha256(self) -> dict[str, str]:
        """The hash of each input image's file, hex, by its resolved URI."""
        initial = [self.initial_sha256] if self.initial_sha256 else []
        hashes = (self.content_sha256, *self.style_sha256, *self.mask_sha256, *initial)
        return dict(zip(self.row.image_uris(), hashes, strict=True))

    @property
    def regions(self) -> int:
        """The number of regions that its styles' content masks make, the rest of the picture counted; 0 without any."""
        sha256 = self.sha256 if self.mask_sha256 else {}
        return region_count(
            [sha256.get(style.content_mask.uri) if style.content_mask else None for style in self.row.styles]
        )

    @property
    def bucket(self) -> Bucket:
        """The runs that share a batch have equal buckets."""
        return bucket_of(self.row.config, self.weights_sha256, self.height, self.width, regions=self.regions > 0)


class HashedStyle(NamedTuple):
    """What a run_id says of a style: the hash of its file, its weight, its own scale, the hashes of its masks."""

    sha256: str
    weight: float
    scale: float | None = None
    content_mask: str | None = None
    style_mask: str | None = None


def region_count(content_masks: Sequence[str | None]) -> int:
    """Returns the number of regions that styles with these content masks make, see `Run.regions`.

    Args:
      content_masks: the hash of each style's content mask, None for a style without one.
    """
    return 0 if set(content_masks) == {None} else len(set(content_masks))


def identify_run(
    content_sha256: str,
    styles: Sequence[HashedStyle],
    config: StyleConfig,
    weights_sha256: str,
    initial_sha256: str | None = None,
) -> str:
    """Returns the run_id: the same images, configuration and weights have the same one everywhere.

    Args:
      content_sha256: hash of the content image's file, hex.
      styles: the style images, in order.
      config: the configuration, of which only the canonical form counts.
      weights_sha256: fingerprint of the backbone's weights, hex.
      initial_sha256: hash of the initial picture's file, hex; None if there is none.
    """
    return join_identity(
        content_sha256, style_identity(styles), config_identity(config, weights_sha256), initial_sha256
    )


def join_identity(content_sha256: str, styles: str, config: str, initial_sha256: str | None = None) -> str:
    """Returns the run_id.

    Args:
      content_sha256: hash of the content image's file, hex.
      styles: from `style_identity`.
      config: from `config_identity`.
      initial_sha256: hash of the initial picture's file, hex; None if there is none.
    """
    initial = f',"{initial_sha256}"' if initial_sha256 else ""
    return _sha256(f'[{RESULTS_VERSION},"{content_sha256}",{styles},{config}{initial}]')


def style_identity(styles: Sequence[HashedStyle]) -> str:
    """Returns the part of a run_id's source that names the styles, in order.

    What an entry does not have is absent, so that what was added to entries later has renamed no run.
    """
    return _json([_identity_of_entry(style) for style in styles])


def _identity_of_entry(style: HashedStyle) -> list[Any]:
    added = {name: value for name, value in style._asdict().items() if value is not None}
    sha256, weight = added.pop("sha256"), added.pop("weight")
    return [sha256, weight, added] if added else [sha256, weight]


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
