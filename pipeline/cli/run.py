"""`stylebeam run`: makes the pictures of a manifest."""

import argparse

from pipeline.cli.command import Commands, ExitStatus
from pipeline.cli.quiet import import_tensorflow
from pipeline.cli.signals import stop_well
from pipeline.options import add_run_options


def declare(commands: Commands) -> None:
    """Adds the command's parser; the options that it does not know may be Beam's, see `pipeline.beam_options`."""
    parser = commands.add_parser(
        "run",
        help="make the pictures of a manifest",
        allow_abbrev=False,
        epilog="Every Apache Beam option is understood too, such as --runner=DataflowRunner or "
        "--direct_running_mode=multi_processing --direct_num_workers=2.",
    )
    add_run_options(parser)
    parser.set_defaults(parser=parser, handler=_run_job)


def _run_job(known: argparse.Namespace) -> int:
    import_tensorflow()
    from pipeline.beam_options import outlives_this_process, parse_options
    from pipeline.run import run

    with stop_well(is_elsewhere=outlives_this_process(parse_options(known.arguments))):
        summary = run(known.arguments)
    if summary is None:
        print("submitted")
        return ExitStatus.DONE
    failed = sum(summary.failed.values())
    print(f"{summary.done} of {summary.done + failed} rows done, {summary.computed} runs computed by this job")
    for error_type, count in sorted(summary.failed.items()):
        print(f"{count} rows failed with {error_type}; see failures/ and metrics/ for the reasons")
    if summary.gallery is not None:
        print(f"gallery: {summary.gallery}")
    return ExitStatus.ROWS_FAILED if failed else ExitStatus.DONE
