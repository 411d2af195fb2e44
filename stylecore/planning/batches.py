"""How many pictures a device computes together: as many as fill it and fit into its memory. Light: no TensorFlow."""

import dataclasses

from stylecore.planning.buckets import StepKind
from stylecore.planning.costs import evaluation_cost
from stylecore.planning.room import Room, tiles_of

# The share of the device's memory for a batch; the rest is left to the weights, cached targets and the process itself.
MEMORY_SHARE = 0.6


@dataclasses.dataclass(frozen=True)
class FullBatch:
    """The batch beyond which a device gains nothing.

    Attributes:
      pixels: of all its pictures together.
      pictures: the largest number of pictures; None sets no limit.
    """

    pixels: int
    pictures: int | None = None


# Enough to keep two CPU cores busy; the fastest batches of benchmarks/results/bench.json have 2^16 to 2^19 pixels.
CPU_BATCH = FullBatch(pixels=2**17, pictures=64)
# 64 pictures of 256x256. Assumed, not measured. VGG's deepest layers have 512 channels at a 256th of the pixels: that
# is 512 blocks of 128x128 results, about four for each of the 132 processors of an H100, the largest GPU that is known
# here. The layers before have more. Smaller GPUs are full earlier and lose nothing by it.
GPU_BATCH = FullBatch(pixels=2**22)


@dataclasses.dataclass(frozen=True)
class ComputingDevice:
    """What of a device decides about its batches.

    Attributes:
      name: the name that its driver gives it; "CPU" for a CPU.
      is_gpu: whether it is a GPU.
      memory_bytes: its memory; None if it is unknown.
    """

    name: str
    is_gpu: bool
    memory_bytes: int | None

    @property
    def full_batch(self) -> FullBatch:
        """The batch beyond which it gains nothing."""
        return full_batch(self.is_gpu)


def full_batch(is_gpu: bool) -> FullBatch:
    """Returns the batch beyond which a GPU, or a CPU, gains nothing."""
    return GPU_BATCH if is_gpu else CPU_BATCH


def default_batch_size(height: int, width: int, full: FullBatch = CPU_BATCH) -> int:
    """Returns how many pictures of height x width pixels fill a device, whatever its memory; at least one."""
    size = full.pixels // (height * width)
    return max(1, size if full.pictures is None else min(full.pictures, size))


def batch_size_on(
    full: FullBatch,
    room: Room,
    kind: StepKind,
    height: int,
    width: int,
    history_size: int,
    regions: int = 2,
    wanted: int | None = None,
) -> int:
    """Returns how many pictures are computed together: one that needs tiles alone, others as many as fill the device.

    Args:
      full: the batch beyond which the device gains nothing.
      room: its memory, of which a batch takes up to MEMORY_SHARE by estimate, and the tiles that were asked for.
      kind: the step.
      height, width: of the pictures, in pixels.
      history_size: the number of L-BFGS' curvature pairs; without effect under Adam.
      regions: the number of regions; without effect where the step has none.
      wanted: pictures in a batch that fits; None: as many as fill the device.
    """
    if tiles_of(kind, height, width, history_size, room, regions):
        return 1  # Its tiles fill the device.
    size = wanted or default_batch_size(height, width, full)
    if room.memory_bytes is not None:
        held = evaluation_cost(kind, height, width, history_size, regions).bytes_held
        size = min(size, int(room.memory_bytes * MEMORY_SHARE / held))
    return max(1, size)
