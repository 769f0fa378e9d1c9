"""Light on what the rays hit: sun, sky and ground, folds in cloth, darkness between limbs."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from posetrack_app.sample.paint import Texture, bare_colours
from posetrack_app.sample.raycast import Cone, Surface
from posetrack_app.sample.space import Bone, Camera, Real
from posetrack_app.sample.wardrobe import Clothing, Material

__all__ = ["MELT", "SUN", "local_points", "shade_person", "shade_plain"]


SUN = np.array([-0.66, 0.64, -0.39]) / np.linalg.norm([0.66, 0.64, 0.39])
"""(3,): unit direction towards the sun, world."""

_SUNLIGHT = np.array([1.10, 1.04, 0.94])
_SKYLIGHT = np.array([0.38, 0.42, 0.48])
_GROUNDLIGHT = np.array([0.22, 0.20, 0.18])

MELT = np.array([0.012, 0.012, 0.02, 0.03, 0.03, 0.01, 0.0])
"""By material: metres within which its surfaces melt into each other."""

_ROUGHNESS = np.array([0.04, 0.04, 0.45, 0.25, 0.25, 0.06, 0.0])
"""By material: how much folds and strands tilt the surface."""

_GLOSS = np.array([0.05, 0.05, 0.08, 0.0, 0.0, 0.15, 0.0])
"""By material: strength of the highlight."""


def _lit(albedo: Real, normal: Real, camera: Camera, open_to_sky: Real) -> Real:
    """Linear colours (3, P) under sun, sky and the light that the ground throws back."""
    sun = (camera.rotation @ SUN).astype(np.float32)
    up = camera.rotation[:, 1].astype(np.float32)
    facing = np.tensordot(sun, normal, 1)
    # A little wrap, as light creeps around soft edges.
    direct = np.clip((facing + 0.12) / 1.12, 0, None) * (0.35 + 0.65 * open_to_sky)
    upward = 0.5 + 0.5 * np.tensordot(up, normal, 1)
    light = (
        _SUNLIGHT.astype(np.float32)[:, None] * direct
        + (_SKYLIGHT.astype(np.float32)[:, None] * upward + _GROUNDLIGHT.astype(np.float32)[:, None] * (1 - upward))
        * open_to_sky
    )
    return albedo * light


def _openness(surface: Surface, camera: Camera) -> Real:
    """float32 (h, w), 0..1: darker where something nearer stands beside.

    T. Luft, C. Colditz and O. Deussen, "Image enhancement by unsharp masking the depth buffer", 2006.
    """
    hit = np.isfinite(surface.depth)
    far = float(surface.depth[hit].max()) + 0.05
    depth = np.where(hit, surface.depth, np.float32(far))
    sigma = 0.05 * camera.focal / far * surface.oversampling
    small = cv2.resize(depth, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    blurred = cv2.resize(cv2.GaussianBlur(small, (0, 0), max(sigma / 4, 0.6)), depth.shape[::-1])
    return np.asarray(np.clip(1.0 - np.clip(depth - blurred, 0, 0.12) * 5.0, 0.35, 1.0))


def shade_person(
    surface: Surface,
    cones: Sequence[Cone],
    bones: Sequence[Bone],
    camera: Camera,
    clothing: Clothing,
    texture: Texture,
) -> tuple[Real, Real]:
    """Colours of a person, one for each pixel of the surface's window.

    Returns:
        float32 (H, W, 3) linear colours 0..1, multiplied by the cover, and float32 (H, W) cover 0..1.
    """
    hit = np.flatnonzero(np.isfinite(surface.depth))
    cone = surface.cone.reshape(-1)[hit]
    part = np.array([item.bone for item in cones])[cone]
    material = np.array([item.material for item in cones])[cone]
    normal = surface.normal.reshape(3, -1)[:, hit]
    local, to_camera = local_points(surface, hit, part, bones, camera)
    albedo = bare_colours(local, part, material, clothing, texture)

    roughness = _ROUGHNESS.astype(np.float32)[material]
    # Folds run around the limbs, strands along the hair.
    grain = np.where(material == Material.HAIR, np.float32(1.6), np.float32(1.0))
    steps = local * np.array([[110.0], [150.0], [110.0]], dtype=np.float32) * grain
    steps[1, material == Material.HAIR] *= 0.25
    cell = steps.astype(np.int64) % len(texture.slope)
    slope = texture.slope[cell[0], cell[1], cell[2]].T * roughness
    normal += np.einsum("pij,jp->ip", to_camera[part], slope)
    normal /= np.sqrt((normal * normal).sum(axis=0)) + np.float32(1e-6)

    openness = _openness(surface, camera).reshape(-1)[hit]
    colour = _lit(albedo, normal, camera, openness)
    sun = camera.rotation @ SUN
    halfway = sun + np.array([0.0, 0.0, -1.0])
    halfway /= np.linalg.norm(halfway)
    shine = np.clip(np.tensordot(halfway.astype(np.float32), normal, 1), 0, 1) ** 24
    colour += shine * _GLOSS.astype(np.float32)[material] * openness
    return _down(surface, hit, colour)


def shade_plain(surface: Surface, albedo: Real, camera: Camera) -> tuple[Real, Real]:
    """As `shade_person`, for a smooth thing; `albedo` (3, P) has a linear colour for each ray that hits."""
    hit = np.flatnonzero(np.isfinite(surface.depth))
    normal = surface.normal.reshape(3, -1)[:, hit]
    return _down(surface, hit, _lit(albedo, normal, camera, np.ones(len(hit), dtype=np.float32)))


def _down(surface: Surface, hit: npt.NDArray[np.intp], colour: Real) -> tuple[Real, Real]:
    """Mean over the rays of each pixel: colours times cover, and cover."""
    height, width = surface.depth.shape
    fine = np.zeros((height * width, 4), dtype=np.float32)
    fine[hit, :3] = colour.T
    fine[hit, 3] = 1.0
    n = surface.oversampling
    rays = fine.reshape(height, width, 4)
    pixels = np.asarray(cv2.resize(rays, (width // n, height // n), interpolation=cv2.INTER_AREA), dtype=np.float32)
    return pixels[..., :3], pixels[..., 3]


def local_points(
    surface: Surface,
    hit: npt.NDArray[np.intp],
    part: npt.NDArray[np.int64],
    bones: Sequence[Bone],
    camera: Camera,
) -> tuple[Real, Real]:
    """Hit points (3, P) in the frames of their bones, and (bones, 3, 3) from there to camera axes."""
    row, column = np.divmod(hit, surface.depth.shape[1])
    depth = surface.depth.reshape(-1)[hit]
    seen = np.stack([surface.rays_x[column] * depth, surface.rays_y[row] * depth, depth])
    to_camera = np.stack([camera.rotation @ bone.rotation for bone in bones]).astype(np.float32)
    origins = np.stack([camera.rotation @ (bone.origin - camera.position) for bone in bones])
    relative = seen - origins.astype(np.float32)[part].T
    return np.einsum("pij,ip->jp", to_camera[part], relative), to_camera
