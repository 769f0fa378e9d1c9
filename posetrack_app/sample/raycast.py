"""Rounded cones seen through a pinhole camera: where each ray hits, and the surface's direction there.

Everything that is drawn in front of the background is made of one shape: two spheres and the cone that
touches both, squashed along the axes of the bone that carries it. One sphere squashed is an ellipsoid.

World: x to the right, y up, z away from the viewer, metres. Camera: x right, y down, z along the view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Bone", "Camera", "Cone", "Real", "Surface", "cast"]

Array = npt.NDArray[np.float64]
Real = npt.NDArray[np.floating[Any]]
"""Arrays of one number type or the other; those of whole pictures are float32."""
_Index = npt.NDArray[np.intp]

_NEAREST = 0.3
"""Metres before the camera; whatever comes closer is not drawn."""


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


@dataclass(frozen=True, slots=True)
class Cone:
    """A rounded cone fixed to a bone."""

    bone: int
    """Index of the bone that carries it."""

    start: tuple[float, float, float]
    """Centre of the first sphere, metres, frame of the bone."""

    end: tuple[float, float, float]
    """Centre of the second sphere, metres, frame of the bone."""

    start_radius: float
    """Radius of the first sphere, metres, before squashing."""

    end_radius: float
    """Radius of the second sphere, metres, before squashing."""

    material: int
    """What it is made of. Surfaces of one material melt into each other where they meet."""

    squash: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Factors on the radii along the bone's right, up and forward."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """The nearest surface of some cones on a grid of rays finer than the pixels."""

    left: int
    """First column of pixels."""

    top: int
    """First row of pixels."""

    oversampling: int
    """Rays along each side of a pixel."""

    depth: Real
    """float32 (h, w): distance along the view, metres; infinite where nothing is hit."""

    normal: Real
    """float32 (3, h, w): direction of the surface, camera axes, not of unit length."""

    cone: npt.NDArray[np.uint8]
    """uint8 (h, w): index of the cone that was hit."""

    rays_x: Real
    """float32 (w,): camera x of the rays at depth 1."""

    rays_y: Real
    """float32 (h,): camera y of the rays at depth 1."""


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A cone before the camera. "Squashed" space is the one where the cone is round."""

    to_squashed: Array  # (3, 3) from camera axes
    start: Array  # (3,) camera
    along: Array  # (3,) from the first sphere to the second, squashed
    start_radius: float
    end_radius: float
    box: Array  # (4,) x1, y1, x2, y2 pixels


def _place(cones: Sequence[Cone], bones: Sequence[Bone], camera: Camera) -> dict[int, _Placed]:
    """The cones before the camera, by their index."""
    if len(cones) == 0:
        return {}
    carrier = [cone.bone for cone in cones]
    rotations = np.stack([camera.rotation @ bone.rotation for bone in bones])[carrier]
    origins = np.stack([camera.rotation @ (bone.origin - camera.position) for bone in bones])[carrier]
    local = np.array([(cone.start, cone.end) for cone in cones])  # (cones, 2, 3)
    squash = np.array([cone.squash for cone in cones])
    radii = np.array([(cone.start_radius, cone.end_radius) for cone in cones])
    ends = np.einsum("cij,cej->cei", rotations, local) + origins[:, None]
    to_squashed = rotations.transpose(0, 2, 1) / squash[:, :, None]
    along = (local[:, 1] - local[:, 0]) / squash
    # A sphere of radius r at depth z reaches about r f / (z - r) from its centre; a slanting view widens it.
    widest = radii * squash.max(axis=1, keepdims=True)
    depth = ends[..., 2]
    near = (depth - widest).min(axis=1) > _NEAREST
    reach = widest / np.maximum(depth - widest, _NEAREST) * camera.focal * 1.15 + 1
    pixels = ends[..., :2] / np.maximum(depth, _NEAREST)[..., None] * camera.focal + camera.centre
    low, high = (pixels - reach[..., None]).min(axis=1), (pixels + reach[..., None]).max(axis=1)
    boxes = np.concatenate([low, high], axis=1)
    return {
        index: _Placed(
            to_squashed[index],
            ends[index, 0],
            along[index],
            float(radii[index, 0]),
            float(radii[index, 1]),
            boxes[index],
        )
        for index in np.flatnonzero(near).tolist()
    }


