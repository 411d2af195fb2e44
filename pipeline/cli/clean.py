"""`stylebeam clean`: removes what a job that is not running has left behind."""

import argparse

from pipeline.cli.command import Commands, ExitStatus


def declare(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser(
        "clean",
        help="remove what a job that is not running has left behind",
        description="Removes checkpoints (a run that is taken up again then begins anew), pictures of unfinished runs, "
        "temporary files of writes that were cut off, and of a finished job the weights that no run names. Never "
        "removes pictures, thumbnails, markers, failures, metrics, dataset, gallery or job.json.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", metavar="DIR", help="an output directory, local or gs://")
    parser.add_argument("--dry_run", action="store_true", help="only list what would be removed")
    parser.add_argument("--force", action="store_true", help="even if the job seems to be running")
    parser.set_defaults(parser=parser, handler=_remove_leftovers)


def _remove_leftovers(known: argparse.Namespace) -> int:
    from pipeline.clean import clean, report

    print("\n".join(report(clean(known.directory, known.force, known.dry_run), known.dry_run)))
    return ExitStatus.DONE
