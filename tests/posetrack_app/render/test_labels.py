"""Labels: whole, apart, beside faces, legible."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17
from posetrack_app.config import RenderSettings
from posetrack_app.render import Renderer
from posetrack_app.render.colours import INK, track_colour
from posetrack_app.types import Frame, Poses

# Hips, knees, shoulders and ears of a figure 100 pixels tall, from the middle between the feet.
JOINTS = {
    0: (0, -90), 3: (5, -91), 4: (-5, -91), 5: (12, -78), 6: (-12, -78), 11: (7, -50), 12: (-7, -50), 13: (8, -28),
    14: (-8, -28), 15: (8, -4), 16: (-8, -4),
}  # fmt: skip


def people(*feet: tuple[float, float], size: float = 1.0) -> Poses:
    xy, score = np.zeros((len(feet), 17, 2)), np.zeros((len(feet), 17))
    for person, place in enumerate(feet):
        for joint, offset in JOINTS.items():
            xy[person, joint] = np.array(place) + size * np.array(offset)
            score[person, joint] = 0.9
    return Poses.untracked(xy=xy, joint_score=score, score=[0.9] * len(feet)).with_tracks(np.arange(len(feet)))


def label_pixels(
    poses: Poses, *, height: int = 240, width: int = 320, style: str = "skeleton"
) -> npt.NDArray[np.bool_]:
    """(H, W): where the picture differs from one without labels."""
    frame = Frame(index=0, pts=0.0, image=np.full((height, width, 3), 251, dtype=np.uint8))
    drawn = [
        Renderer(COCO17, RenderSettings(style=style, labels=labels)).draw(frame, poses)  # type: ignore[arg-type]
        for labels in (True, False)
    ]
    return np.asarray((drawn[0] != drawn[1]).any(axis=2))


def extent(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


@settings(max_examples=60, deadline=None)
@given(x=st.floats(-20, 340), y=st.floats(20, 330), style=st.sampled_from(["skeleton", "boxes", "blur-faces"]))
def test_a_label_is_whole_wherever_the_person_is(x: float, y: float, style: str) -> None:
    whole = extent(label_pixels(people((160, 180)), style=style))
    mask = label_pixels(people((x, y)), style=style)
    found = extent(mask) if mask.any() else (0, 0)
    if 10 < x < 310 and 20 < y < 240 + 40:
        assert found == pytest.approx(whole, abs=2)
    else:  # perhaps nothing of the person is in the picture
        assert found == (0, 0) or found == pytest.approx(whole, abs=2)


def test_it_is_legible_at_any_resolution() -> None:
    for height, width in ((120, 160), (240, 320), (720, 1280), (1280, 720), (2160, 3840)):
        scale = height / 240
        rows, _ = extent(label_pixels(people((width / 2, 0.8 * height), size=scale), height=height, width=width))
        assert rows >= 12
        assert 0.025 * min(height, width) < rows < 0.12 * min(height, width)


def test_there_is_none_where_it_finds_no_room() -> None:
    for size in ((5, 200), (200, 8), (1, 1)):
        assert not label_pixels(people((5, 5)), height=size[0], width=size[1]).any()


def test_labels_do_not_cover_one_another() -> None:
    for feet in ([(100, 200), (112, 200), (124, 200)], [(100, 200), (101, 200)], [(30, 105), (44, 104), (60, 105)]):
        together = label_pixels(people(*feet)).sum()
        poses = people(*feet)
        alone = [label_pixels(poses[np.array([person])]).sum() for person in range(len(feet))]
        assert together == pytest.approx(sum(alone), rel=0.06)


@pytest.mark.parametrize("top", [95, 100, 110, 150])
def test_labels_keep_clear_of_faces(top: float) -> None:
    feet = [(100, top + 5), (128, top + 20), (160, top + 5)]
    mask = label_pixels(people(*feet))
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    for x, y in feet:
        face = np.hypot(columns - x, rows - (y - 90)) < 6
        assert mask[face].sum() <= 0.05 * face.sum(), (x, y)


def test_a_label_does_not_hop_to_and_fro() -> None:
    """Where two people's labels just fit beside each other, or just do not, each keeps the place that it had."""
    frame = Frame(index=0, pts=0.0, image=np.full((240, 320, 3), 251, dtype=np.uint8))

    def middle(renderer: Renderer, gap: float) -> tuple[float, float]:
        """Where the label of the farther one is, relative to that person."""
        poses = people((100, 200), (100 + gap, 200))
        poses.xy[1] = (poses.xy[1] - poses.xy[1, 15]) * np.float32(0.98) + poses.xy[1, 15]
        image = renderer.draw(frame, poses)
        rows, columns = np.nonzero((np.abs(image.astype(int) - track_colour(1)).max(axis=2) < 8)[:110])
        return float(columns.mean() - gap), float(rows.mean())

    gaps = np.arange(8, 24, 0.5)
    fresh = [middle(Renderer(COCO17, RenderSettings()), gap)[0] for gap in gaps]
    assert np.ptp(fresh) > 5, "somewhere in between the place changes"
    change = int(np.argmax(np.abs(np.diff(fresh))))
    renderer = Renderer(COCO17, RenderSettings())
    film = [middle(renderer, gaps[change + step % 2])[0] for step in range(8)]
    assert np.ptp(film) < 3


def luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance, WCAG 2.1."""
    share = np.array(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_text_stands_out_from_its_ground() -> None:
    for track in range(300):
        assert (luminance(track_colour(track)) + 0.05) / (luminance(INK) + 0.05) > 4.5, track
