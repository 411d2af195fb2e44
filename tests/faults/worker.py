"""`python -m tests.faults.worker run ...`: the command line, with each batch's progress on standard error."""

import sys

from pipeline.cli.main import main
from stylecore.run import loop
from transforms.stylize import progress


class Teller:
    """Prints every report of a batch."""

    def planned(self, runs):
        pass

    def optimizing(self, iteration, losses):
        print(f"iteration {iteration}", file=sys.stderr, flush=True)

    def finished(self, runs):
        pass


if __name__ == "__main__":
    # With a report, and so a checkpoint, only every two seconds, a small picture would make just one.
    loop._SECS_PER_CALL = 0.1
    with progress.listening(Teller()):
        sys.exit(main([*sys.argv[1:], "--debug"]))
