"""Files of PoseTrack in either form, told apart by what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from posetrack_app.formats import annolist, posetrack2018
from posetrack_app.formats.labelled import LabelledFrame, decode, load

__all__ = ["Form", "LabelledFile", "read_labelled"]

Form = Literal["2017", "2018"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFile:
    """What a file holds."""

    path: Path
    """Where it was read."""

    form: Form
    """Which of the two forms it has."""

    frames: list[LabelledFrame]
    """Its frames, in its order."""


class _Probe(msgspec.Struct, frozen=True):
    annolist: msgspec.Raw = msgspec.Raw()


def read_labelled(path: Path) -> LabelledFile:
    """The frames of a file of either form.

    Raises:
        InputError: no such file, no JSON, or of neither form; names the annotation and the field.
    """
    data = load(path)
    old = decode(data, _Probe, path=path, form="PoseTrack JSON").annolist
    if bytes(old):
        return LabelledFile(path, "2017", annolist.parse(old, path=path))
    return LabelledFile(path, "2018", posetrack2018.parse(data, path=path))
