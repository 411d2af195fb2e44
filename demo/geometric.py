"""Circles, wedges, grids and ruled lines, cut as stencils and laid over each other."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from demo.canvas import HEIGHT, OVERSAMPLE, WIDTH, Floats, Pixels, grid, rgb, smooth_noise, to_pixels

CREAM = rgb("f2e6cc")[0]
BOLD = rgb("d5322a", "f2b31c", "1f4299", "1c837d", "d5322a", "1f4299", "f2b31c", "e58b8b")
TINTS = rgb("f0c46a", "e9a08f", "9dbfd0", "c9cfa4", "e6b7a9")
INK = rgb("171412")
LIGHTS = rgb("f2e6cc", "f0ad18", "f2e6cc")
AXES = np.deg2rad([-32, 58, -32, 58, 13, 90])  # few directions, as if ruled with the same two set squares

Outlines = list[Floats]  # polygons [n, 2]; a form fits the square from -1 to 1
Form = Callable[[np.random.Generator], Outlines]


def arc(inner: float, outer: float, turn: float = 2 * np.pi, start: float = 0.0) -> Floats:
    """Outline [n, 2] of a piece of a ring; with `inner` 0 and a whole turn it is a disc."""
    angle = start + np.linspace(0, turn, 90)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.concatenate([outer * circle, inner * circle[::-1]])


def box(left: float, top: float, right: float, bottom: float) -> Floats:
    """Outline [4, 2] of a rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def disc(rng: np.random.Generator) -> Outlines:
    """A full circle."""
    return [arc(0, 1)]


def half_disc(rng: np.random.Generator) -> Outlines:
    """Half a circle."""
    return [arc(0, 1, np.pi)]


def plane(rng: np.random.Generator) -> Outlines:
    """A broad rectangle."""
    half_height = rng.uniform(0.3, 0.8)
    return [box(-1, -half_height, 1, half_height)]


def wedge(rng: np.random.Generator) -> Outlines:
    """A triangle that comes to a point."""
    return [np.array([(-1, -rng.uniform(0.1, 0.5)), (1, 0), (-1, rng.uniform(0.1, 0.5))])]


def bow(rng: np.random.Generator) -> Outlines:
    """A bold arc."""
    return [arc(rng.uniform(0.8, 0.94), 1, rng.uniform(0.3, 1.2) * np.pi)]


def bar(rng: np.random.Generator) -> Outlines:
    """A slim rectangle."""
    half_height = rng.uniform(0.04, 0.12)
    return [box(-1, -half_height, 1, half_height)]


def line(rng: np.random.Generator) -> Outlines:
    """A ruled line that swells towards one end."""
    start, end = rng.uniform(0.004, 0.012), rng.uniform(0.005, 0.024)
    return [np.array([(-1, -start), (1, -end), (1, end), (-1, start)])]


def target(rng: np.random.Generator) -> Outlines:
    """A heavy disc with a thin ring around it."""
    return [arc(0, rng.uniform(0.45, 0.7)), arc(0.93, 1)]


def rings(rng: np.random.Generator) -> Outlines:
    """Concentric rings, or the same part of each, stronger towards the outside."""
    turn = rng.choice([2 * np.pi, np.pi, 0.6 * np.pi])
    return [arc(radius, radius + 0.02 + 0.07 * radius * rng.random(), turn) for radius in np.arange(0.2, 1, 0.16)]


def stripes(rng: np.random.Generator) -> Outlines:
    """Parallel lines from thin to thick."""
    count = rng.integers(5, 9)
    heights = zip(np.linspace(-0.6, 0.6, count), np.linspace(0.008, 0.3 / count, count), strict=True)
    return [box(-1, y - half, rng.uniform(0.6, 1), y + half) for y, half in heights]


def rays(rng: np.random.Generator) -> Outlines:
    """A fan of needles."""
    return [arc(0.05, 1, 0.035, angle) for angle in np.arange(0, rng.uniform(0.5, 1.6), 0.13)]


def checkers(rng: np.random.Generator) -> Outlines:
    """Every other square of a small board."""
    rows, columns = rng.integers(3, 5), rng.integers(4, 7)
    squares = [(i, j) for i in range(rows) for j in range(columns) if (i + j) % 2]
    return [box(j, i, j + 1, i + 1) * 2 / columns - (1, rows / columns) for i, j in squares]


def lattice(rng: np.random.Generator) -> Outlines:
    """A grid of thin lines."""
    across = [box(-1, y - 0.012, 1, y + 0.012) for y in np.linspace(-0.6, 0.6, 6)]
    return across + [box(x - 0.012, -0.7, x + 0.012, 0.7) for x in np.linspace(-0.9, 0.9, 8)]


def dots(rng: np.random.Generator) -> Outlines:
    """Rows of shrinking dots."""
    return [arc(0, 0.11 - 0.02 * i) + np.array([j - 2, i - 1.5]) * 0.4 for i in range(4) for j in range(5)]


