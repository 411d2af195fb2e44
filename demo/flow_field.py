"""Thick strokes that follow the contour lines of a landscape of whirls."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from demo.canvas import HEIGHT, OVERSAMPLE, WIDTH, Floats, Pixels, grid, mix, rgb, smooth_noise, to_pixels

NIGHT_TO_SUN = rgb("0d1440", "16307f", "1f5fb4", "2f93c4", "7fc4b8", "e9e3a0", "f7c331", "ee8a1d", "d8431f")
ACCENTS = rgb("f08a24", "f9d24a", "c8324a", "a02c5a", "5a2a82", "5a2a82", "efe3bd", "1c7a5c")


class Whirl(NamedTuple):
    """One vortex: centre and radius in pixels, direction and strength of its rotation, warmth of its colour in 0..1."""

    x: float
    y: float
    radius: float
    spin: float
    glow: float


WHIRLS = (
    Whirl(455, 140, 105, 1.0, 1.0),
    Whirl(170, 215, 120, -1.0, 0.55),
    Whirl(345, 385, 105, 0.9, 0.8),
    Whirl(70, 60, 60, 0.8, 0.9),
    Whirl(580, 390, 75, -0.8, 0.75),
    Whirl(110, 440, 75, 0.8, 0.95),
    Whirl(285, 70, 55, -0.6, 0.7),
)


class Layer(NamedTuple):
    """One pass with one brush, in pixels; `accent` is the share of strokes that carry a foreign colour."""

    width: float
    length: float
    spacing: float
    accent: float


LAYERS = (Layer(26, 130, 19, 0.0), Layer(15, 95, 11, 0.05), Layer(9, 60, 8, 0.08), Layer(5, 36, 11, 0.15))


def flow_field_strokes() -> Pixels:
    """Paint whirling impasto in the spirit of post-impressionism: [512, 640, 3].

    A stream function gives the strokes their direction, along its contours, and their colour, from night blue to sun;
    four passes from a broad to a fine brush cover the canvas, and raking light shows the relief of the bristles.
    """
    rng = np.random.Generator(np.random.PCG64(1889))
    stream = stream_function(rng)
    warmth = warmth_map(stream, rng)
    canvas = Image.new("RGBA", (WIDTH * OVERSAMPLE, HEIGHT * OVERSAMPLE), (20, 24, 60, 0))
    for layer in LAYERS:
        paint_layer(ImageDraw.Draw(canvas), layer, stream, warmth, rng)
    return to_pixels(raking_light(canvas))


def stream_function(rng: np.random.Generator) -> Floats:
    """Landscape [height, width] whose contours are the flow: a hill for each whirl, a slope that drifts, some noise."""
    _, y = grid()
    hills = np.sum([whirl.spin * whirl.radius * bump(whirl, 0.75) for whirl in WHIRLS], axis=0)
    return hills + 0.25 * y + 5 * smooth_noise(rng, 30)


def warmth_map(stream: Floats, rng: np.random.Generator) -> Floats:
    """Position [height, width] on the colour ramp: warm in the whirls, in bands of light and dark along the flow."""
    glow = np.max([whirl.glow * bump(whirl, 0.5) for whirl in WHIRLS], axis=0)
    bands = 0.15 * np.sin(stream / 5.5)
    return 0.22 + 0.75 * glow + bands + 0.07 * smooth_noise(rng, 22)


def bump(whirl: Whirl, spread: float) -> Floats:
    """Gaussian [height, width] of height 1 on the whirl, its deviation `spread` radii."""
    x, y = grid()
    return np.exp(-((x - whirl.x) ** 2 + (y - whirl.y) ** 2) / (2 * (spread * whirl.radius) ** 2))


def paint_layer(
    draw: ImageDraw.ImageDraw, layer: Layer, stream: Floats, warmth: Floats, rng: np.random.Generator
) -> None:
    """Cover the canvas with the strokes of one brush, in random order so that they overlap in every direction."""
    paths = trace(start_points(layer.spacing, rng), stream, layer.length)
    rng.shuffle(paths)
    for path in paths:
        colour = mix(NIGHT_TO_SUN, warmth[pixels_at(path[len(path) // 2])] + 0.05 * rng.standard_normal())
        if rng.random() < layer.accent:  # wet on wet: a foreign colour takes up some of what is there
            colour = colour + rng.uniform(0.6, 1.0) * (rng.choice(ACCENTS) - colour)
        paint_stroke(draw, path, layer.width * rng.uniform(0.7, 1.2), colour, rng)


def start_points(spacing: float, rng: np.random.Generator) -> Floats:
    """Points [n, 2] as x, y of a jittered grid, which cover the canvas evenly without showing the grid."""
    points = np.mgrid[0 : WIDTH + spacing : spacing, 0 : HEIGHT + spacing : spacing].reshape(2, -1).T
    return points + rng.uniform(-0.7, 0.7, points.shape) * spacing


def trace(points: Floats, stream: Floats, length: float, step: float = 4.0) -> Floats:
    """Paths [n, steps, 2] along the flow, which is the gradient of the stream function turned by 90 degrees."""
    slope_x, slope_y = slopes(stream)
    path = [points]
    for _ in range(int(length / step)):
        at = pixels_at(path[-1])
        flow = np.stack([slope_y[at], -slope_x[at]], axis=-1)
        path.append(path[-1] + step * flow / (np.linalg.norm(flow, axis=-1, keepdims=True) + 1e-9))
    return np.stack(path, axis=1)


def slopes(surface: Floats) -> tuple[Floats, Floats]:
    """Derivatives along x and y, each [height, width], of a surface."""
    return np.gradient(surface, axis=1), np.gradient(surface, axis=0)


def pixels_at(points: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of the pixels nearest to points [..., 2], which may lie outside the canvas."""
    nearest = np.rint(points).astype(np.int64)
    return np.clip(nearest[..., 1], 0, HEIGHT - 1), np.clip(nearest[..., 0], 0, WIDTH - 1)


