"""The canvas that all paintings share: its size, coordinates, colours (RGB in 0..1, float64) and noise."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

WIDTH, HEIGHT = 640, 512
OVERSAMPLE = 2  # Pillow draws without smoothing, so everything is drawn larger by this factor and reduced at the end


def rgb(*hex_codes: str) -> Floats:
    """Colours [n, 3] of codes such as `1b2a6b`."""
    return np.array([list(bytes.fromhex(code)) for code in hex_codes]) / 255


def mix(ramp: Floats, position: Floats) -> Floats:
    """Colours [..., 3] at `position` [...] in 0..1 along a ramp of evenly spaced colours [n, 3]."""
    stops = np.linspace(0, 1, len(ramp))
    return np.stack([np.interp(position, stops, channel) for channel in ramp.T], axis=-1)


def to_pixels(colours: Floats) -> Pixels:
    """Colours as eight-bit RGB, of the same shape."""
    return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)


def grid() -> tuple[Floats, Floats]:
    """Coordinates x and y in pixels, each [height, width]."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    return x, y


def smooth_noise(rng: np.random.Generator, scale_px: float, stretch: float = 1.0) -> Floats:
    """Noise [height, width] of mean 0 and deviation 1, in blobs about `scale_px` high and `stretch` times as wide."""
    noise = gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), (scale_px, scale_px * stretch), mode="wrap")
    return (noise - noise.mean()) / noise.std()
