"""L-BFGS in NumPy with any first Hessian: what stylecore.optimizers.lbfgs does, for trials of what it might do.

One `Search` minimises one picture inside 0..255. It is told each evaluation of the objective and says where the next
one is wanted, so that the pictures of a batch are evaluated together.
"""

from typing import NamedTuple

import numpy as np
from scipy.fft import dctn, idctn

from stylecore.optimizers import spectral
from stylecore.optimizers.lbfgs import (
    FIRST_STEP,
    LEAST_CURVATURE,
    LONGEST_CUT,
    MAX_TRIALS,
    SHORTEST,
    SUFFICIENT_DECREASE,
    TINY,
)

# The borders of the bands in which a spectrum is learnt, as frequencies.
BANDS = np.array([0.0, 0.01, 0.02, 0.04, 0.08, 0.12, 0.18, 0.26, 0.36, 0.5, 0.7, 1.0])
# A learnt gain stays within this factor of the one before learning.
_FARTHEST = 5.0


class FirstHessian:
    """A symmetric positive map B of pictures: the first inverse Hessian is a multiple of it. Here B is the identity.

    Attributes:
      lengthened: that multiple over s.y / y.By of the newest pair.
    """

    lengthened = 1.0

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        """Returns B times a vector [height, width, 3]."""
        return vector

    def learn(self, step: np.ndarray, change: np.ndarray) -> None:
        """Sees a new curvature pair s, y, each [height, width, 3]."""


class Curve(NamedTuple):
    """Gains of frequencies f: level + rise (1 + (f / f0)^2)^-p; 1 is the highest frequency along an axis.

    Attributes:
      exponent: p.
      corner: f0.
    """

    exponent: float
    corner: float
    level: float = 0.0
    rise: float = 1.0

    def at(self, height: int, width: int) -> np.ndarray:
        """Returns the gains of a picture's cosines, [height, width]."""
        falling = (1 + _squared_frequencies(height, width) / self.corner**2) ** -self.exponent
        return self.level + self.rise * falling

    def times(self, factor: float) -> "Curve":
        """Returns all gains times a factor."""
        return self._replace(level=factor * self.level, rise=factor * self.rise)


