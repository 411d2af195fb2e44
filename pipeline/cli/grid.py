"""`stylebeam grid`: expands contents x styles x parameters into a manifest."""

import argparse

from pipeline.cli.command import Commands, ExitStatus
from pipeline.options import add_settings_option, parse_settings


def declare(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser("grid", help="expand contents x styles x parameters into a manifest")
    parser.add_argument("spec", metavar="SPEC.yaml", help="what to expand, see docs/grid.md")
    parser.add_argument("--output", required=True, metavar="MANIFEST.parquet", help="the manifest to write")
    add_settings_option(
        parser, "a field of the configuration for every row, which wins over SPEC; the value as JSON or text"
    )
    parser.set_defaults(parser=parser, handler=_write_manifest)


def _write_manifest(known: argparse.Namespace) -> int:
    from pipeline.grid import write_grid

    rows = write_grid(known.spec, known.output, parse_settings(known.settings))
    print(f"{rows} rows in {known.output}")
    return ExitStatus.DONE
