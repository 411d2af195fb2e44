"""Which problems can share a batch. Light: no TensorFlow."""

import dataclasses

from stylecore.config.style_config import StyleConfig


@dataclasses.dataclass(frozen=True, order=True)
class StepKind:
    """What a compiled step fixes; the rest of a configuration is data of the batch.

    Attributes:
      regions: styles have content masks.
    """

    backbone: str
    weights_sha256: str
    pooling: str
    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    content_loss: str
    optimizer: str
    precision: str
    normalize_gradients: bool = False
    regions: bool = False
    style_loss: str = "gram"
    feature_map: str = "none"


@dataclasses.dataclass(frozen=True, order=True)
class Bucket:
    """What may share a batch: problems of one step, one result size and one pyramid of scales."""

    kind: StepKind
    height: int
    width: int
    scales: tuple[float, ...] = ()


def step_kind(config: StyleConfig, weights_sha256: str, regions: bool = False) -> StepKind:
    """Returns the step that a configuration needs, its layers sorted.

    Args:
      config: the parameters.
      weights_sha256: the weights' fingerprint, hex.
      regions: styles have content masks.
    """
    return StepKind(
        backbone=config.backbone,
        weights_sha256=weights_sha256,
        pooling=config.pooling,
        content_layers=tuple(sorted(name for name, _ in config.content_layers)),
        style_layers=tuple(sorted(name for name, _ in config.style_layers)),
        content_loss=config.content_loss,
        optimizer=config.optimizer,
        precision=config.precision,
        normalize_gradients=config.normalize_gradients,
        regions=regions,
        style_loss=config.style_loss,
        feature_map=config.feature_map,
    )


def bucket_of(config: StyleConfig, weights_sha256: str, height: int, width: int, regions: bool = False) -> Bucket:
    """Returns a picture's bucket.

    Args:
      config: its parameters.
      weights_sha256: the fingerprint of the backbone's weights, hex.
      height, width: of the result, in pixels.
      regions: styles have content masks.
    """
    kind = step_kind(config, weights_sha256, regions)
    return Bucket(kind, height, width, tuple(scale for scale, _ in config.pyramid))
