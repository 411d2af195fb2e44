"""What the commands share: how they end, and what they are added to.

Each command is a file: `declare` adds its parser and is light, its handler imports what is heavy.
"""

import argparse
import enum
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class ExitStatus(enum.IntEnum):
    """How a command ends; see docs/command_line.md."""

    DONE = 0
    FAILURE = 1
    USAGE = 2
    ROWS_FAILED = 3
    INTERRUPTED = 130
    TERMINATED = 143
