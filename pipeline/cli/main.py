"""The command line: parses, calls a command, and turns every expected error into one line and an exit status."""

import argparse
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from pipeline.cli import clean, gallery, grid, pick, plan, report, run, status, stylize, weights
from pipeline.cli.command import ExitStatus, unknown_option
from pipeline.options import check_paths
from stylecore.errors import UsageError

COMMANDS = (grid, plan, run, status, stylize, weights, gallery, pick, report, clean)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status (see docs/command_line.md)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    _set_log_levels(debug)
    signal.signal(signal.SIGTERM, lambda *_: _stop(ExitStatus.TERMINATED))
    try:
        return _command([argument for argument in arguments if argument != "--debug"])
    except KeyboardInterrupt:
        _stop(ExitStatus.INTERRUPTED)
    except Exception as error:
        if debug:
            traceback.print_exc()
        _say(f"stylebeam: {_last_line(error)}")
        return ExitStatus.USAGE if isinstance(error, UsageError) else ExitStatus.FAILURE


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="stylebeam", description="Neural style transfer over grids of images x styles x parameters."
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks and what libraries log")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.declare(commands)
    return parser


def _set_log_levels(debug: bool) -> None:
    logging.basicConfig(format="%(message)s", level=logging.INFO if debug else logging.WARNING)
    # What third parties log at WARNING is noise to a user: wheels not found, metrics not labelled.
    logging.getLogger("apache_beam").setLevel(logging.INFO if debug else logging.ERROR)
    # Beam logs tracebacks of our steps' errors, which reach us as exceptions as well.
    for name in ("common", "worker.sdk_worker"):
        logging.getLogger(f"apache_beam.runners.{name}").setLevel(logging.INFO if debug else logging.CRITICAL)
    for handler in logging.getLogger().handlers if not debug else ():
        handler.addFilter(_is_not_of_a_job_service)
    logging.getLogger("stylecore.networks.weights.sources").setLevel(logging.INFO)
    logging.getLogger("transforms.output.published_weights").setLevel(logging.INFO)
    logging.getLogger("transforms.measuring").setLevel(logging.INFO)


def _is_not_of_a_job_service(record: logging.LogRecord) -> bool:
    """Leaves out what `PortableRunner` logs for its service: the traceback that it raises as well."""
    return record.module != "portable_runner"


def _command(arguments: list[str]) -> int:
    # `run` takes every Beam option too: it parses the arguments once more, with Beam's parsers.
    known, others = build_parser().parse_known_args(arguments, argparse.Namespace(arguments=arguments[1:]))
    if others and known.command != "run":
        known.parser.error(unknown_option(others[0], known.parser))
    check_paths(known)
    handler: Callable[[argparse.Namespace], int] = known.handler
    return handler(known)


def _last_line(error: Exception) -> str:
    """Returns the last line of an error's text: an error in a step arrives from Beam with its traceback before it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _stop(status: ExitStatus) -> NoReturn:
    _say("stopped")
    sys.stdout.flush()
    os._exit(status)
