"""The people of a frame as a file labels them, whichever its form, and what reading such files shares.

Letters: N persons, V vertices of a polygon.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from models.skeleton import POSETRACK15
from posetrack_app.errors import InputError
from posetrack_app.formats.annotations import JOINTS
from posetrack_app.formats.saving import saving
from posetrack_app.types import Poses

__all__ = ["NO_SCORE", "LabelledFrame", "decode", "load", "save"]

NO_SCORE = -9999.0
"""The score of a joint whose file gives none, where a number is needed: it comes last in every ranking."""

T = TypeVar("T")

_POSETRACK15 = [JOINTS.index(joint) for joint in POSETRACK15.joints]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFrame:
    """The people of one frame, from a file. N may be 0."""

    image_id: int
    """The file's id of the frame."""

    file_name: str
    """The file's name of the picture."""

    is_labelled: bool
    """Whether somebody looked for people here."""

    track_id: npt.NDArray[np.int64]
    """int64 (N,): identities, as the file has them."""

    xy: npt.NDArray[np.float64]
    """float64 (N, 17, 2): joints in the order of `JOINTS`, pixels; 0 where missing."""

    found: npt.NDArray[np.bool_]
    """bool (N, 17): the file has the joint."""

    visible: npt.NDArray[np.bool_]
    """bool (N, 17): the joint is there and nothing covers it, where the file tells; else `found`."""

    score: npt.NDArray[np.float64]
    """float64 (N, 17): scores of joints, as the file has them; NaN where it has none (ground truth)."""

    head_box: npt.NDArray[np.float64]
    """float64 (N, 4): x1, y1, x2, y2, pixels; NaN where the file has none (predictions)."""

    ignore_regions: tuple[npt.NDArray[np.float64], ...]
    """Polygons, float64 (V, 2) each, in pixels: people in them are not labelled."""

    person_score: npt.NDArray[np.float64] | None = None
    """float64 (N,): scores of people, NaN where the file has none; None: it has none at all."""

    listed: npt.NDArray[np.bool_] | None = None
    """bool (N,): the file has a list of joints for this person, possibly an empty one; None: for everybody. Only the
    form of 2017 knows people without."""

    entry: npt.NDArray[np.int64] | None = None
    """int64 (N,): the person's place in the file's `annotations` (2018) or in the frame's `annorect` (2017), for
    messages; None: they were not read from a file."""

    def __len__(self) -> int:
        return len(self.track_id)

    def poses(self) -> Poses:
        """The people with the joints of `POSETRACK15`; joints without a score are sure."""
        found = self.found[:, _POSETRACK15]
        score = self.score[:, _POSETRACK15]
        score = np.where(np.isnan(score), 1.0, score.clip(1e-4, 1))
        score = np.where(found, score, 0)
        mean = score.sum(axis=1) / np.maximum(found.sum(axis=1), 1)
        return Poses.untracked(xy=self.xy[:, _POSETRACK15], joint_score=score, score=mean).with_tracks(self.track_id)


def load(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        InputError: it is not there or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def decode(data: bytes | msgspec.Raw, kind: type[T], *, path: Path, form: str, within: str = "") -> T:
    """What a file of a form holds.

    Args:
        data: JSON.
        kind: the type that it must have.
        path: the file, for messages.
        form: name of the form, for messages.
        within: where in the file `data` stands, for messages.

    Raises:
        InputError: no JSON, or not of this form; names the place and the field.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        message = str(error).replace("`$.", f"`{within}." if within else "`").replace("`$", f"`{within}")
        message = message.replace(" - at", ", at")
        raise InputError(f"{path} is not {form}: {message[0].lower()}{message[1:]}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = _not_a_number(bytes(data))
        if place is not None:
            raise InputError(f"{path}: `{within}{place}` is no finite number; JSON has no NaN or Infinity") from None
        raise InputError(f"{path} is not JSON: {error}") from None


def save(path: Path, content: object) -> None:
    """Write `content` as JSON, under its final name only when it is complete.

    Raises:
        OutputError: it cannot be written.
    """
    with saving(path) as partial:
        partial.write_bytes(msgspec.json.encode(content) + b"\n")


def _not_a_number(data: bytes) -> str | None:
    """Where a NaN or Infinity stands that others have written for a number, or None."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    open_places: list[tuple[str, object]] = [("", content)]
    while open_places:
        place, value = open_places.pop()
        if isinstance(value, float) and not math.isfinite(value):
            return place.removeprefix(".")
        if isinstance(value, dict):
            open_places += [(f"{place}.{key}", inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list):
            open_places += [(f"{place}[{number}]", inner) for number, inner in reversed(list(enumerate(value)))]
    return None
