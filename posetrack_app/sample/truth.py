"""What is true of a drawn frame: joints, what covers them, heads, identities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posetrack_app.sample.body import Build, Part, joint_points
from posetrack_app.sample.raycast import Cone, Surface
from posetrack_app.sample.space import Array, Bone, Camera, Real
from posetrack_app.sample.wardrobe import Material

__all__ = ["Layer", "SampleTruth", "View", "observe"]


# Metres by which each joint (COCO17, head top, neck) may lie under its own skin and clothes; a surface
# farther in front of the joint is another part of the body.
_FLESH = np.array([0.06, 0.03, 0.03, 0.06, 0.06, *[0.14] * 2, *[0.11] * 4, *[0.20] * 2, *[0.14] * 4, 0.14, 0.14])

_JOINTS = 17


@dataclass(frozen=True, slots=True, eq=False)
class SampleTruth:
    """The people of one drawn frame who have a joint within the picture, hidden ones too. N may be 0.

    Pixels as everywhere: (0, 0) is the centre of the top left pixel.
    """

    track_id: npt.NDArray[np.int64]
    """int64 (N,): the person, 0 for A of the story."""

    xy: npt.NDArray[np.float64]
    """float64 (N, 17, 2): joints of COCO17, pixels."""

    in_frame: npt.NDArray[np.bool_]
    """bool (N, 17): the joint lies within the picture."""

    occluded: npt.NDArray[np.bool_]
    """bool (N, 17): something that is nearer, another person or the pillar, covers the joint."""

    self_occluded: npt.NDArray[np.bool_]
    """bool (N, 17): the person's own body covers the joint."""

    head_top: npt.NDArray[np.float64]
    """float64 (N, 2): top of the head, pixels."""

    neck: npt.NDArray[np.float64]
    """float64 (N, 2): where head and neck meet, pixels."""

    head_box: npt.NDArray[np.float64]
    """float64 (N, 4): x1, y1, x2, y2 of the head without long hair, pixels; may reach out of the picture."""

    head_seen: npt.NDArray[np.bool_]
    """bool (N, 2): head top and neck lie within the picture and nothing that is nearer covers them."""

    @property
    def visible(self) -> npt.NDArray[np.bool_]:
        """Bool (N, 17): within the picture and covered by nothing."""
        return self.in_frame & ~self.occluded & ~self.self_occluded


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One person or thing as painted in one frame."""

    depth: float
    """Metres along the view; the far is painted before the near."""

    window: tuple[slice, slice]
    """Rows and columns of the picture."""

    colour: Real
    """float32 (h, w, 3): linear, multiplied by the cover."""

    cover: Real
    """float32 (h, w), 0..1: share of the pixel."""

    @classmethod
    def of(cls, surface: Surface, depth: float, colour: Real, cover: Real) -> Layer:
        """The layer of a surface that was shaded."""
        height, width = cover.shape
        rows = slice(surface.top, surface.top + height)
        return cls(depth, (rows, slice(surface.left, surface.left + width)), colour, cover)

    def covers(self, pixels: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Bool (P,): which pixels (P, 2) it hides for the most part."""
        rows, columns = self.window
        x, y = pixels[:, 0] - columns.start, pixels[:, 1] - rows.start
        inside = (x >= 0) & (y >= 0) & (x < self.cover.shape[1]) & (y < self.cover.shape[0])
        covered = np.zeros(len(pixels), dtype=np.bool_)
        covered[inside] = self.cover[y[inside], x[inside]] > 0.5
        return covered


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One person in one frame, as far as the truth needs it."""

    track_id: int
    """The person."""

    build: Build
    """Shape of the person."""

    cones: Sequence[Cone]
    """What the person is made of."""

    bones: Sequence[Bone]
    """The pose."""

    surface: Surface
    """The person alone, as the rays hit it."""

    layer: Layer
    """The person as painted."""


def observe(views: Sequence[View], layers: Sequence[Layer], camera: Camera) -> SampleTruth:
    """The truth of a frame of `views`, of which `layers` were painted."""
    points = np.array([joint_points(view.build, view.bones) for view in views]).reshape(-1, _JOINTS + 2, 3)
    xy, depth = camera.project(points)
    pixels = np.rint(xy).astype(np.int64)
    in_frame = np.all((pixels >= 0) & (pixels < (camera.width, camera.height)), axis=-1)
    occluded = np.zeros(in_frame.shape, dtype=np.bool_)
    self_occluded = np.zeros(in_frame.shape, dtype=np.bool_)
    for row, view in enumerate(views):
        for layer in layers:
            if layer.depth < view.layer.depth:
                occluded[row] |= layer.covers(pixels[row])
        self_occluded[row] = _own_depth(view.surface, xy[row]) < depth[row] - _FLESH * view.build.scale
    head_box = np.array([_head_box(view, camera) for view in views], dtype=np.float64).reshape(-1, 4)
    track_id = np.array([view.track_id for view in views], dtype=np.int64)
    keep = in_frame[:, :_JOINTS].any(axis=1)
    return SampleTruth(
        track_id=track_id[keep],
        xy=xy[keep, :_JOINTS],
        in_frame=in_frame[keep, :_JOINTS],
        occluded=occluded[keep, :_JOINTS],
        self_occluded=self_occluded[keep, :_JOINTS],
        head_top=xy[keep, _JOINTS],
        neck=xy[keep, _JOINTS + 1],
        head_seen=(in_frame & ~occluded)[keep, _JOINTS:],
        head_box=head_box[keep],
    )


def _own_depth(surface: Surface, xy: Array) -> Array:
    """(P,): depth of the person's own surface at pixels (P, 2), infinite beside it."""
    n = surface.oversampling
    column, row = np.floor((xy + 0.5 - (surface.left, surface.top)) * n).astype(np.int64).T
    height, width = surface.depth.shape
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    depth = np.full(len(xy), np.inf)
    depth[inside] = surface.depth[row[inside], column[inside]]
    return depth


def _head_box(view: View, camera: Camera) -> tuple[float, float, float, float]:
    """Box around skull, face, nose and ears."""
    polar, turn = np.meshgrid(np.linspace(0, np.pi, 9), np.linspace(0, 2 * np.pi, 16, endpoint=False))
    sphere = np.stack([np.sin(polar) * np.cos(turn), np.cos(polar), np.sin(polar) * np.sin(turn)], axis=-1)
    points = []
    for cone in view.cones:
        if cone.bone == Part.HEAD and cone.material == Material.FACE:
            for centre, radius in ((cone.start, cone.start_radius), (cone.end, cone.end_radius)):
                points.append(sphere.reshape(-1, 3) * radius * cone.squash + centre)
    xy, _ = camera.project(view.bones[Part.HEAD].at(np.concatenate(points)))
    (x1, y1), (x2, y2) = xy.min(axis=0), xy.max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)
