"""An advertising column, behind which people disappear for a moment."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from posetrack_app.sample.raycast import Cone, cast
from posetrack_app.sample.shade import local_points, shade_plain
from posetrack_app.sample.space import Array, Bone, Camera, Real

__all__ = ["PILLAR_PLACE", "paint_pillar", "pillar_cones"]

PILLAR_PLACE = (-1.5, 6.3)
"""x and z of its middle, metres, world."""

_FOOT, _SHAFT, _CAP = 0, 1, 2
_COLOURS = np.array([(0.35, 0.36, 0.37), (0.83, 0.81, 0.76), (0.25, 0.37, 0.33)])
_PAPERS = np.array([(0.75, 0.30, 0.22), (0.23, 0.42, 0.60), (0.90, 0.76, 0.35), (0.35, 0.50, 0.36)])
_SHEET = 0.88


def pillar_cones() -> tuple[tuple[Cone, ...], tuple[Bone, ...]]:
    """What the column is made of, and the one bone that carries it."""
    bone = Bone(np.eye(3), np.array([PILLAR_PLACE[0], 0.0, PILLAR_PLACE[1]]))
    cones = (
        Cone(0, (0, 0.1, 0), (0, 0.25, 0), 0.40, 0.38, _FOOT, (1.0, 0.1, 1.0)),
        Cone(0, (0, 0.1, 0), (0, 2.65, 0), 0.34, 0.34, _SHAFT, (1.0, 0.1, 1.0)),
        Cone(0, (0, 2.6, 0), (0, 2.75, 0), 0.42, 0.36, _CAP, (1.0, 0.2, 1.0)),
    )
    return cones, (bone,)


def paint_pillar(camera: Camera) -> Real:
    """float32 (H, W, 4): the column's linear colours multiplied by the cover, and the cover."""
    picture = np.zeros((camera.height, camera.width, 4), dtype=np.float32)
    cones, bones = pillar_cones()
    surface = cast(cones, bones, camera)
    if surface is None:
        return picture
    hit = np.flatnonzero(np.isfinite(surface.depth))
    local, _ = local_points(surface, hit, np.zeros(len(hit), dtype=np.int64), bones, camera)
    material = np.array([cone.material for cone in cones])[surface.cone.reshape(-1)[hit]]
    albedo = np.square(_posters(local.astype(np.float64), material)).astype(np.float32)
    colour, cover = shade_plain(surface, albedo, camera)
    height, width = cover.shape
    window = picture[surface.top : surface.top + height, surface.left : surface.left + width]
    window[..., :3] = colour
    window[..., 3] = cover
    return picture


def _posters(local: Array, material: npt.NDArray[np.int64]) -> Array:
    """Colours (3, P) as on a screen: two rows of six posters around the shaft, each with a light sheet."""
    colour = _COLOURS[material].T.copy()
    around = np.arctan2(local[0], -local[2]) / (2 * np.pi) * 6 + 0.2
    upward = (local[1] - 0.55) / 0.95
    u, v = np.abs(around % 1.0 - 0.5), np.abs(upward % 1.0 - 0.5)
    shaft = (material == _SHAFT) & (upward > 0) & (upward < 2)
    paper = shaft & (u < 0.42) & (v < 0.44)
    which = (np.floor(around) + 2 * np.floor(upward)).astype(np.int64) % len(_PAPERS)
    colour[:, paper] = _PAPERS[which[paper]].T
    colour[:, shaft & (u < 0.28) & (v < 0.20)] = _SHEET
    return colour
