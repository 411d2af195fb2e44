"""`stylebeam plan`: checks a manifest and says what a job would do."""

import argparse
import dataclasses
from typing import TYPE_CHECKING

from pipeline.cli.command import Commands, ExitStatus
from pipeline.options import add_tiles_option, add_weights_options, frame_count, positive, positive_number

if TYPE_CHECKING:
    from pipeline.plan.counts import Counts
    from stylecore.planning.costs import Device


def declare(commands: Commands) -> None:
    """Adds the command's parser."""
    parser = commands.add_parser("plan", help="check a manifest and say what a job would do", allow_abbrev=False)
    parser.add_argument(
        "--manifest", required=True, metavar="M", help="Parquet file, glob or directory, local or gs://"
    )
    parser.add_argument("--output", metavar="DIR", help="output directory to look for finished runs in")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N rows of the manifest")
    parser.add_argument("--batch_size", type=positive, metavar="N", help="as `run` would be given it")
    parser.add_argument(
        "--max_batch_secs", type=float, default=600.0, metavar="S", help="as `run` would be given it (default: 600)"
    )
    parser.add_argument("--device_memory_gb", type=positive_number, metavar="GB", help="as `run` would be given it")
    add_tiles_option(parser)
    parser.add_argument("--frames", type=frame_count, default=0, metavar="N", help="as `run` would be given it")
    parser.add_argument("--gpu", metavar="TYPE", help="estimate time and cost for this type alone, such as nvidia-l4")
    parser.add_argument("--prices", metavar="FILE", help="what workers cost, a file like pipeline/dataflow/prices.json")
    add_weights_options(parser)
    parser.set_defaults(parser=parser, handler=_report)


def _report(known: argparse.Namespace) -> int:
    from pipeline.plan.plan import PlanOptions, plan
    from pipeline.plan.report import report

    names = [field.name for field in dataclasses.fields(PlanOptions)]
    found = plan(PlanOptions(**{name: getattr(known, name) for name in names}))
    here = None if known.gpu else _measured_here(found.counts)
    print("\n".join(report(found, here)))
    return ExitStatus.ROWS_FAILED if found.bad.count else ExitStatus.DONE


def _measured_here(counts: "Counts") -> "Device | None":
    """Returns the speed of this machine in the precisions that runs need; None if there is nothing to compute."""
    precisions = {group.bucket.kind.precision for group in counts.to_compute}
    if not precisions:
        return None
    from stylecore.networks.precision import device_arithmetic
    from stylecore.run.speed import measure_device

    if device_arithmetic().refusal:
        precisions = {"float32"}
    return measure_device(precisions)
