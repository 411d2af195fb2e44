"""`stylebeam report`: one page about a finished grid."""

import argparse

from pipeline.cli.command import Commands, ExitStatus


def declare(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser("report", help="write one page about a finished grid, to print or to send")
    parser.add_argument("directory", metavar="DIR", help="output directory of the grid, local or gs://")
    parser.add_argument("--output", metavar="FILE.html", help="the page to write (default: DIR/report.html)")
    parser.add_argument("--title", metavar="T", help="the page's heading (default: the job's title)")
    parser.set_defaults(parser=parser, handler=_report)


def _report(known: argparse.Namespace) -> int:
    from pipeline.report.report import write_report

    print(f"report: {write_report(known.directory, known.output, known.title)}")
    return ExitStatus.DONE