class Pass(NamedTuple):
    """One round of painting: the number of forms, their kinds, the range of half-sizes in pixels and the colours."""

    forms: tuple[Form, ...]
    repeats: int
    sizes: tuple[float, float]
    colours: Floats
    opaque: bool


PASSES = (
    Pass((plane, disc, wedge), 9, (90, 170), TINTS, False),
    Pass((disc, disc, half_disc), 13, (40, 100), BOLD, False),
    Pass((wedge, plane), 12, (35, 80), BOLD, False),
    Pass((target,), 5, (26, 52), INK, True),
    Pass((rings,), 8, (45, 95), INK, True),
    Pass((checkers, lattice, stripes, rays), 20, (26, 52), INK, True),
    Pass((bow,), 9, (50, 120), BOLD, True),
    Pass((bar,), 22, (25, 80), BOLD, True),
    Pass((line,), 26, (40, 260), INK, True),
    Pass((dots, disc, wedge, checkers), 36, (7, 22), BOLD, True),
    Pass((rings, dots, stripes), 14, (14, 30), LIGHTS, True),
    Pass((disc, bar, wedge), 40, (3, 9), INK, True),
)


def geometric_forms() -> Pixels:
    """Paint a composition of pure forms in the spirit of the 1920s: [512, 640, 3].

    Large pale planes come first, then bold glazes that darken each other where they overlap, then opaque ornaments
    and black lines, ever smaller.
    """
    rng = np.random.Generator(np.random.PCG64(1922))
    canvas = CREAM * (1 + 0.015 * smooth_noise(rng, 25) + 0.015 * smooth_noise(rng, 1))[..., None]
    for painting_pass in PASSES:
        canvas = paint_pass(canvas, painting_pass, rng)
    return to_pixels(canvas * (1 + 0.02 * smooth_noise(rng, 0.7, 3))[..., None])


def paint_pass(canvas: Floats, painting_pass: Pass, rng: np.random.Generator) -> Floats:
    """The canvas [height, width, 3] with the forms of one pass on it."""
    grain = smooth_noise(rng, 0.8, 6) if painting_pass.opaque else smooth_noise(rng, 1.2)
    paint = cover if painting_pass.opaque else glaze
    for centre in spread_points(painting_pass.repeats, rng):
        form = painting_pass.forms[rng.integers(len(painting_pass.forms))]
        angle = rng.choice(AXES) + rng.choice([0, np.pi])
        mask = place(form(rng), centre, rng.uniform(*painting_pass.sizes), angle)
        canvas = paint(canvas, mask, rng.choice(painting_pass.colours), grain)
    return canvas


def spread_points(count: int, rng: np.random.Generator) -> Floats:
    """Points [count, 2] as x, y that keep apart: each is the loneliest of a dozen candidates."""
    points = rng.uniform((0, 0), (WIDTH, HEIGHT), (1, 2))
    while len(points) < count:
        candidates = rng.uniform((0, 0), (WIDTH, HEIGHT), (12, 2))
        gaps = np.linalg.norm(candidates[:, None] - points, axis=-1).min(axis=1)
        points = np.concatenate([points, candidates[[gaps.argmax()]]])
    return points


def place(outlines: Outlines, centre: Floats, size: float, angle: float) -> Floats:
    """Coverage [height, width] in 0..1 of a form of half-size `size` pixels, turned by `angle` radians."""
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    mask = Image.new("L", (WIDTH * OVERSAMPLE, HEIGHT * OVERSAMPLE))
    draw = ImageDraw.Draw(mask)
    for outline in outlines:
        draw.polygon(((outline @ turn * size + centre) * OVERSAMPLE).ravel().tolist(), fill=255)
    return np.asarray(mask.reduce(OVERSAMPLE), np.float64) / 255


def glaze(canvas: Floats, mask: Floats, colour: Floats, grain: Floats) -> Floats:
    """Transparent paint multiplies what is below; it thins out towards one side and settles at the rim."""
    x, _ = grid()
    middle = np.average(x, weights=mask + 1e-9)
    thinning = 0.7 + 0.3 * np.tanh((x - middle) / 60)
    rim = np.clip(mask - gaussian_filter(mask, 5), 0, 1)
    density = mask * np.clip(thinning + 0.5 * rim + 0.05 * grain, 0, 1.2)
    return canvas * colour ** density[..., None]


def cover(canvas: Floats, mask: Floats, colour: Floats, grain: Floats) -> Floats:
    """Opaque paint, brushed on: uneven in lightness, and here and there the ground shows through."""
    opacity = mask * np.clip(0.97 + 0.04 * grain, 0, 1)
    return canvas + opacity[..., None] * (colour * (1 + 0.05 * grain[..., None]) - canvas)
