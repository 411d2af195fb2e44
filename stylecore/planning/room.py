"""Room: which pictures are computed whole, which in tiles, and in which, by the device's memory. No TensorFlow."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from stylecore.errors import UsageError
from stylecore.planning.buckets import StepKind
from stylecore.planning.costs import TWO_CORES, evaluation_cost, targets_bytes_held
from stylecore.planning.tiles import Tiles, cuts, smallest_side_px, usual_cut

# Larger tiles gain little, smaller ones cost more in halos than in layers. 0 is one tile, see Tiles.
_SIDES_PX = (0, 1024, 768, 512, 384, 256, 192, 128)


_MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class TilesError(UsageError, ValueError):
    """A side of tiles that is too small."""


@dataclasses.dataclass(frozen=True)
class Room:
    """What decides whether pictures are computed in tiles.

    Attributes:
      memory_bytes: the device's memory; None if it is unknown, and then no picture needs tiles.
      tile_px: pictures that are larger than this on a side are computed in tiles of at most this side, without the
        halo; None leaves it to the memory.

    Raises:
      TilesError: `tile_px` is smaller than the receptive field of the layers that are computed in tiles.
    """

    memory_bytes: int | None = None
    tile_px: int | None = None

    def __post_init__(self) -> None:
        if self.tile_px is not None and self.tile_px < smallest_side_px():
            raise TilesError(
                f"tile_px must be >= {smallest_side_px()}, the receptive field of the layers that are computed in "
                f"tiles, got {self.tile_px}"
            )


UNLIMITED = Room()


def machine_memory_bytes() -> int:
    """Returns the memory of this machine, or of its container if that has less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # Not there, or "max".
            limits.append(int(Path(path).read_text()))
    return min(limits)


def tiles_of(kind: StepKind, height: int, width: int, history_size: int, room: Room, regions: int = 2) -> Tiles | None:
    """Returns how one picture is computed: whole if it fits, else as quickly as fits, else with the least memory.

    Args:
      kind: the step.
      height, width: of the picture, in pixels.
      history_size: the number of L-BFGS' curvature pairs.
      room: the device's memory, and the tiles that were asked for.
      regions: the number of regions; without effect where the step has none.

    Returns:
      None where the picture is computed whole.
    """
    pairs = history_size if kind.optimizer == "lbfgs" else 0
    return _tiles_of(kind, height, width, pairs, room, regions if kind.regions else 0)


@functools.lru_cache(maxsize=4096)
def _tiles_of(kind: StepKind, height: int, width: int, pairs: int, room: Room, regions: int) -> Tiles | None:
    def held(tiles: Tiles | None) -> int:
        return evaluation_cost(kind, height, width, pairs, regions, tiles).bytes_held

    def secs(tiles: Tiles) -> float:
        return _secs(kind, height, width, tiles)

    return _chosen(kind, height, width, room, held, secs)


@functools.lru_cache(maxsize=4096)
def target_tiles_of(kind: StepKind, height: int, width: int, room: Room, masked: bool = False) -> Tiles | None:
    """Returns how the targets of one image of height x width pixels are taken; None: from the whole image."""

    def held(tiles: Tiles | None) -> int:
        return targets_bytes_held(kind, height, width, masked, tiles)

    def secs(tiles: Tiles) -> float:
        return _secs(kind, height, width, tiles)

    return _chosen(kind, height, width, room, held, secs)


def does_not_fit(
    kind: StepKind, height: int, width: int, history_size: int, room: Room, regions: int = 2
) -> str | None:
    """Returns what is wrong with a picture that needs, by estimate, more than the device's memory even in tiles.

    The reason names what would fit: a shorter history of L-BFGS, or Adam. Neither is chosen for the user.

    Args:
      kind: the step.
      height, width: of the picture, in pixels.
      history_size: the number of L-BFGS' curvature pairs.
      room: the device's memory.
      regions: the number of regions; without effect where the step has none.

    Returns:
      One line; None for a picture that fits.
    """
    needed = _bytes_held(kind, height, width, history_size, room, regions)
    if room.memory_bytes is None or needed <= room.memory_bytes:
        return None
    reason = (
        f"image_size must be smaller: {width}x{height} pixels need about {needed / 2**30:.1f} GiB, and the device has "
        f"{room.memory_bytes / 2**30:.1f}"
    )
    if (refusal := needs_whole(kind)) is not None:
        reason += f"; {refusal}"
    if (others := _fitting_optimizers(kind, height, width, history_size, room, regions)) is not None:
        reason += f"; {others} would fit"
    return reason


