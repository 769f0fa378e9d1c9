"""The errors that a user can cause. Each message is one line: what, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

__all__ = [
    "DeviceError",
    "InputError",
    "OutputError",
    "UsageError",
    "UserError",
    "WeightsError",
    "nearest",
    "some_of",
]


class UserError(Exception):
    """Base of everything that is shown as one line, without a traceback."""

    exit_code = 1
    """What the process ends with: 1 for a failure, 2 for a wrong call."""


class UsageError(UserError):
    """The command line or the configuration asks for something that does not exist."""

    exit_code = 2


class DeviceError(UsageError):
    """The device or precision that was asked for is not to be had here."""


class InputError(UserError):
    """An input is missing, unreadable, or holds nothing to work on."""


class OutputError(UserError):
    """A result could not be written."""


class WeightsError(UserError):
    """Weights are missing, are no weights, or belong to another network."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint with the known name most like `name`, or the list of all of them.

    >>> nearest("traker", ["tracker", "render"])
    "did you mean 'tracker'?"
    >>> nearest("zzz", ["tracker", "render"])
    'known are: render, tracker'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are: {', '.join(names)}"


def some_of(names: Sequence[str], most: int = 3) -> str:
    """The first few names, and how many more there are.

    >>> some_of(["a", "b", "c", "d"], most=2), some_of(["a", "b"])
    ('a, b and 2 more', 'a, b')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
