"""`stylebeam gallery`: rebuilds gallery/ and dataset/ of an output directory."""

import argparse

from pipeline.cli.command import Commands, ExitStatus, plural
from pipeline.cli.quiet import import_tensorflow
from pipeline.options import add_dataset_option, add_title_option
from stylecore.config.style_config import WEIGHTS_DIR_VARIABLE


def declare(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser("gallery", help="rebuild gallery/ and dataset/ of an output directory")
    parser.add_argument("directory", metavar="DIR", help="an output directory, local or gs://")
    add_dataset_option(parser)
    add_title_option(parser)
    parser.add_argument(
        "--measures",
        choices=("none", "all"),
        default="none",
        help="all: measure the pictures that have no measures, or not all, from the input images (default: none)",
    )
    parser.add_argument(
        "--weights_dir",
        metavar="DIR",
        help="with --measures all: directory or gs:// prefix to look for the network that measures in first "
        f"(default: ${WEIGHTS_DIR_VARIABLE})",
    )
    parser.set_defaults(parser=parser, handler=_rebuild)


def _rebuild(known: argparse.Namespace) -> int:
    import_tensorflow()
    from transforms.output.paths import Output
    from transforms.rebuild import rebuild

    measure = known.measures == "all"
    rebuilt = rebuild(Output(known.directory), known.dataset, known.title, measure, known.weights_dir)
    if rebuilt.measured is not None:
        print(f"{plural(rebuilt.measured.runs, 'run')} measured")
    print(f"gallery: {rebuilt.page}")
    return ExitStatus.ROWS_FAILED if rebuilt.measured and rebuilt.measured.left_out else ExitStatus.DONE
