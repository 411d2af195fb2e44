"""Errors of use, and how messages are worded: on one line, with the nearest name that exists."""

import difflib
from collections.abc import Iterable


class UsageError(Exception):
    """A mistake that the user can correct, found before any work: the command ends with status 2."""


class InputError(UsageError, ValueError):
    """An image, a mask or a style that cannot be used as it is; the message names it."""


def one_line(text: object, limit: int | None = None) -> str:
    """Returns the text of a value or an error on one line.

    Args:
      text: an exception or any other value; its `str` is taken.
      limit: the largest number of characters to return; default: all.
    """
    return " ".join(str(text).split())[:limit]


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Returns the known name that is most similar to `name`.

    Args:
      name: what was written.
      known: the names that exist.
      cutoff: the similarity below which nothing is returned, 0 (anything will do) to 1 (the same name).
    """
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def hint(name: str, known: Iterable[str], what: str) -> str:
    """Returns how a message on an unknown name goes on: `, did you mean 'seed'?`, or `; the fields are ...`.

    Args:
      name: what was written.
      known: the names that exist.
      what: what they are, in the plural, such as "fields".
    """
    names = list(known)
    found = nearest(name, names)
    return f", did you mean {found!r}?" if found else f"; the {what} are {', '.join(names)}"
