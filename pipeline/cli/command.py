"""What the commands share: how they end, what they are added to, and how they word numbers and mistakes.

Each command is a file: `declare` adds its parser and is light, its handler imports what is heavy.
"""

import argparse
import enum
from typing import TypeAlias

from stylecore.errors import nearest

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


class ExitStatus(enum.IntEnum):
    """How a command ends; see docs/command_line.md."""

    DONE = 0
    FAILURE = 1
    USAGE = 2
    ROWS_FAILED = 3
    INTERRUPTED = 130
    TERMINATED = 143


_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def duration(secs: float) -> str:
    """Returns a length of time in its two largest units: `3 h 20 min`, `45 s`."""
    left = max(0, round(secs))
    parts: list[str] = []
    for name, size in _UNITS:
        count, left = divmod(left, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def unknown_option(argument: str, parser: argparse.ArgumentParser) -> str:
    """Returns the message on an option that does not exist, with the nearest one that `parser` knows."""
    close = nearest(argument.partition("=")[0], parser._option_string_actions)
    return f"unknown option {argument}" + (f", did you mean {close}?" if close else "")


def rate(per_min: float, thing: str) -> str:
    """Returns a rate: per minute, or per hour where it is less than one a minute."""
    return f"{per_min:.1f} {thing} a minute" if per_min >= 1 else f"{per_min * 60:.1f} {thing} an hour"


def size(size_bytes: int) -> str:
    """Returns an amount of data: `512 bytes`, `12.3 MB`; units are powers of 1,000."""
    for name, unit in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        # Rounded as it is printed, so that 999,999 bytes are 1.0 MB and not 1000.0 kB.
        if round(size_bytes / unit, 4) >= 1:
            return f"{size_bytes / unit:.1f} {name}"
    return plural(size_bytes, "byte")


def plural(count: int, thing: str) -> str:
    """Returns `1 row`, `2 rows`, `2 batches`."""
    ending = "es" if thing.endswith("ch") else "s"
    return f"{count} {thing}{'' if count == 1 else ending}"
