"""The ray caster against balls put side by side, which is what a rounded cone is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrack_app.sample.raycast import Cone, Surface, cast
from posetrack_app.sample.space import Bone, Camera

CAMERA = Camera(width=40, height=30, focal=40.0, elevation=1.5, pitch=0.1, yaw=0.05)


def _rotation(rng: np.random.Generator) -> np.ndarray:
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def _first_of_many_balls(cone: Cone, bone: Bone, rays: np.ndarray) -> np.ndarray:
    """Depth at which rays (P, 3) of camera axes first meet any of many squashed balls from start to end."""
    rotation = CAMERA.rotation @ bone.rotation
    origin = CAMERA.rotation @ (bone.origin - CAMERA.position)
    squash = np.array(cone.squash)
    local_rays = rays @ rotation / squash
    eye = -(origin @ rotation) / squash
    nearest = np.full(len(rays), np.inf)
    for share in np.linspace(0, 1, 600):
        centre = ((1 - share) * np.array(cone.start) + share * np.array(cone.end)) / squash
        radius = (1 - share) * cone.start_radius + share * cone.end_radius
        a = (local_rays**2).sum(axis=1)
        b = local_rays @ (eye - centre)
        c = ((eye - centre) ** 2).sum() - radius**2
        h = b * b - a * c
        depth = np.where(h >= 0, (-b - np.sqrt(np.maximum(h, 0))) / a, np.inf)
        nearest = np.minimum(nearest, depth)
    return nearest


def _rays(surface: Surface) -> np.ndarray:
    x, y = np.meshgrid(surface.rays_x, surface.rays_y)
    return np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3).astype(np.float64)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), point=st.booleans())
def test_depth_is_that_of_a_row_of_balls(seed: int, point: bool) -> None:
    rng = np.random.default_rng(seed)
    bone = Bone(_rotation(rng), np.array([0.0, 1.2, 3.5]) + rng.normal(0, 0.3, 3))
    start = rng.normal(0, 0.2, 3)
    end = start if point else start + rng.normal(0, 0.4, 3)
    squash = tuple(rng.uniform(0.4, 1.0, 3))
    apart = float(np.linalg.norm((end - start) / np.array(squash)))
    start_radius = float(rng.uniform(0.1, 0.4))
    end_radius = start_radius if point else float(np.clip(start_radius + rng.uniform(-0.9, 0.9) * apart, 0.05, 0.5))
    cone = Cone(0, tuple(start), tuple(end), start_radius, end_radius, 0, squash)
    surface = cast([cone], [bone], CAMERA)
    if surface is None:
        return
    expected = _first_of_many_balls(cone, bone, _rays(surface)).reshape(surface.depth.shape)
    both = np.isfinite(surface.depth) & np.isfinite(expected)
    assert np.abs(surface.depth[both] - expected[both]).max(initial=0) < 5e-3
    # Rays that graze the outline may be counted either way.
    assert (np.isfinite(surface.depth) != np.isfinite(expected)).sum() <= 4 + 0.02 * both.sum()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_direction_of_the_surface_is_the_slope_of_its_depth(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bone = Bone(_rotation(rng), np.array([0.0, 1.2, 3.0]))
    squash = tuple(rng.uniform(0.5, 1.0, 3))
    cone = Cone(0, (0.0, -0.3, 0.0), (0.1, 0.3, 0.1), 0.3, 0.35, 0, squash)
    surface = cast([cone], [bone], CAMERA, oversampling=4)
    assert surface is not None
    depth = np.where(np.isfinite(surface.depth), surface.depth, 0)
    points = _rays(surface).reshape(*depth.shape, 3) * depth[..., None]
    right, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
    slope = np.cross(down, right)
    slope /= np.linalg.norm(slope, axis=-1, keepdims=True) + 1e-12
    normal = np.moveaxis(surface.normal, 0, -1)[1:-1, 1:-1]
    facing = -normal[..., 2]
    whole = np.isfinite(surface.depth)
    inner = whole[1:-1, 1:-1] & whole[2:, 1:-1] & whole[:-2, 1:-1] & whole[1:-1, 2:] & whole[1:-1, :-2] & (facing > 0.5)
    assert inner.any()
    assert np.median((slope * normal).sum(axis=-1)[inner]) > 0.99


def test_the_nearer_of_two_is_seen() -> None:
    bones = [Bone(np.eye(3), np.array([0.0, 1.2, z])) for z in (3.0, 2.0)]
    ball = ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    surface = cast([Cone(1, *ball, 0.2, 0.2, 0), Cone(0, *ball, 0.5, 0.5, 1)], bones, CAMERA)
    assert surface is not None
    middle = surface.cone[surface.cone.shape[0] // 2, surface.cone.shape[1] // 2]
    assert middle == 0
    assert set(surface.cone[np.isfinite(surface.depth)].tolist()) == {0, 1}


def test_nothing_to_see() -> None:
    behind = Bone(np.eye(3), np.array([0.0, 1.5, -3.0]))
    aside = Bone(np.eye(3), np.array([50.0, 1.5, 3.0]))
    ball = Cone(0, (0, 0, 0), (0, 0, 0), 0.2, 0.2, 0)
    assert cast([], [], CAMERA) is None
    assert cast([ball], [behind], CAMERA) is None
    assert cast([ball], [aside], CAMERA) is None


def test_a_sphere_within_the_other_is_refused() -> None:
    with pytest.raises(ValueError, match="holds the other"):
        Cone(0, (0, 0, 0), (0, 0.1, 0), 0.5, 0.1, 0)
