"""Colours of tracks as the eye measures them: distances in CIE Lab."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from posetrack_app.render.colours import LEFT, MIDDLE, RIGHT, UNTRACKED, track_colour


def lab(colours: list[tuple[int, int, int]]) -> npt.NDArray[np.float32]:
    picture = np.array(colours, dtype=np.float32)[None] / 255
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)[0])


def apart(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(np.linalg.norm(one[:, None] - other[None], axis=-1))


def test_the_first_ids_are_far_apart() -> None:
    first = lab([track_colour(track) for track in range(12)])
    assert apart(first, first)[~np.eye(12, dtype=bool)].min() > 25  # about 2.3 can just be told


def test_ids_in_sequence_are_far_apart() -> None:
    colours = lab([track_colour(track) for track in range(500)])
    assert np.linalg.norm(np.diff(colours, axis=0), axis=1).min() > 35
    assert np.linalg.norm(colours[2:] - colours[:-2], axis=1).min() > 20


def test_they_stand_out_from_dark_from_white_and_from_grey() -> None:
    colours = lab([track_colour(track) for track in range(500)])
    for ground, least in (((0, 0, 0), 50), ((255, 255, 255), 25), (UNTRACKED, 20)):
        assert apart(colours, lab([ground])).min() > least, ground


def test_they_depend_on_the_id_alone() -> None:
    ids = [0, 11, 12, 13, 499, 10**6, 2**62]
    before = [track_colour(track) for track in ids]
    track_colour.cache_clear()
    assert [track_colour(track) for track in reversed(ids)] == before[::-1]
    assert track_colour(-1) == UNTRACKED


def test_sides_are_far_apart() -> None:
    sides = lab([LEFT, RIGHT, MIDDLE])
    assert apart(sides, sides)[~np.eye(3, dtype=bool)].min() > 50
