"""The sizes of the reproduction, declared here and nowhere else."""

import dataclasses
from typing import Any

# Measured on two CPU cores, deterministic, in batches of two at 128 px; larger pictures take a quarter less.
SECS_PER_PIXEL_AND_ITERATION = 5.5e-6


@dataclasses.dataclass(frozen=True)
class Size:
    """Replaces the sizes in the grids; None keeps a grid's own.

    Attributes:
      image_size: longest side in pixels.
      iterations: iterations of every run; section 4.4 has four times as many.
    """

    image_size: int | None
    iterations: int | None

    def overrides(self, iterations_factor: int = 1) -> dict[str, Any]:
        """Returns the configuration fields to set."""
        iterations = self.iterations and self.iterations * iterations_factor
        fields = {"image_size": self.image_size, "iterations": iterations}
        return {name: value for name, value in fields.items() if value is not None}

    def described(self) -> str:
        """Returns the size in words."""
        side = f"{self.image_size} px" if self.image_size else "512 px"
        iterations = f"{self.iterations} iterations" if self.iterations else "the paper's numbers of iterations"
        return f"longest side {side}, {iterations}"


# Takes about 16 minutes on 2 idle cores. Section 4.4 then has 1200 iterations.
REDUCED = Size(image_size=128, iterations=300)
# Keeps the grids' own sizes: an estimated 14 to 19 hours on 2 cores, so better run on a GPU.
FULL = Size(image_size=None, iterations=None)


def estimated_secs(iterations: int, height: int, width: int) -> float:
    """Returns the estimated seconds of a run of `height` x `width` pixels on two CPU cores."""
    return iterations * height * width * SECS_PER_PIXEL_AND_ITERATION
