"""The experiments in the paper's order: each with its grid, what it varies, its pictures' labels and its claims."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from experiments.claims import CLAIMS
from experiments.judging import Claim

Row = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of the paper.

    Attributes:
      number: as in the paper.
      title: subject of the experiment.
      grid: name of its grid, without .yaml.
      varies: what differs between the pictures.
      label: names a picture by its value of `varies`, from a configuration and the names of photograph and painting.
      iterations_factor: factor by which its runs have more iterations than those of other sections.
    """

    number: str
    title: str
    grid: str
    varies: str
    label: Callable[[Row, str, str], str]
    iterations_factor: int = 1

    @property
    def claims(self) -> tuple[Claim, ...]:
        """The claims that this section is judged by."""
        return CLAIMS[self.number]


def _field(name: str) -> Callable[[Row, str, str], str]:
    return lambda config, photograph, painting: f"{config[name]:g}"


def _ratio(config: Row, photograph: str, painting: str) -> str:
    return f"{config['content_weight'] / config['style_weight']:g}"


def _style_weights(config: Row, photograph: str, painting: str) -> str:
    weights = [weight for _, weight in sorted(config["style_layers"].items())]
    if len(set(weights)) == 1:
        return "equal"
    if not any(weights[2:]):
        return "low"
    return "random" if any(weights[:3]) else "high"


def _content_layers(config: Row, photograph: str, painting: str) -> str:
    return f"VGG19 ({len(config['content_layers'])})"


def _backbone(config: Row, photograph: str, painting: str) -> str:
    return {"vgg16": "VGG16", "vgg19": "VGG19", "resnet50": "ResNet50"}[config["backbone"]]


def _future_work(config: Row, photograph: str, painting: str) -> str:
    if config["pooling"] == "avg":
        return "average pooling"
    return "basic" if config["init"] == "noise" else f"from {config['init']}"


SECTIONS = (
    Section("4.1", "The basic configuration", "4_01_basic", "nothing: all else departs from here", lambda *_: "basic"),
    Section("4.2", "Ratio of content to style", "4_02_content_style_ratio", "alpha / beta, with beta 1e3", _ratio),
    Section("4.3", "Total variation", "4_03_total_variation", "gamma", _field("tv_weight")),
    Section("4.4", "Iterations", "4_04_iterations", "nothing: one long run, logged", lambda *_: "basic", 4),
    Section(
        "4.5",
        "Content loss",
        "4_05_content_loss",
        "L2 or L1 content loss",
        lambda config, *_: config["content_loss"].upper(),
    ),
    Section(
        "4.6",
        "Content layers",
        "4_06_content_layers",
        "VGG19 (1): conv5_2; VGG19 (2): conv4_4 and conv5_2",
        _content_layers,
    ),
    Section(
        "4.7",
        "Style layers",
        "4_07_style_layers",
        "weights of the five style layers: equal; low [1/2, 1/2, 0, 0, 0]; high [0, 0, 0, 1/2, 1/2]; "
        "random, the paper's draw (0.491, 0.154, 0.348, 0.001, 0.006)",
        _style_weights,
    ),
    Section("4.8", "Learning rate", "4_08_learning_rate", "Adam's learning rate", _field("learning_rate")),
    Section("4.9", "Seed", "4_09_seed", "seed of the initial noise", _field("seed")),
    Section("4.10", "ResNet50", "4_10_resnet50", "the network", _backbone),
    Section(
        "5",
        "Gallery",
        "5_gallery",
        "photograph and painting",
        lambda _, photograph, painting: f"{photograph}, {painting}".replace("_", " "),
    ),
    Section("6-7", "Future work of the paper", "6_7_future_work", "average pooling; the initial image", _future_work),
)
PRESETS_GRID = "presets"
