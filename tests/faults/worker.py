"""`python -m tests.faults.worker run ...`: the command line, with each batch's progress on standard error."""

import sys

from pipeline.cli.main import main
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
    with progress.listening(Teller()):
        sys.exit(main([*sys.argv[1:], "--debug"]))
