"""What people look like: the colours of what they wear, as numbers that tell people apart.

Letters: N persons, K joints, P places on a body, D numbers a person.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton

__all__ = ["SIZE", "looks"]

_LIGHTNESS = 6
"""Levels of L*, 20 apart from 0 on."""

_CHROMA = 3
"""Levels of a* and of b*, 12 apart: -12, 0 and 12; stronger colours count as these."""

_COLOURS = _LIGHTNESS * _CHROMA * _CHROMA
_HALVES = 2
SIZE = _HALVES * _COLOURS
"""D: how many numbers tell what a person looks like: the colours of the upper half of the body, then of the lower."""

_ACROSS, _DOWN, _ALONG = 5, 6, 8
"""Places across and down the torso, and along a limb."""

_ENOUGH = 0.5
"""A half of a body tells nothing where fewer of its places than this share are seen: fragments look like anybody."""

_STEP = 8
_LEVELS = 256 // _STEP
"""Colours are told apart in so many levels of red, green and blue: finer than the cells, and ready in a table."""


def looks(
    image: npt.NDArray[np.uint8],
    xy: npt.NDArray[np.floating],
    joint_score: npt.NDArray[np.floating],
    *,
    skeleton: Skeleton,
) -> npt.NDArray[np.uint8]:
    """Colours of torso and upper arms, and those of the legs, uint8 (N, D).

    Each half of the body is a histogram in CIE L*a*b*, each colour divided among the cells around it. What is
    kept is the root of each cell's share, 255 for the whole: the cosine of two such rows is the mean of the
    Bhattacharyya coefficients of both halves. A half of which too little is in the picture, or found, is 0.

    Args:
        image: (H, W, 3), RGB.
        xy: (N, K, 2), pixels of the image.
        joint_score: (N, K), 0 where a joint was not found.
        skeleton: The joints.
    """
    persons = len(xy)
    if not persons:
        return np.zeros((0, SIZE), dtype=np.uint8)
    weights, half = _places(skeleton.joints)
    places = np.rint(weights @ np.where(joint_score[..., None] > 0, xy, 0))  # (N, P, 2)
    x, y = places[..., 0], places[..., 1]
    known = (joint_score <= 0).astype(np.float32) @ (weights > 0).T == 0  # all joints that the place hangs on
    known &= (x >= 0) & (x < image.shape[1]) & (y >= 0) & (y < image.shape[0])
    for side in range(_HALVES):
        known[np.ix_(known[:, half == side].mean(axis=1) < _ENOUGH, half == side)] = False
    person, place = known.nonzero()
    colours = image[y[known].astype(np.intp), x[known].astype(np.intp)] // _STEP
    cells, shares = _palette()
    number = colours.astype(np.intp) @ (_LEVELS**2, _LEVELS, 1)
    first = (person * _HALVES + half[place]) * _COLOURS
    cell = first[:, None] + cells[number]
    counts = np.bincount(cell.ravel(), weights=shares[number].ravel(), minlength=persons * SIZE)
    counts = counts.reshape(persons * _HALVES, _COLOURS)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    result: npt.NDArray[np.uint8] = np.rint(255 * np.sqrt(share)).astype(np.uint8).reshape(persons, SIZE)
    return result


@cache
def _places(joints: tuple[str, ...]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Places on a body as means of joints, (P, K), and the half of the body that each is on, (P,)."""
    rows: list[npt.NDArray[np.float64]] = []
    halves: list[int] = []
    one = np.eye(len(joints))

    def joint(name: str) -> npt.NDArray[np.float64]:
        row: npt.NDArray[np.float64] = one[joints.index(name)]
        return row

    for down in np.linspace(0.1, 0.9, _DOWN):
        for across in np.linspace(0.15, 0.85, _ACROSS):
            top = (1 - across) * joint("left_shoulder") + across * joint("right_shoulder")
            bottom = (1 - across) * joint("left_hip") + across * joint("right_hip")
            rows.append((1 - down) * top + down * bottom)
            halves.append(0)
    for half, start, end in ((0, "shoulder", "elbow"), (1, "hip", "knee"), (1, "knee", "ankle")):
        for side in ("left", "right"):
            for along in np.linspace(0.1, 0.9, _ALONG):
                rows.append((1 - along) * joint(f"{side}_{start}") + along * joint(f"{side}_{end}"))
                halves.append(half)
    return np.array(rows, dtype=np.float32), np.array(halves, dtype=np.intp)


@cache
def _palette() -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]:
    """The eight cells around each of 32 x 32 x 32 colours, and the share of it that belongs to each, (32768, 8)."""
    levels = (np.arange(_LEVELS, dtype=np.float32) * _STEP + _STEP / 2) / 256
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3)
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0]
    counts = np.array([_LIGHTNESS, _CHROMA, _CHROMA])
    place = np.clip(lab / (20, 12, 12) + (0, 1, 1), 0, counts - 1)
    below = np.minimum(place.astype(np.intp), counts - 2)
    part = (place - below).astype(np.float32)
    cell = np.zeros((len(lab), 1), dtype=np.intp)
    share = np.ones((len(lab), 1), dtype=np.float32)
    for axis, count in enumerate(counts.tolist()):
        above = part[:, axis, None]
        cell = cell * count + below[:, axis, None]
        cell = np.concatenate([cell, cell + 1], axis=1)
        share = np.concatenate([share * (1 - above), share * above], axis=1)
    return cell, share
