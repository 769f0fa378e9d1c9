"""The two structures that cross every stage refuse what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from posetrack_app.errors import nearest
from posetrack_app.types import Frame, Origin, Poses


def test_nobody_is_a_value_like_any_other() -> None:
    nobody = Poses.empty(17)
    assert len(nobody) == 0
    assert nobody.xy.shape == (0, 17, 2)
    assert len(nobody[np.zeros(0, dtype=bool)]) == 0
    assert len(nobody.with_tracks([])) == 0


def test_some_of_the_people_in_a_given_order() -> None:
    poses = Poses.untracked(
        xy=np.arange(12).reshape(3, 2, 2), joint_score=np.ones((3, 2)), score=[0.1, 0.2, 0.3]
    ).with_tracks([5, 6, 7])
    chosen = poses[np.array([2, 0])]
    assert chosen.track_id.tolist() == [7, 5]
    assert chosen.xy[0].tolist() == [[8, 9], [10, 11]]
    assert chosen.origin.tolist() == [Origin.OBSERVED] * 2
    assert poses[poses.score > 0.15].track_id.tolist() == [6, 7]


def test_shapes_that_do_not_belong_together_are_named() -> None:
    with pytest.raises(ValueError, match=r"joint_score must be float32 \(1, 17\), got float32 \(1, 16\)"):
        Poses.untracked(xy=np.zeros((1, 17, 2)), joint_score=np.zeros((1, 16)), score=[1])
    with pytest.raises(ValueError, match=r"Poses.xy must be \(N, K, 2\)"):
        Poses.untracked(xy=np.zeros((17, 2)), joint_score=np.zeros((1, 17)), score=[1])
    with pytest.raises(ValueError, match="Poses.track_id"):
        Poses.empty(17).with_tracks([1])


def test_a_frame_is_rgb_of_eight_bits() -> None:
    frame = Frame(index=3, pts=0.125, image=np.zeros((20, 30, 3), dtype=np.uint8))
    assert repr(frame) == "Frame(index=3, pts=0.125000, 30x20)"
    for image in (np.zeros((20, 30), dtype=np.uint8), np.zeros((20, 30, 3), dtype=np.float32)):
        with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\)"):
            Frame(index=0, pts=0, image=image)


def test_the_nearest_name() -> None:
    assert nearest("smal", ["small", "tiny"]) == "did you mean 'small'?"
    assert nearest("zebra", ["small", "tiny"]) == "known are: small, tiny"
