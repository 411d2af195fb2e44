"""`stylebeam pick`: the chosen runs of a finished grid become a manifest."""

import argparse

from pipeline.cli.command import Commands, ExitStatus
from pipeline.options import OptionError, add_settings_option, parse_settings, positive


def declare(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser("pick", help="make a manifest of the chosen runs of a finished grid")
    parser.add_argument("directory", metavar="DIR", help="output directory of the grid, local or gs://")
    parser.add_argument("--output", required=True, metavar="MANIFEST.parquet", help="the manifest to write")
    parser.add_argument(
        "--choices",
        metavar="FILE.json",
        help="pick among the runs chosen in the gallery (default: DIR/choices.json, unless --best or --front is given)",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--best", metavar="COLUMN[:min or :max]", help="the best by a number of the metrics; min: the least"
    )
    how.add_argument(
        "--front", metavar="X,Y", help="the Pareto front of two numbers of the metrics, each as for --best"
    )
    parser.add_argument("--per", metavar="content,style", help="compare within each content, each style or each pair")
    parser.add_argument(
        "--top", type=positive, metavar="N", help="at most N of each group (default: one by --best, else all)"
    )
    add_settings_option(
        parser, "a field of the configuration for every picked run, such as image_size=1024; the value as JSON or text"
    )
    parser.set_defaults(parser=parser, handler=_pick)


def _pick(known: argparse.Namespace) -> int:
    from pipeline.pick import GROUPINGS, Criterion, Selection, write_picked

    front = [Criterion.parse(part) for part in known.front.split(",")] if known.front else None
    if front is not None and len(front) != 2:
        raise OptionError(f"--front must be two columns, X,Y, got {known.front!r}")
    per = tuple(known.per.split(",")) if known.per else ()
    if set(per) - set(GROUPINGS):
        raise OptionError(f"--per must be content, style or content,style, got {known.per!r}")
    selection = Selection(
        best=Criterion.parse(known.best) if known.best else None,
        front=(front[0], front[1]) if front else None,
        per=per,
        top=known.top,
    )
    rows = write_picked(known.directory, known.output, selection, known.choices, parse_settings(known.settings))
    print(f"{rows} rows in {known.output}")
    return ExitStatus.DONE
