"""Rounded cones seen through a camera: where each ray hits, and the surface's direction there.

Everything that is drawn in front of the background is made of one shape: two spheres and the cone that
touches both, squashed along the axes of the bone that carries it. One sphere squashed is an ellipsoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from posetrack_app.sample.space import Array, Bone, Camera, Real

__all__ = ["Cone", "Surface", "cast"]

_Index = npt.NDArray[np.intp]

_NEAREST = 0.3
"""Metres before the camera; whatever comes closer is not drawn."""

_THIN = 1e-6
_FAR = 1e6


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

    def __post_init__(self) -> None:
        """Refuse a sphere within the other: that is no cone."""
        apart = float(np.linalg.norm(np.subtract(self.end, self.start) / self.squash))
        if 0 < apart <= abs(self.start_radius - self.end_radius):
            raise ValueError(f"one sphere of {self} holds the other; give them one centre for an ellipsoid")


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
    return surface if np.isfinite(surface.depth).any() else None


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
    # Positions of the rays at depth 1, from the first centre, which keeps differences fit for float32.
    x = surface.rays_x[columns] - np.float32(target.start[0] / target.start[2])
    y = surface.rays_y[rows] - np.float32(target.start[1] / target.start[2])
    row, column = _candidates(target, x, y)
    hit, depth, normal = _first_hit(target, x[column], y[row])
    flat = (row[hit] + rows.start) * surface.depth.shape[1] + (column[hit] + columns.start)
    depths, cones = surface.depth.reshape(-1), surface.cone.reshape(-1)
    normals = surface.normal.reshape(3, -1)
    before = depths[flat]
    # Polynomial smooth minimum (I. Quilez, "smooth minimum"), on the depth and on the direction.
    alike = material[cones[flat]] == material[index]
    reach = np.where(alike, np.float32(max(blend, _THIN)), np.float32(_THIN))
    keep = np.flatnonzero(depth < before + reach)
    flat, reach, before, depth = flat[keep], reach[keep], before[keep], depth[keep]
    share = np.minimum(np.float32(0.5) + (before - depth) / (2 * reach), np.float32(1.0))
    depths[flat] = depth + (1 - share) * (np.minimum(before, _FAR) - depth - reach * share)
    normals[:, flat] = normals[:, flat] * (1 - share) + normal[:, keep] * share
    cones[flat[share > 0.5]] = index


def _candidates(target: _Placed, x: Real, y: Real) -> tuple[_Index, _Index]:
    """Rows and columns (P,) of the rays that hit the endless cone through both spheres.

    With the ray's direction d from the eye e, a quadric p' A p + 2 b' p + c is hit where
    (d' A e + b' d)² - (d' A d)(e' A e + 2 b' e + c) is not negative: a quadratic form in d.
    """
    ra, rr, along = target.start_radius, target.start_radius - target.end_radius, target.along
    m0 = float(along @ along)
    form, slope, constant = np.eye(3), np.zeros(3), -ra * ra
    if m0 > 0:
        form = (m0 - rr * rr) * form - np.outer(along, along)
        slope, constant = rr * ra * along, -m0 * ra * ra
    eye = -(target.to_squashed @ target.start)
    pull = form @ eye + slope
    seen = np.outer(pull, pull) - (eye @ form @ eye + 2 * slope @ eye + constant) * form
    seen = target.to_squashed.T @ seen @ target.to_squashed
    centre = target.start / target.start[2]
    across, level = (seen @ centre)[:2], centre @ seen @ centre
    by_x = (seen[0, 0] * x + 2 * across[0]) * x
    by_y = (seen[1, 1] * y + 2 * across[1]) * y + level
    by_both = (2 * seen[0, 1] * x).astype(np.float32)
    hit = by_y.astype(np.float32)[:, None] + by_x.astype(np.float32)
    hit += y[:, None] * by_both
    row, column = np.nonzero(hit >= 0)
    return row, column


def _first_hit(target: _Placed, x: Real, y: Real) -> tuple[_Index, Real, Real]:
    """Which of P rays hit a cone (Q,), the depth (Q,), and the direction of the surface there (3, Q).

    The formulas are those of I. Quilez's "Rounded cone - intersection" for rays of any length that start in
    the plane of the first centre; `x` and `y` (P,) count from that centre at depth 1.
    """
    f32 = np.float32
    plane = target.start[2]
    ray_x, ray_y = target.to_squashed[:, 0], target.to_squashed[:, 1]
    ray_start = target.to_squashed @ (target.start / plane)
    ra, rb, along = target.start_radius, target.end_radius, target.along
    aside = x * f32(ray_start @ ray_x) + y * f32(ray_start @ ray_y)
    m5 = (  # squared distance of the ray's start from the first centre
        (x * f32(ray_x @ ray_x) + y * f32(2 * ray_x @ ray_y)) * x + y * y * f32(ray_y @ ray_y)
    ) * f32(plane**2)
    q = f32(ray_start @ ray_start) + 2 * aside + m5 * f32(1 / plane**2)  # squared length of the ray
    m3 = aside * f32(plane) + m5 * f32(1 / plane)
    t = _sphere(q, m3, m5, ra)
    m0, rr = float(along @ along), ra - rb
    d2 = m0 - rr * rr
    if m0 > 0:
        sideways = x * f32(along @ ray_x) + y * f32(along @ ray_y)
        m1, m2 = sideways * f32(plane), sideways + f32(along @ ray_start)
        t = np.minimum(t, _sphere(q, m3 - m2, m5 - 2 * m1 + f32(m0), rb))
        k2 = f32(d2) * q - m2 * m2
        k1 = f32(d2) * m3 - m1 * m2 + m2 * f32(rr * ra)
        k0 = f32(d2) * m5 - m1 * m1 + m1 * f32(2 * rr * ra) - f32(m0 * ra * ra)
        side = (-k1 - np.sqrt(np.maximum(k1 * k1 - k0 * k2, 0))) / np.where(k2 == 0, f32(_THIN), k2)
        height = m1 + side * m2 - f32(ra * rr)
        t = np.where((height > 0) & (height < d2), np.minimum(side, t), t)
    hit = np.flatnonzero(t < np.inf)
    t, x, y = t[hit], x[hit], y[hit]
    depth = t + f32(plane)
    share = np.zeros_like(t)
    if d2 > 0:
        height = m1[hit] + t * m2[hit] - f32(ra * rr)
        share = np.minimum(np.maximum(height * f32(1 / d2), f32(0)), f32(1))
    normal = np.empty((3, len(t)), dtype=np.float32)
    for axis in range(3):
        normal[axis] = (x * f32(ray_x[axis]) + y * f32(ray_y[axis])) * depth + t * f32(ray_start[axis])
        normal[axis] -= share * f32(along[axis])
    normal = target.to_squashed.T.astype(np.float32) @ normal
    normal /= np.sqrt(np.einsum("ip,ip->p", normal, normal)) + f32(_THIN)
    return hit, depth, normal


def _sphere(q: Real, m: Real, c: Real, radius: float) -> Real:
    """First root of q t² + 2 m t + c - radius² = 0, infinite where there is none."""
    h = m * m - q * (c - np.float32(radius * radius))
    return np.where(h >= 0, (-m - np.sqrt(np.maximum(h, 0))) / q, np.float32(np.inf))
