"""How large the reproduction is: the one place that says so."""

import dataclasses
from typing import Any

# Two CPU cores, in batches of two at 128 px, deterministic; larger pictures take a quarter less.
SECS_PER_PIXEL_AND_ITERATION = 5.5e-6


@dataclasses.dataclass(frozen=True)
class Size:
    """What is put in place of the grids' own size; None leaves them as they stand.

    Attributes:
      image_size: longest side in pixels.
      iterations: of every run; section 4.4 has four times as many.
    """

    image_size: int | None
    iterations: int | None

    def overrides(self, iterations_factor: int = 1) -> dict[str, Any]:
        """Returns the configuration fields to set."""
        iterations = self.iterations and self.iterations * iterations_factor
        fields = {"image_size": self.image_size, "iterations": iterations}
        return {name: value for name, value in fields.items() if value is not None}

    def described(self) -> str:
        """Says how large it is."""
        side = f"{self.image_size} px" if self.image_size else "512 px"
        iterations = f"{self.iterations} iterations" if self.iterations else "the paper's numbers of iterations"
        return f"longest side {side}, {iterations}"


# About 16 minutes on 2 idle cores. Section 4.4 then has 1200 iterations.
REDUCED = Size(image_size=128, iterations=300)
# The grids as they stand: 14 to 19 hours on 2 cores by estimate, so rather for a GPU.
FULL = Size(image_size=None, iterations=None)


def estimated_secs(iterations: int, height: int, width: int) -> float:
    """Returns about how long a run takes on two CPU cores."""
    return iterations * height * width * SECS_PER_PIXEL_AND_ITERATION
