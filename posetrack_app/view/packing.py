"""Poses as a short text that the page unpacks: quantised, as differences in time, deflated, in base64.

A text holds columns of whole numbers, one after the other. Each number is folded (0, -1, 1, -2, ... become 0, 1, 2,
3, ...) and written as a varint: seven bits a byte, the lowest first, the eighth bit set where more follow.

Letters: T frames, R rows (one pose each), K joints.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posetrack_app.formats.sequence import PoseSequence
from posetrack_app.types import Poses

__all__ = ["LEVELS", "TICKS", "PackedPoses", "pack_columns", "pack_poses", "pack_times"]

Ints = npt.NDArray[np.int64]

TICKS = 100_000
"""Times are kept to a hundred-thousandth of a second."""

LEVELS = 7
"""Scores of joints are kept as 1 .. 7; 0 is a joint without a place."""

_STEPS = 4096
"""The longer side of a frame is divided into so many steps, a quarter of a pixel at 1024."""

_FARTHEST = 32_000
"""Joints are kept within so many steps of the corner: eight frames away nobody sees them."""


@dataclass(frozen=True, slots=True)
class PackedPoses:
    """The poses of a video for the page."""

    text: str
    """Columns: times (T,), rows of each track, frame of each row (R,), its number among those of the frame (R,),
    origin (R,), level of the score (K, R), x (K, R), y (K, R). Rows are sorted by track, then frame; times, frames,
    x and y are differences to the number before, in x and y to the joint's place in the row before."""

    step: float
    """Pixels of a step of x and y."""

    frames: int
    """T."""

    tracks: list[int]
    """Identities, ascending; -1 stands for poses that have none."""

    size: tuple[int, int]
    """Width and height of the frame in pixels; where they are not known, of what holds all joints."""


def pack_columns(columns: Iterable[npt.NDArray[np.signedinteger]]) -> str:
    """Columns of whole numbers as a text.

    >>> pack_columns([np.array([0, -1, 300])]) == base64.b64encode(zlib.compress(bytes([0, 1, 216, 4]))).decode()
    True
    """
    return base64.b64encode(zlib.compress(b"".join(_varints(column) for column in columns))).decode()


def pack_times(seconds: npt.NDArray[np.float64]) -> str:
    """Times as a text of one column."""
    return pack_columns([_ticks(seconds)])


def pack_poses(sequence: PoseSequence) -> PackedPoses:
    """All poses of a video, also those without identity."""
    frames = sequence.frames
    poses = [frame.poses for frame in frames] or [Poses.empty(len(sequence.skeleton.joints))]
    frame = np.repeat(np.arange(len(frames), dtype=np.int64), [len(one.poses) for one in frames])
    number = np.concatenate([np.arange(len(one), dtype=np.int64) for one in poses])
    track = np.concatenate([one.track_id for one in poses])
    order = np.lexsort((frame, track))
    xy = np.concatenate([one.xy for one in poses])[order].astype(np.float64)
    score = np.concatenate([one.joint_score for one in poses])[order]
    found = (score > 0) & np.isfinite(xy).all(axis=2)
    size = (sequence.width, sequence.height)
    if min(size) <= 0:
        widest = np.where(found[..., None], xy, 0).reshape(-1, 2).max(axis=0, initial=15)
        size = (int(min(widest[0], 1e5)) + 1, int(min(widest[1], 1e5)) + 1)
    step = max(size) / _STEPS
    places = np.clip(np.rint(np.where(found[..., None], xy, 0) / step), -_FARTHEST, _FARTHEST).astype(np.int64)
    level = np.where(found, np.clip(np.rint(score * LEVELS), 1, LEVELS), 0).astype(np.int64)
    tracks, count = np.unique(track, return_counts=True)
    columns = [
        _ticks(np.array([one.seconds for one in frames], dtype=np.float64)),
        count,
        np.diff(frame[order], prepend=0),
        number[order],
        np.concatenate([one.origin for one in poses])[order].astype(np.int64),
        level.T.ravel(),
        *(np.diff(_held(places[..., axis].T, found.T), axis=1, prepend=0).ravel() for axis in (0, 1)),
    ]
    return PackedPoses(pack_columns(columns), step, len(frames), tracks.tolist(), size)


def _ticks(seconds: npt.NDArray[np.float64]) -> Ints:
    ticks: Ints = np.rint(seconds * TICKS).astype(np.int64)
    return np.diff(ticks, prepend=np.int64(0))


def _held(values: Ints, found: npt.NDArray[np.bool_]) -> Ints:
    """(K, R): where nothing was found, the number before: no difference is the shortest of all."""
    latest = np.maximum.accumulate(np.where(found, np.arange(values.shape[1]), 0), axis=1)
    return np.take_along_axis(values, latest, axis=1)


def _varints(values: npt.NDArray[np.signedinteger]) -> bytes:
    wide = values.astype(np.int64).ravel()
    if not wide.size:
        return b""
    folded = ((wide << 1) ^ (wide >> 63)).astype(np.uint64)
    limits = [np.uint64(1) << np.uint64(7 * places) for places in range(1, 10)]
    length: Ints = np.ones(len(wide), dtype=np.int64)
    for limit in limits:
        length += folded >= limit
    end = np.cumsum(length)
    result = np.zeros(end[-1], dtype=np.uint8)
    for place in range(int(length.max())):
        here = length > place
        part = (folded[here] >> np.uint64(7 * place)) & np.uint64(127)
        result[(end - length)[here] + place] = part.astype(np.uint8) | np.where(length[here] > place + 1, 128, 0)
    return result.tobytes()
