"""What the objective asks of a style loss: statistics of features, a blend of several styles' as target, and a loss.

A style loss knows one layer at a time. Statistics and targets are nests of tensors whose first dimension is the batch;
where guides divide the picture into regions, the regions are the second one.
"""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from stylecore.objective.style_losses.guides import Guides
from stylecore.tensors import CountPerPicture, Features, Tensor

# Nests of tensors [batch, ...], with guides [batch, regions, ...]; which tensors, a style loss decides.
Statistics = Any
Target = Any


# The random numbers of one evaluation and one layer, [batch, ...]; which, a random style loss decides.
Draw = Tensor


class StyleLoss(Protocol):
    """A style loss of one layer.

    Attributes:
      mask_power: positions count by this power of the mask, scaled to the mean 1.
    """

    mask_power: float

    def statistics(self, features: Features, guides: Guides | None) -> Statistics:
        """Returns the statistics of each picture, with guides of each of its regions.

        Where they are means over positions, this is `normalized(sums(features, guides), positions)`.
        """

    def blend(self, statistics: Sequence[Statistics], weights: Sequence[float]) -> Target:
        """Returns the target of several styles, whose weights are used as given.

        Args:
          statistics: of each style.
          weights: finite, >= 0.
        """

    def loss(self, statistics: Statistics, target: Target, draw: Draw | None) -> Tensor:
        """Returns the loss of each picture, [batch], or of each of its regions, [batch, regions]."""

    def mean_factor(self, statistics: Statistics) -> Tensor | float:
        """Returns the factor that makes the loss a mean over its terms."""


@runtime_checkable
class SummedStyleLoss(StyleLoss, Protocol):
    """A style loss whose statistics are means over positions, so that those of tiles add up."""

    def sums(self, features: Features, guides: Guides | None) -> Statistics:
        """Returns sums over positions: those of a picture are those of its parts, added."""

    def normalized(self, sums: Statistics, positions: Tensor) -> Statistics:
        """Returns the statistics from sums over `positions` positions, a whole number."""


@runtime_checkable
class RandomStyleLoss(StyleLoss, Protocol):
    """A style loss whose `loss` wants a Draw."""

    def draws(self, seeds: Tensor, iterations: CountPerPicture, channels: Sequence[int]) -> tuple[Draw, ...]:
        """Returns the random numbers of an evaluation for each layer.

        Args:
          seeds: [batch] int64.
          iterations: of each picture, or one for all. The same seed and iteration give the same numbers in any batch.
          channels: of each layer.
        """