def cast(
    cones: Sequence[Cone],
    bones: Sequence[Bone],
    camera: Camera,
    *,
    oversampling: int = 2,
    melt: npt.NDArray[np.float64] | None = None,
) -> Surface | None:
    """The nearest surface of `cones` as `camera` sees it; None if none of it is in the picture.

    `melt` gives for each material the distance (metres) within which its surfaces blend (0: not at all).
    """
    placed = _place(cones, bones, camera)
    if not placed:
        return None
    boxes = np.stack([target.box for target in placed.values()])
    left, top = np.maximum(np.floor(boxes[:, :2].min(axis=0)), 0).astype(int)
    limit = (camera.width, camera.height)
    right, bottom = np.minimum(np.ceil(boxes[:, 2:].max(axis=0)) + 1, limit).astype(int)
    if right <= left or bottom <= top:
        return None
    step = 1.0 / oversampling
    columns = left - 0.5 + (np.arange((right - left) * oversampling) + 0.5) * step
    rows = top - 0.5 + (np.arange((bottom - top) * oversampling) + 0.5) * step
    shape = (len(rows), len(columns))
    surface = Surface(
        left=int(left),
        top=int(top),
        oversampling=oversampling,
        depth=np.full(shape, np.inf, dtype=np.float32),
        normal=np.zeros((3, *shape), dtype=np.float32),
        cone=np.zeros(shape, dtype=np.uint8),
        rays_x=((columns - camera.centre[0]) / camera.focal).astype(np.float32),
        rays_y=((rows - camera.centre[1]) / camera.focal).astype(np.float32),
    )
    material = np.array([cone.material for cone in cones], dtype=np.uint8)
    for index, target in placed.items():
        x1, y1, x2, y2 = target.box
        window = (
            slice(*np.clip(np.array([y1 - top, y2 - top + 1]) * oversampling, 0, shape[0]).astype(int)),
            slice(*np.clip(np.array([x1 - left, x2 - left + 1]) * oversampling, 0, shape[1]).astype(int)),
        )
        blend = 0.0 if melt is None else float(melt[material[index]])
        _add(surface, index, target, window, material, blend)
    return surface


def _add(
    surface: Surface,
    index: int,
    target: _Placed,
    window: tuple[slice, slice],
    material: npt.NDArray[np.uint8],
    blend: float,
) -> None:
    """Hit one cone within a window of the surface and keep it where it is the nearest."""
    rows, columns = window
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    row, column, depth, normal = _intersect(target, surface.rays_x[columns], surface.rays_y[rows])
    if len(row) == 0:
        return
    flat = (row + rows.start) * surface.depth.shape[1] + (column + columns.start)
    depths, cones = surface.depth.reshape(-1), surface.cone.reshape(-1)
    normals = surface.normal.reshape(3, -1)
    before = depths[flat]
    if blend > 0:
        # Polynomial smooth minimum (I. Quilez, "smooth minimum"), on depth and on the direction.
        share = np.clip(0.5 + (before - depth) / (2 * blend), 0, 1)
        apart = (material[cones[flat]] != material[index]) | np.isinf(before)
        share[apart] = depth[apart] < before[apart]
        inside = (share > 0) & (share < 1)
        mixed = np.where(share > 0, depth, before)
        part = share[inside]
        mixed[inside] = part * depth[inside] + (1 - part) * before[inside] - blend * part * (1 - part)
        keep = share > 0
        flat, share = flat[keep], share[keep]
        depths[flat] = mixed[keep]
        normals[:, flat] = normals[:, flat] * (1 - share) + normal[:, keep] * share
        cones[flat[share > 0.5]] = index
    else:
        keep = depth < before
        flat = flat[keep]
        depths[flat] = depth[keep]
        normals[:, flat] = normal[:, keep]
        cones[flat] = index


