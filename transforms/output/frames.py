"""Frames: thumbnails of a picture on the way, stored while its run computes."""

import logging

import numpy as np

from stylecore.images.codec import thumbnail
from stylecore.images.resize import resize
from transforms.output import storage
from transforms.output.job import check_present
from transforms.output.paths import WEBP, Output

logger = logging.getLogger(__name__)


def save_frame(output: Output, run_id: str, iteration: int, image: np.ndarray, height: int, width: int) -> int | None:
    """Stores or renews a frame; one that cannot be written is logged, and the work goes on.

    Args:
      output: the output directory.
      run_id: names the run.
      iteration: the number of steps made.
      image: uint8 [height, width, 3], at the size of its stage.
      height: the finished picture's height, from which the frame's size follows.
      width: the finished picture's width.

    Returns:
      The iteration; None if the frame could not be written.

    Raises:
      StorageError: the output directory has vanished.
    """
    check_present(output)
    picture = resize(image, height, width).astype(np.uint8)
    try:
        storage.write(output.frame(run_id, iteration), thumbnail(picture), WEBP)
    except storage.StorageError as error:
        logger.warning("no frame: %s", error)
        return None
    return iteration


def stored_frames(output: Output, run_id: str, before: int) -> list[int]:
    """Returns the iterations, below `before`, whose frames an earlier attempt at the run has stored."""
    if before == 0:
        return []
    names = storage.list_names(output.frames(run_id), ".webp")
    numbers = (int(stem) for name in names if (stem := name.removesuffix(".webp")).isdecimal() and len(stem) <= 18)
    return sorted(number for number in numbers if number < before)
