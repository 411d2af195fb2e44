"""Where the optimisation starts: noise, an image, or a mixture of both."""

import numpy as np

from stylecore.config.style_config import StyleConfig
from stylecore.images.recolour import grey
from stylecore.images.resize import ScalableImage, scaled_size


def initial_image(image: ScalableImage | None, height: int, width: int, config: StyleConfig) -> np.ndarray:
    """Returns the picture at which the optimisation starts.

    Args:
      image: what `init` names: the content, the first style, recoloured as `color` says, or the initial picture; None
        with `init: noise`.
      height, width: of the result, in pixels.
      config: `noise_blend` mixes noise from `seed` into the image, `color: content` takes the luminance.

    Returns:
      float32 [height, width, 3] in 0..255.
    """
    share = 1.0 if image is None else config.noise_blend
    start = np.zeros((height, width, 3), np.float32)
    if image is not None and share < 1:
        start = image.at(height, width)
    if share > 0:
        start = start + np.float32(share) * (white_noise(config.seed, height, width) - start)
    return grey(start) if config.color == "content" else start


def initial_refusal(config: StyleConfig, height: int, width: int, initial: tuple[int, int] | None) -> str | None:
    """Returns why a run cannot start from its initial picture, None if it can.

    Args:
      config: its parameters.
      height, width: of the result, in pixels.
      initial: (height, width) of the initial picture in pixels; None where there is none.
    """
    if initial is None:
        return None if config.init != "image" else "init must be noise, content or style without initial, got image"
    if config.init != "image":
        return f"init must be image with initial, got {config.init}"
    fitted = scaled_size(*initial, max(height, width))
    if config.color == "content" and max(abs(fitted[0] - height), abs(fitted[1] - width)) > 1:
        return (
            f"initial must have the content's shape with color content and init image, {width}x{height} pixels or as "
            f"much larger or smaller on both sides, got {initial[1]}x{initial[0]}"
        )
    return None


def white_noise(seed: int, height: int, width: int) -> np.ndarray:
    """Returns uniform noise in 0..255 from NumPy's PCG64(seed), float32 [height, width, 3]."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.uniform(0.0, 255.0, (height, width, 3)).astype(np.float32)
