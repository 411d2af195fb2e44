"""The Flex Template's program: it submits `stylebeam run` with the template's parameters and does not wait.

The launcher's machine is paid for as long as this runs, and it may be taken away: it must not wait for the job.
"""

import sys
from collections.abc import Iterator, Sequence

from pipeline.cli.main import main


def run_arguments(parameters: Sequence[str]) -> Iterator[str]:
    """Translates a template's parameters, `--name=value` each, to the arguments of `stylebeam run`.

    Flags have no value on a command line, but every parameter has one: `--deterministic=true` becomes
    `--deterministic`, `--deterministic=false` is left out.
    """
    from pipeline.beam_options import flags

    known = flags()
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name not in known or value == "":
            yield parameter
        elif value.lower() == "true":
            yield name
        elif value.lower() != "false":
            raise SystemExit(f"{name} must be true or false, got {value}")
    if "--no_wait" not in parameters:
        yield "--no_wait"


if __name__ == "__main__":
    raise SystemExit(main(["run", *run_arguments(sys.argv[1:])]))
