"""How people look: skeletons and boxes as strokes.

Letters: N persons, K joints, L limbs, S strokes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.render.canvas import Strokes
from posetrack_app.render.colours import MIDDLE, UNTRACKED, side_colours, tint, track_colour
from posetrack_app.render.people import People

__all__ = ["Figures", "boxes", "line_radius"]

Floats = npt.NDArray[np.float64]
Colours = npt.NDArray[np.uint8]

_NOT_OBSERVED_OPACITY = 0.5
_NOT_OBSERVED_RADIUS = 0.6

_RIM, _RIM_GROWTH = 0.35, 0.27
"""Pixels of the dark outline, and how it grows with the radius of the limbs."""

_DISC_WHITE = 0.55
"""How much lighter joints are than limbs."""


def line_radius(scale: Floats, *, short_side: int, line_width: float) -> Floats:
    """(N,): half of the width of a limb in pixels, for people of this scale.

    Grows more slowly than the person; and the same picture at another resolution looks the same.
    """
    resolution = short_side / 720
    radius = np.clip(0.085 * np.minimum(scale / resolution, 2000) ** 0.75, 0.8, 5.5) * resolution
    return np.maximum(radius, 0.55) * line_width


class Figures:
    """Draws the people of a skeleton as limbs and joints, and a neck where the skeleton has none."""

    def __init__(self, skeleton: Skeleton, *, by_side: bool, line_width: float) -> None:
        limbs = np.array(skeleton.limbs, dtype=np.intp).reshape(-1, 2)
        # Marks of the face are close together and sharp, hips are vague: drawn fine and broad.
        breadth = np.clip(np.sqrt(np.array(skeleton.sigmas) / 0.08), 0.5, 1.2)
        sides = side_colours(skeleton)
        self._neck = _missing_neck(skeleton)
        if self._neck is not None:  # its lower end is one joint more
            limbs = np.concatenate([[[len(breadth), self._neck[0]]], limbs])
            breadth = np.append(breadth, breadth[self._neck[1]])
            sides = np.concatenate([sides, np.array([MIDDLE], dtype=np.uint8)])
        one, other = sides[limbs[:, 0]], sides[limbs[:, 1]]
        self._limbs = limbs
        self._breadth = breadth
        self._joint_sides = sides
        self._limb_sides = np.where((one == other).all(axis=1, keepdims=True), one, np.array(MIDDLE, dtype=np.uint8))
        self._line_width = line_width
        self._by_side = by_side

    def strokes(self, people: People, *, short_side: int) -> Strokes:
        """Everybody, from the farthest: for each the limbs, then the joints."""
        xy, score, seen = people.xy, people.joint_score, people.seen
        if self._neck is not None:
            shoulders = self._neck[1:]
            xy = np.concatenate([xy, xy[:, shoulders].mean(axis=1, keepdims=True)], axis=1)
            score = np.concatenate([score, score[:, shoulders].min(axis=1, keepdims=True)], axis=1)
            seen = np.concatenate([seen, seen[:, shoulders].all(axis=1, keepdims=True)], axis=1)
        radius = line_radius(people.scale, short_side=short_side, line_width=self._line_width)
        radius = radius * np.where(people.observed, 1.0, _NOT_OBSERVED_RADIUS)
        breadth = radius[:, None] * self._breadth
        opacity = _opacity(score) * np.where(people.observed, 1.0, _NOT_OBSERVED_OPACITY)[:, None]

        limb_person, limb = np.nonzero(seen[:, self._limbs].all(axis=2))
        start, end = (limb_person, self._limbs[limb, 0]), (limb_person, self._limbs[limb, 1])
        person, joint = np.nonzero(people.seen)
        disc = breadth[person, joint] * (0.6 + 0.75 * score[person, joint])
        limb_colour = self._colours(people, limb_person, self._limb_sides[limb])
        joint_colour = tint(self._colours(people, person, self._joint_sides[joint]), _DISC_WHITE)

        figure = np.concatenate([limb_person, person])
        order = np.argsort(figure, kind="stable")
        limb_radii, disc_radii = np.stack([breadth[start], breadth[end]], axis=1), np.stack([disc, disc], axis=1)
        return Strokes(
            start=np.concatenate([xy[start], xy[person, joint]])[order],
            end=np.concatenate([xy[end], xy[person, joint]])[order],
            radius=np.concatenate([limb_radii, disc_radii])[order],
            colour=np.concatenate([limb_colour, joint_colour])[order],
            opacity=np.concatenate([np.minimum(opacity[start], opacity[end]), opacity[person, joint]])[order],
            rim=_RIM + _RIM_GROWTH * radius[figure[order]],
            figure=figure[order],
        )

    def _colours(self, people: People, person: npt.NDArray[np.intp], sides: Colours) -> Colours:
        """(S, 3): the side's colour where sides are asked for and the person has an identity, else the identity's."""
        identity = _identity_colours(people)[person]
        return np.where(people.track_id[person, None] >= 0, sides, identity) if self._by_side else identity


def _missing_neck(skeleton: Skeleton) -> tuple[int, int, int] | None:
    """Nose and both shoulders where no limbs join the head to the body."""
    names = ("nose", "left_shoulder", "right_shoulder")
    if not all(name in skeleton.joints for name in names):
        return None
    nose, left, right = (skeleton.index(name) for name in names)
    joined = {nose}
    for _ in skeleton.limbs:
        joined |= {joint for limb in skeleton.limbs if joined & set(limb) for joint in limb}
    return None if joined & {left, right} else (nose, left, right)


def _identity_colours(people: People) -> Colours:
    """(N, 3): the colour of each person's identity."""
    colours = [track_colour(track) if track >= 0 else UNTRACKED for track in people.track_id.tolist()]
    return np.array(colours, dtype=np.uint8).reshape(-1, 3)


def _opacity(score: Floats) -> Floats:
    """How dense a joint of this score is drawn: in full from 0.6, a third at 0.15."""
    dense: Floats = np.clip((score - 0.15) / 0.45, 0, 1) * 0.65 + 0.35
    return dense


def boxes(people: People, *, short_side: int, line_width: float) -> Strokes:
    """A box around everybody, from the farthest."""
    person = np.flatnonzero(people.seen.any(axis=1))
    observed = people.observed[person]
    radius = 0.6 * line_radius(people.scale[person], short_side=short_side, line_width=line_width)
    radius = radius * np.where(observed, 1.0, _NOT_OBSERVED_RADIUS)
    # Hands and feet reach beyond wrists and ankles.
    box = people.box[person] + people.scale[person, None] * np.array([-0.18, -0.1, 0.18, 0.25])
    corners = box[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]  # (N, 4, 2)
    return Strokes(
        start=corners.reshape(-1, 2),
        end=np.roll(corners, -1, axis=1).reshape(-1, 2),
        radius=np.repeat(radius, 8).reshape(-1, 2),
        colour=np.repeat(_identity_colours(people)[person], 4, axis=0),
        opacity=np.repeat(np.where(observed, 1.0, _NOT_OBSERVED_OPACITY), 4),
        rim=np.repeat(_RIM + _RIM_GROWTH * radius, 4),
        figure=np.repeat(person, 4),
    )
