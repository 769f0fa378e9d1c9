"""The errors that a user can cause. Each message is one line: what, where, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "DeviceError",
    "InputError",
    "OutputError",
    "UsageError",
    "UserError",
    "WeightsError",
    "nearest",
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
