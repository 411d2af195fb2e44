"""How many bytes a job adds to its output directory, by estimate."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from pipeline.plan.counts import Group
from stylecore.images.codec import THUMBNAIL_SIDE_PX
from stylecore.images.resize import scaled_size
from stylecore.run.result import frame_iterations

# What PNG and WebP took for the pictures of experiments/controls.yaml; smooth ones take less.
PNG_BYTES_PER_PIXEL = 2.7
WEBP_BYTES_PER_PIXEL = 0.5


class OutputSizes(NamedTuple):
    """Bytes of the files that are large; markers, metrics, gallery and dataset come on top."""

    pictures: int
    thumbnails: int
    frames: int


def output_sizes(to_compute: Mapping[Group, int], frames: int) -> OutputSizes:
    """Estimates the bytes of the pictures that are still to compute.

    Args:
      to_compute: the number of runs in each group.
      frames: the number of thumbnails on the way that are kept of each run.
    """
    pictures = thumbnails = on_the_way = 0.0
    for group, runs in to_compute.items():
        height, width = group.bucket.height, group.bucket.width
        iterations = sum(count for _, _, count in group.stages)
        small = scaled_size(height, width, min(THUMBNAIL_SIDE_PX, max(height, width)))
        of_thumbnails = runs * WEBP_BYTES_PER_PIXEL * math.prod(small)
        pictures += runs * PNG_BYTES_PER_PIXEL * height * width
        thumbnails += of_thumbnails
        on_the_way += of_thumbnails * len(frame_iterations(iterations, frames))
    return OutputSizes(round(pictures), round(thumbnails), round(on_the_way))