def paint_stroke(
    draw: ImageDraw.ImageDraw, path: Floats, width: float, colour: Floats, rng: np.random.Generator
) -> None:
    """Draw a stroke bristle by bristle; alpha, which Pillow stores without blending, is the height of the paint."""
    offsets = np.linspace(-1, 1, max(3, round(width * OVERSAMPLE / 2)))  # positions of the bristles across the brush
    along = np.gradient(path, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=-1) / (np.linalg.norm(along, axis=-1, keepdims=True) + 1e-9)
    lines = (path + offsets[:, None, None] * across * width / 2) * OVERSAMPLE
    paints = to_pixels(np.column_stack([bristle_colours(offsets, colour, rng), bristle_heights(offsets, rng)]))
    ends = ragged_ends(offsets, len(path), rng)
    for line, paint, (first, last) in zip(lines, paints.tolist(), ends.tolist(), strict=True):
        draw.line(line[first:last].ravel().tolist(), fill=tuple(paint), width=3)


def bristle_colours(offsets: Floats, colour: Floats, rng: np.random.Generator) -> Floats:
    """Colours [bristles, 3]: no brush is loaded evenly, so one side leans towards a second colour."""
    second = colour + rng.normal(0, 0.10) + rng.normal(0, 0.04, 3)
    load = np.clip(0.5 + 0.5 * offsets * rng.choice([-1, 1]) + rng.normal(0, 0.25, len(offsets)), 0, 1)
    shade = 1 + rng.normal(0, 0.06, len(offsets))
    return (colour + load[:, None] * (second - colour)) * shade[:, None]


def bristle_heights(offsets: Floats, rng: np.random.Generator) -> Floats:
    """Heights [bristles] of the paint in 0..1: domed, with ridges squeezed out at both edges."""
    dome = rng.uniform(0.35, 0.75) * np.sqrt(1.05 - offsets**2)
    return dome + 0.2 * np.abs(offsets) + rng.normal(0, 0.07, len(offsets))


def ragged_ends(offsets: Floats, steps: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """First and last step [bristles, 2]: a stroke is rounded at its ends, and bristles lift one by one."""
    rounding = 0.16 * (1 - np.sqrt(1 - 0.95 * offsets**2))
    first = rounding + rng.uniform(0, 0.06, len(offsets))
    last = 1 - rounding - rng.exponential(0.07, len(offsets))
    return (np.column_stack([first, np.maximum(last, first + 0.2)]) * steps).astype(np.int64)


def raking_light(canvas: Image.Image) -> Floats:
    """Colours [height, width, 3] of the canvas, its alpha read as relief and lit from the upper left."""
    *colour, relief = (np.asarray(band.reduce(OVERSAMPLE), np.float64) / 255 for band in canvas.split())
    slope_x, slope_y = slopes(gaussian_filter(relief, 0.6))
    facing = -(slope_x + slope_y) / np.sqrt(2)
    diffuse = 1 + 1.5 * facing
    gloss = 0.9 * np.clip(facing - 0.10, 0, None)
    return np.stack(colour, axis=-1) * diffuse[..., None] + gloss[..., None]
