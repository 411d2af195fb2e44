"""Readable names for images, styles, layer weights and numbers: short, and different for different values."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

# With more parts than this, the whole URI is clearer than its tail.
_MAX_TAIL_PARTS = 4
_PICTURE_SUFFIX = re.compile(r"\.(jpe?g|png|webp|gif|bmp|tiff?)$", re.IGNORECASE)
_KERAS_VGG_LAYER = re.compile(r"block(\d)_conv(\d)")


def short_names(uris: Iterable[str]) -> dict[str, str]:
    """Returns the shortest unique tail of each URI: `town`, else `town.jpg`, else `photos/town.jpg`, ..."""
    depths = dict.fromkeys(uris, 0)
    while True:
        names = {uri: _tail(uri, depth) for uri, depth in depths.items()}
        uses = Counter(names.values())
        clashing = [uri for uri, name in names.items() if uses[name] > 1 and name != uri]
        if not clashing:
            return names
        for uri in clashing:
            depths[uri] += 1


def style_parts(style: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns the entries of a style without the fields that they leave open: older records lack those altogether."""
    return [{name: value for name, value in entry.items() if value is not None} for entry in style]


def style_uris(style: Iterable[Mapping[str, Any]]) -> list[str]:
    """Returns the URIs of the images and masks of a style."""
    fields = ("uri", "content_mask", "style_mask")
    return [entry[name] for entry in style for name in fields if entry.get(name) is not None]


def style_label(styles: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> str:
    """Returns the label of a mixture, `starry × 0.7 in sky + scream at 0.5`; of one plain style, its name alone.

    Args:
      styles: the entries: a scale comes after `at`, a content mask after `in`, a style mask after `from`.
      names: URI -> short name of every image and mask, see `short_names`.
    """
    plain = len(styles) == 1 and styles[0]["weight"] == 1
    weights = ["" if plain else f" × {number_label(style['weight'])}" for style in styles]
    return " + ".join(
        names[style["uri"]] + weight + _place_label(style, names) for style, weight in zip(styles, weights, strict=True)
    )


def style_title(styles: Sequence[Mapping[str, Any]]) -> str:
    """Returns the whole URIs of a mixture, without weights."""
    names = {uri: uri for uri in style_uris(styles)}
    return " + ".join(style["uri"] + _place_label(style, names) for style in styles)


def _place_label(style: Mapping[str, Any], names: Mapping[str, str]) -> str:
    scale = "" if style.get("scale") is None else f" at {number_label(style['scale'])}"
    masks = (("in", style.get("content_mask")), ("from", style.get("style_mask")))
    return scale + "".join(f" {word} {names[mask]}" for word, mask in masks if mask is not None)


def value_label(name: str, value: Any) -> str:
    """Returns the label of a value of the configuration field `name`."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return number_label(value)
        case str():
            return value or "(empty)"
    if name in ("content_layers", "style_layers"):
        return layers_label(value)
    return _nested_label(value) or "none"


def number_label(value: float | None) -> str:
    """Returns a number in at most six significant digits; whole numbers below a million are written in full."""
    if value is None:
        return "none"
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e6):
        return str(int(value))
    return re.sub(r"e([+-])0*(\d+)$", lambda match: f"e{match[1].strip('+')}{match[2]}", f"{value:.6g}")


def layers_label(weights: dict[str, float]) -> str:
    """Returns `conv1_1 conv2_1 × 0.5` if all weights are equal, else `conv1_1 0.9, conv2_1 0.1`; zeros are left out."""
    used = {_KERAS_VGG_LAYER.sub(r"conv\1_\2", layer): weight for layer, weight in weights.items() if weight != 0}
    if not used:
        return "none"
    if len(set(used.values())) == 1:
        weight = number_label(next(iter(used.values())))
        return " ".join(used) + ("" if weight == "1" else f" × {weight}")
    return ", ".join(f"{layer} {number_label(weight)}" for layer, weight in used.items())


def distinct_labels(values: Sequence[Any], label: Callable[[Any], str]) -> list[str]:
    """Returns a label for each value, so that different values have different labels.

    Args:
      values: distinct values.
      label: gives a value's short label; values whose short labels agree are written as JSON.
    """
    labels = [label(value) for value in values]
    uses = Counter(labels)
    return [
        text if uses[text] == 1 else json.dumps(value, ensure_ascii=False)
        for text, value in zip(labels, values, strict=True)
    ]


def _tail(uri: str, depth: int) -> str:
    parts = uri.rsplit("/", max(depth, 1))
    if depth == 0:
        return _PICTURE_SUFFIX.sub("", parts[-1]) or uri
    if depth > _MAX_TAIL_PARTS or len(parts) <= depth:
        return uri
    return "/".join(parts[-depth:])


def _nested_label(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_nested_label(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return " · ".join(_nested_label(item) for item in value)
    return value if isinstance(value, str) else value_label("", value)
