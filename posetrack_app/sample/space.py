"""Where things are: frames of reference that move, and the camera that sees them.

World: x to the right, y up, z away from the viewer, metres. Camera: x right, y down, z along the view.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Bone", "Camera", "Real"]

Array = npt.NDArray[np.float64]
"""Arrays of geometry."""

Real = npt.NDArray[np.floating[Any]]
"""Arrays of one number type or the other; those of whole pictures are float32."""


@dataclass(frozen=True, slots=True, eq=False)
class Bone:
    """A rigid frame of reference that moves: right, up and forward of one part of a body."""

    rotation: Array
    """(3, 3): columns are the bone's right, up and forward in the world."""

    origin: Array
    """(3,): where the bone begins, metres, world."""

    def at(self, points: npt.ArrayLike) -> Array:
        """World positions (..., 3) of points given in the bone's frame."""
        return np.asarray(points, dtype=np.float64) @ self.rotation.T + self.origin


@dataclass(frozen=True)
class Camera:
    """A pinhole at a fixed place that looks down a little and may turn sideways."""

    width: int
    """Width of the picture, pixels."""

    height: int
    """Height of the picture, pixels."""

    focal: float
    """Focal length, pixels."""

    elevation: float
    """Height above the ground, metres."""

    pitch: float
    """Downward tilt, radians."""

    yaw: float = 0.0
    """Turn to the right, radians."""

    @property
    def centre(self) -> Array:
        """(2,): the pixel that the camera looks at."""
        return np.array([(self.width - 1) / 2, (self.height - 1) / 2])

    @property
    def position(self) -> Array:
        """(3,): place of the pinhole, metres, world."""
        return np.array([0.0, self.elevation, 0.0])

    @cached_property
    def rotation(self) -> Array:
        """(3, 3): from the world's axes to the camera's."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        turn = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
        cos, sin = np.cos(self.pitch), np.sin(self.pitch)
        tilt = np.array([[1, 0, 0], [0, -cos, -sin], [0, -sin, cos]])
        return np.asarray(tilt @ turn)

    def project(self, points: Array) -> tuple[Array, Array]:
        """Pixels (..., 2) and depths (...), metres, of world points (..., 3) before the camera."""
        seen = (points - self.position) @ self.rotation.T
        depth = seen[..., 2]
        return seen[..., :2] / depth[..., None] * self.focal + self.centre, depth