def style_does_not_fit(
    kind: StepKind, height: int, width: int, room: Room, masked: bool, own_scale: bool
) -> str | None:
    """Returns what is wrong with a style whose targets need, by estimate, more than the device's memory, even in tiles.

    Args:
      kind: the step.
      height, width: at which the style's targets are taken, in pixels.
      room: the device's memory.
      masked: whether it has a style mask.
      own_scale: whether its size is its own `scale`'s.

    Returns:
      One line; None for a style that fits.
    """
    tiles = target_tiles_of(kind, height, width, room, masked)
    needed = targets_bytes_held(kind, height, width, masked, tiles)
    if room.memory_bytes is None or needed <= room.memory_bytes:
        return None
    field = "style scale" if own_scale else "style_scale"
    return (
        f"{field} must be smaller: {width}x{height} pixels need about {needed / 2**30:.1f} GiB, and the device has "
        f"{room.memory_bytes / 2**30:.1f}"
    )


def _fitting_optimizers(
    kind: StepKind, height: int, width: int, history_size: int, room: Room, regions: int
) -> str | None:
    def fits(kind: StepKind, pairs: int) -> bool:
        return _bytes_held(kind, height, width, pairs, room, regions) <= (room.memory_bytes or 0)

    if kind.optimizer != "lbfgs" or not fits(dataclasses.replace(kind, optimizer="adam"), 0):
        return None
    shorter = next((pairs for pairs in range(history_size - 1, 0, -1) if fits(kind, pairs)), None)
    return "optimizer: adam" if shorter is None else f"history_size {shorter} or optimizer: adam"


def _bytes_held(kind: StepKind, height: int, width: int, history_size: int, room: Room, regions: int) -> int:
    tiles = tiles_of(kind, height, width, history_size, room, regions)
    return evaluation_cost(kind, height, width, history_size, regions, tiles).bytes_held


def time_factor(kind: StepKind, height: int, width: int, tiles: Tiles | None) -> float:
    """Returns the estimated time of an evaluation over that of the same picture computed whole, on two cores."""
    return _secs(kind, height, width, tiles) / _secs(kind, height, width, None)


def _secs(kind: StepKind, height: int, width: int, tiles: Tiles | None) -> float:
    return TWO_CORES.evaluation_secs(evaluation_cost(kind, height, width, tiles=tiles), "float32")


def needs_whole(kind: StepKind) -> str | None:
    """Returns why the pictures of a step cannot be divided into tiles, None if they can."""
    if kind.normalize_gradients:
        return "normalize_gradients divides by norms over all positions, so that tiles cannot be added up"
    if kind.style_loss == "sliced":
        return "style_loss: sliced sorts all positions of a layer, so that tiles cannot be added up"
    if kind.feature_map == "softmax":
        return "feature_map: softmax divides by a sum over all positions, so that tiles cannot be added up"
    return None


def _chosen(
    kind: StepKind,
    height: int,
    width: int,
    room: Room,
    held: Callable[[Tiles | None], int],
    secs: Callable[[Tiles], float],
) -> Tiles | None:
    asked = room.tile_px is not None and max(height, width) > room.tile_px and needs_whole(kind) is None
    if not asked and (room.memory_bytes is None or held(None) <= room.memory_bytes):
        return None
    candidates = list(_candidates(kind, height, width, room.tile_px if asked else None))
    fitting = [tiles for tiles in candidates if room.memory_bytes is None or held(tiles) <= room.memory_bytes]
    return min(fitting, key=secs) if fitting else min(candidates, key=held)


def _candidates(kind: StepKind, height: int, width: int, tile_px: int | None) -> Iterator[Tiles]:
    shallowest = 0
    if tile_px is not None:
        shallowest = cuts(kind).index(usual_cut(kind))
    for cut in cuts(kind)[shallowest:]:
        for side_px in (tile_px,) if tile_px else _SIDES_PX:
            is_part = cut.field_px <= side_px < max(height, width) and needs_whole(kind) is None
            if is_part or side_px == 0:
                yield Tiles(cut.last, side_px)