class Spectral(FirstHessian):
    """B = C^T diag(g) C with gains of their own for the mean of the channels and for what is left of each.

    Args:
      luminance: gains of the mean.
      chroma: those of the rest; None: the same.
      lengthened: see FirstHessian.
    """

    def __init__(self, luminance: Curve, chroma: Curve | None = None, lengthened: float = 1.0) -> None:
        self._luminance, self._chroma = luminance, chroma or luminance
        self.lengthened = lengthened

    def gains(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the gains [height, width] of the channels' mean, and of what is left of them."""
        return self._luminance.at(height, width), self._chroma.at(height, width)

    def __call__(self, vector: np.ndarray) -> np.ndarray:
        """Returns B times a vector [height, width, 3]."""
        luminance, chroma = (gains[..., np.newaxis] for gains in self.gains(*vector.shape[:2]))
        coefficients = transform(vector)
        mean = coefficients.mean(axis=2, keepdims=True)
        return _inverse(luminance * mean + chroma * (coefficients - mean))


def built_in(lengthened: float = spectral.LENGTHENED) -> Spectral:
    """Returns the first Hessian of `precondition: spectral`, or one of another length."""
    luminance, chroma = (
        Curve(1.0, spectral.CORNER, level, rise) for level, rise in (spectral.LUMINANCE, spectral.CHROMA)
    )
    return Spectral(luminance, chroma, lengthened)


class LearnedSpectrum(Spectral):
    """A spectral B whose gains follow the roots of s.s / y.y in bands of frequency, of all pairs so far."""

    def __init__(self, curve: Curve, decay: float = 0.9) -> None:
        super().__init__(curve)
        self._decay = decay
        # s.s and y.y in each band, for the mean and the rest of the channels.
        self._squares = np.zeros([2, 2, len(BANDS)])

    def learn(self, step: np.ndarray, change: np.ndarray) -> None:
        """Adds a pair's squares, older pairs weighing less."""
        weight = 1 / max(_dot(step, change), TINY)
        self._squares *= self._decay
        self._squares += weight * np.array([band_squares(step), band_squares(change)])

    def gains(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns what was learnt, near the gains that it began with."""
        before, _ = super().gains(height, width)
        if not self._squares.any():
            return before, before
        band = bands(height, width)
        count = np.maximum(np.bincount(band.ravel(), minlength=len(BANDS)), 1)
        mean_before = np.bincount(band.ravel(), before.ravel(), len(BANDS)) / count
        learnt = np.sqrt(self._squares[0] / np.maximum(self._squares[1], TINY))
        learnt *= mean_before[8] / max(learnt[0, 8], TINY)
        factors = np.clip(learnt / np.maximum(mean_before, TINY), 1 / _FARTHEST, _FARTHEST)
        return before * factors[0][band], before * factors[1][band]


class Search:
    """The L-BFGS of one picture.

    Attributes:
      at: where the objective is to be evaluated next, float32 [height, width, 3].
      picture: the latest iterate.
      best: the lowest loss so far.
      steps, changes: the curvature pairs s and y, the newest first.
    """

    def __init__(self, start: np.ndarray, first_hessian: FirstHessian, history_size: int = 20) -> None:
        self.at = self.picture = start.astype(np.float32)
        self.best = np.inf
        self.steps: list[np.ndarray] = []
        self.changes: list[np.ndarray] = []
        self._first_hessian, self._history_size = first_hessian, history_size
        self._total, self._trials, self._step = np.inf, 0, 0.0
        self._gradient = self._direction = np.zeros_like(self.picture)
        self._ended = False

    @property
    def free_gradient(self) -> np.ndarray:
        """The gradient at `picture`, [height, width, 3]; 0 where a pixel is held."""
        return self._gradient * self._free

    @property
    def _free(self) -> np.ndarray:
        x, gradient = self.picture, self._gradient
        return ~(((x <= 0) & (gradient > 0)) | ((x >= 255) & (gradient < 0)))

    def tell(self, total: float, gradient: np.ndarray) -> None:
        """Takes the loss and the gradient [height, width, 3] at `at`, and moves `at`."""
        if self._ended:
            return
        first = np.isinf(self._total)
        promised = _dot(self._gradient, self.at - self.picture)
        bound = self._total + SUFFICIENT_DECREASE * promised
        if np.isfinite(total) and (first or (promised < 0 and total <= bound)):
            self._accept(total, gradient, first)
        elif self._trials + 1 >= MAX_TRIALS:
            self._ended = not self.steps
            self.steps, self.changes = [], []
            self._turn()
        else:
            bend = total - self._total - promised
            parabola = -0.5 * promised / bend if np.isfinite(bend) and bend else SHORTEST
            self._step *= float(np.clip(parabola, SHORTEST, LONGEST_CUT))
            self._trials += 1
        self.at = np.clip(self.picture + self._step * self._direction, 0, 255).astype(np.float32)

    def _accept(self, total: float, gradient: np.ndarray, first: bool) -> None:
        step, change = self.at - self.picture, gradient - self._gradient
        if not first and _dot(step, change) > LEAST_CURVATURE * _dot(change, change):
            self.steps = [step, *self.steps][: self._history_size]
            self.changes = [change, *self.changes][: self._history_size]
            self._first_hessian.learn(step, change)
        self.picture, self._total, self._gradient = self.at, total, gradient
        self.best = min(self.best, total)
        self._turn()

    def _turn(self) -> None:
        """Takes a new direction: the two-loop recursion over the free pixels."""
        gradient, free = self._gradient, self._free
        downhill = -gradient * free
        self._trials = 0
        newton = self._newton(downhill, free)
        if newton is not None:
            descends = -1e-8 * np.linalg.norm(downhill) * np.linalg.norm(newton)
            if _dot(gradient, newton) < descends:
                self._direction, self._step = newton, 1.0
                return
        self.steps, self.changes = [], []
        self._direction = free * self._first_hessian(downhill)
        self._step = FIRST_STEP / max(float(np.abs(self._direction).max()), TINY)

    def _newton(self, downhill: np.ndarray, free: np.ndarray) -> np.ndarray | None:
        pairs = []
        for step, change in zip(self.steps, self.changes, strict=True):
            masked = change * free
            curvature = _dot(step, masked)
            if curvature > LEAST_CURVATURE * _dot(masked, masked):
                pairs.append((step * free, masked, curvature))
        if not pairs:
            return None
        vector, weights = downhill, []
        for step, change, curvature in pairs:
            weights.append(_dot(step, vector) / curvature)
            vector = vector - np.float32(weights[-1]) * change
        _, change, curvature = pairs[0]
        gamma = curvature / max(_dot(change, self._first_hessian(change)), TINY)
        gamma *= self._first_hessian.lengthened
        found = np.float32(gamma) * free * self._first_hessian(vector)
        for (step, change, curvature), weight in zip(reversed(pairs), reversed(weights), strict=True):
            found = found + np.float32(weight - _dot(change, found) / curvature) * step
        return found


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b))


def transform(vector: np.ndarray) -> np.ndarray:
    """Returns the orthonormal cosine transform of each channel, [height, width, 3]."""
    return dctn(vector, axes=(0, 1), norm="ortho")


def _inverse(coefficients: np.ndarray) -> np.ndarray:
    return idctn(coefficients, axes=(0, 1), norm="ortho").astype(np.float32)


def band_squares(vector: np.ndarray) -> np.ndarray:
    """Returns the squared length of a vector [height, width, 3] in each band, [2, bands]: luminance, chroma."""
    band = bands(*vector.shape[:2]).ravel()
    coefficients = transform(vector)
    luminance = 3 * coefficients.mean(axis=2) ** 2
    chroma = (coefficients**2).sum(axis=2) - luminance
    return np.array([np.bincount(band, plane.ravel(), len(BANDS)) for plane in (luminance, chroma)])


def bands(height: int, width: int) -> np.ndarray:
    """Returns each cosine's band, its place in BANDS, [height, width]."""
    return np.digitize(np.sqrt(_squared_frequencies(height, width)), BANDS) - 1


def _squared_frequencies(height: int, width: int) -> np.ndarray:
    return (np.arange(height)[:, np.newaxis] / height) ** 2 + (np.arange(width) / width) ** 2
