"""Carved waves, printed from a key block and a colour block."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from demo.canvas import HEIGHT, WIDTH, Floats, Pixels, grid, mix, rgb, smooth_noise, to_pixels

Integers = NDArray[np.int64]

INDIGO = rgb("16233f")[0]
SEA = rgb("f3e7cf", "b9d3cf", "5f9fb0", "2c6a94", "1d4478")
SUNSET = rgb("f3e7cf", "f2c9a0", "e8774a", "cf3b2c", "a52a2a")
FAR_PX, GROWTH = 34.0, 1.055  # spacing of the farthest waves, and its factor from each row to the next nearer one
OFF_REGISTER_PX = (1.5, -1.5, 0)  # down, to the left, and not across channels


def woodcut_waves() -> Pixels:
    """Print overlapping waves in the spirit of colour woodblock prints: [512, 640, 3].

    Each wave is a fan of carved lines, its colour wiped from dark to light; the key block is printed over the colour a
    little off register, and the grain of both blocks shows.
    """
    rng = np.random.Generator(np.random.PCG64(1831))
    waves = wave_centres(rng)
    depth, owner = overlap(waves)
    depth = depth + 0.012 * smooth_noise(rng, 5)  # the knife trembles
    colour = colour_block(depth, owner, len(waves), rng)
    ink = key_block(depth, rng)
    colour = shift(colour, OFF_REGISTER_PX, order=1, mode="nearest")
    return to_pixels(colour + ink[..., None] * (INDIGO - colour))


def wave_centres(rng: np.random.Generator) -> Floats:
    """Waves [n, 3] as x, y and radius in pixels, the far and small ones first; rows are offset by half a wave."""
    rows: list[Floats] = []
    y, spacing = -FAR_PX / 2, FAR_PX
    while y < HEIGHT + spacing:
        x = np.arange(-1 + len(rows) % 2 / 2, WIDTH / spacing + 1) * spacing
        x_jitter, y_jitter = rng.normal(0, 0.09 * spacing, (2, len(x)))
        rows.append(np.stack([x + x_jitter, y + y_jitter, spacing * rng.uniform(0.6, 0.95, len(x))], axis=-1))
        y, spacing = y + spacing / 2, spacing * GROWTH
    return np.concatenate(rows)


def overlap(waves: Floats) -> tuple[Floats, Integers]:
    """For each pixel, the wave in front: the distance from its centre, in 0..1 of its radius, and its number.

    Both [height, width]. Later waves hide earlier ones.
    """
    x, y = grid()
    depth, owner = np.ones((HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH), np.int64)
    for number, (x_mid, y_mid, radius) in enumerate(waves):
        distance = np.hypot(x - x_mid, y - y_mid) / radius
        depth = np.where(distance < 1, distance, depth)
        owner = np.where(distance < 1, number, owner)
    return depth, owner


def colour_block(depth: Floats, owner: Integers, count: int, rng: np.random.Generator) -> Floats:
    """Printed colour [height, width, 3]: each wave from its own part of a ramp, a few of them in sunset colours."""
    start = rng.uniform(0.0, 0.6, count)[owner]
    position = start + 0.5 * (1 - depth) + 0.04 * smooth_noise(rng, 0.7, 14) + 0.03 * smooth_noise(rng, 1)
    warm = (rng.random(count) < 0.14)[owner]
    return np.where(warm[..., None], mix(SUNSET, position), mix(SEA, position))


def key_block(depth: Floats, rng: np.random.Generator) -> Floats:
    """Ink [height, width] in 0..1: an outline around each wave and rings inside it which swell towards the centre."""
    rings = np.abs((depth * 5.0) % 1 - 0.5) * 2
    lines = rings < 0.28 + 0.35 * (1 - depth)
    outline = depth > 0.95
    pressure = 0.93 + 0.07 * smooth_noise(rng, 0.6, 12)
    return np.clip(gaussian_filter((lines | outline).astype(float), 0.6) * pressure, 0, 1)