def _intersect(target: _Placed, x: Real, y: Real) -> tuple[_Index, _Index, Real, Real]:
    """Where rays (x, y, 1) first hit a cone: rows and columns (P,), depths (P,) and normals (3, P).

    The formulas are those of I. Quilez's "Rounded cone - intersection" for rays of any length. Each ray
    starts in the plane of the first sphere's centre, which keeps the differences small enough for float32.
    """
    f32 = np.float32
    plane = target.start[2]
    ray_x, ray_y = target.to_squashed[:, 0], target.to_squashed[:, 1]
    ray_start = target.to_squashed @ (target.start / plane)
    dx = (x - f32(target.start[0] / plane))[None, :]
    dy = (y - f32(target.start[1] / plane))[:, None]

    def linear(by_x: Any, by_y: Any) -> Real:
        return dx * f32(by_x) + dy * f32(by_y)

    ra, rb, ba = target.start_radius, target.end_radius, target.along
    m5 = (  # squared distance of the ray's start from the first sphere's centre
        dx * dx * f32(ray_x @ ray_x * plane**2)
        + dx * (dy * f32(2 * (ray_x @ ray_y) * plane**2))
        + dy * dy * f32(ray_y @ ray_y * plane**2)
    )
    offset = linear(ray_start @ ray_x, ray_start @ ray_y)
    q = f32(ray_start @ ray_start) + 2 * offset + m5 * f32(1 / plane**2)  # squared length of the ray
    m3 = offset * f32(plane) + m5 * f32(1 / plane)
    m0, rr = float(ba @ ba), ra - rb
    d2 = m0 - rr * rr
    infinite = f32(np.inf)
    near_a = _sphere(q, m3, m5, ra)
    if d2 <= 1e-9:  # one sphere holds the other
        row, column = np.nonzero(near_a < infinite)
        t = near_a[row, column]
        share = np.zeros(len(row), dtype=np.float32)
    else:
        ray_along = linear(ba @ ray_x, ba @ ray_y)
        m1, m2 = ray_along * f32(plane), ray_along + f32(ba @ ray_start)
        k2 = f32(d2) * q - m2 * m2
        k1 = f32(d2) * m3 - m1 * m2 + m2 * f32(rr * ra)
        k0 = f32(d2) * m5 - m1 * m1 + m1 * f32(2 * rr * ra) - f32(m0 * ra * ra)
        h = k1 * k1 - k0 * k2
        t_all = (-k1 - np.sqrt(np.maximum(h, 0))) / np.where(np.abs(k2) < 1e-12, f32(1e-12), k2)
        height = m1 + t_all * m2 - f32(ra * rr)
        body = (h >= 0) & (height > 0) & (height < d2)
        near_b = _sphere(q, m3 - m2, m5 - 2 * m1 + f32(m0), rb)
        t_all = np.minimum(np.where(body, t_all, infinite), np.minimum(near_a, near_b))
        row, column = np.nonzero(t_all < infinite)
        t = t_all[row, column]
        share = np.clip((m1[row, column] + t * m2[row, column] - f32(ra * rr)) / f32(d2), 0, 1)
    hit_x, hit_y = dx[0, column], dy[row, 0]
    scale = t + f32(plane)
    normal = np.empty((3, len(row)), dtype=np.float32)
    for axis in range(3):
        normal[axis] = (
            (hit_x * f32(ray_x[axis]) + hit_y * f32(ray_y[axis])) * scale
            + t * f32(ray_start[axis])
            - share * f32(ba[axis])
        )
    normal = target.to_squashed.T.astype(np.float32) @ normal
    normal /= np.sqrt((normal * normal).sum(axis=0)) + f32(1e-12)
    return row, column, scale, normal


def _sphere(q: Real, m: Real, c: Real, radius: float) -> Real:
    """First root of q t² + 2 m t + c - radius² = 0, infinite where there is none."""
    h = m * m - q * (c - np.float32(radius * radius))
    return np.where(h >= 0, (-m - np.sqrt(np.maximum(h, 0))) / q, np.float32(np.inf))
