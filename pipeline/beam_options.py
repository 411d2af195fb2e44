"""The options of a job as Beam holds them, and the check that Beam does not make: unknown options are errors."""

import argparse
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, StandardOptions, _BeamArgumentParser

from pipeline.cli.command import unknown_option
from pipeline.options import OptionError, add_run_options

_LOCAL_RUNNERS = ("", "direct", "switchingdirect", "bundlebaseddirect", "fnapi", "prism", "interactive")
_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")


class StyleBeamOptions(PipelineOptions):
    """What `stylebeam run` understands beside Beam's options."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        add_run_options(parser)


def parse_options(arguments: Sequence[str]) -> PipelineOptions:
    """Parses our options and Beam's.

    Raises:
      OptionError: an option that neither knows, with the nearest one that exists, or a value that it cannot have.
    """
    parser = _parser()
    try:
        _, unknown = parser.parse_known_args(list(arguments))
    except argparse.ArgumentError as error:
        raise OptionError(str(error)) from error
    if unknown:
        raise OptionError(unknown_option(unknown[0], parser))
    return PipelineOptions(list(arguments))


def runner_name(options: PipelineOptions) -> str:
    """Returns the runner in one spelling, such as "direct" or "dataflow"; empty if none was asked for."""
    runner = str(options.view_as(StandardOptions).runner or "")
    return runner.rpartition(".")[2].lower().removesuffix("runner")


def runs_here(options: PipelineOptions) -> bool:
    """Returns whether the job runs on this machine and ends with this process."""
    return runner_name(options) in _LOCAL_RUNNERS


def workers_are_here(options: PipelineOptions) -> bool:
    """Returns whether the workers have this machine's files.

    They do if the job runs here, if it has its workers in this process (LOOPBACK), and if it finds external workers at
    an address of this machine alone.
    """
    portable = options.view_as(PortableOptions)
    if runs_here(options) or portable.environment_type == "LOOPBACK":
        return True
    host = str(portable.environment_config).rpartition(":")[0]
    return portable.environment_type == "EXTERNAL" and host in _THIS_MACHINE


def outlives_this_process(options: PipelineOptions) -> bool:
    """Returns whether the job goes on where it runs when this process ends."""
    portable = options.view_as(PortableOptions)
    if runs_here(options) or portable.environment_type == "LOOPBACK":
        return False
    return runner_name(options) == "dataflow" or portable.job_endpoint not in (None, "embed")


def flags() -> set[str]:
    """Returns the options, ours and Beam's, that have no value."""
    return {name for action in _parser()._actions if action.nargs == 0 for name in action.option_strings}


def _parser() -> argparse.ArgumentParser:
    parser = _BeamArgumentParser(allow_abbrev=False, add_help=False)
    for options in {str(cls): cls for cls in PipelineOptions.__subclasses__()}.values():
        options._add_argparse_args(parser)
    parser.exit_on_error = False
    return parser
