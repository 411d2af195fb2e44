"""`stylebeam status`: shows how far the job of an output directory is."""

import argparse

from pipeline.cli.command import Commands, ExitStatus


def declare(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser("status", help="show how far the job of an output directory is", allow_abbrev=False)
    parser.add_argument("directory", metavar="DIR", help="an output directory, local or gs://")
    parser.add_argument("--watch", action="store_true", help="show it again and again, until the job is finished")
    parser.set_defaults(parser=parser, handler=_show)


def _show(known: argparse.Namespace) -> int:
    from pipeline.status.reader import FINISHED, StatusReader
    from pipeline.status.report import report, watch

    reader = StatusReader(known.directory)
    status = watch(reader) if known.watch else reader.read()
    if not known.watch:
        print("\n".join(report(status)))
    return ExitStatus.ROWS_FAILED if status.state == FINISHED and status.failed else ExitStatus.DONE
