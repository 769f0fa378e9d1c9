"""Soft shadows of cones on level ground."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from posetrack_app.sample.raycast import Cone
from posetrack_app.sample.shade import SUN
from posetrack_app.sample.space import Bone, Camera, Real

__all__ = ["cast_shadows"]

_DARKNESS = 0.58
"""Share of the light that the sun gives."""

_CORNERS = 10


def cast_shadows(picture: Real, figures: Sequence[tuple[Sequence[Cone], Sequence[Bone]]], camera: Camera) -> None:
    """Darken a linear picture (H, W, 3) of level ground where figures, cones with bones, stand in the sun."""
    height, width = picture.shape[:2]
    mask = np.zeros(((height + 1) // 2, (width + 1) // 2), dtype=np.uint8)  # half size, as it is blurred anyway
    turn = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    # The outline of a sphere as the sun sees it is a circle across the sun's direction.
    across = np.cross(SUN, (0.0, 1.0, 0.0))
    across /= np.linalg.norm(across)
    circle = np.outer(np.cos(turn), across) + np.outer(np.sin(turn), np.cross(SUN, across))
    for cones, bones in figures:
        ends = np.stack([bones[cone.bone].at([cone.start, cone.end]) for cone in cones])  # (cones, 2, 3)
        radii = np.array([[cone.start_radius, cone.end_radius] for cone in cones])
        radii *= np.array([np.median(cone.squash) for cone in cones])[:, None]
        points = ends[:, :, None, :] + radii[:, :, None, None] * circle
        points -= SUN * (np.maximum(points[..., 1:2], 0) / SUN[1])
        pixels, depth = camera.project(points)
        outlines = np.round(np.clip(pixels / 2, -9e3, 9e3)).astype(np.int32).reshape(len(cones), -1, 2)
        for outline, nearest in zip(outlines, depth.min(axis=(1, 2)), strict=True):
            if nearest > 0.5:
                cv2.fillConvexPoly(mask, cv2.convexHull(outline), 255)
    soft = cv2.resize(cv2.GaussianBlur(mask, (0, 0), 0.004 * height), (width, height))
    picture *= 1 - np.float32(_DARKNESS / 255) * soft[..., None]
