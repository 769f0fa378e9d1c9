"""Colours of bare surfaces, before any light falls on them: skin, faces, hair, cloth and its patterns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from posetrack_app.sample.body import Part
from posetrack_app.sample.space import Real
from posetrack_app.sample.wardrobe import Clothing, Material

__all__ = ["Texture", "bare_colours", "make_texture"]


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """Noise that fills space and repeats."""

    slope: Real
    """float32 (S, S, S, 3): gradient of smooth noise, about unit variance."""

    value: Real
    """float32 (S, S, S): the smooth noise itself, about unit variance."""


def make_texture(rng: np.random.Generator, size: int = 48) -> Texture:
    """Noise for folds, strands and stains; `size` is a side of the cube that repeats."""
    value = gaussian_filter(rng.standard_normal((size, size, size)), 2.2, mode="wrap")
    slope = np.stack([np.roll(value, -1, axis) - np.roll(value, 1, axis) for axis in range(3)], axis=-1)
    return Texture(slope=(slope / slope.std()).astype(np.float32), value=(value / value.std()).astype(np.float32))


def bare_colours(
    local: Real,
    part: npt.NDArray[np.int64],
    material: npt.NDArray[np.int64],
    clothing: Clothing,
    texture: Texture,
) -> Real:
    """Linear colour (3, P) of the bare surface."""
    skin = np.array(clothing.skin)
    table = np.array(
        [
            skin, skin, clothing.hair, clothing.shirt, clothing.trousers, clothing.shoes,
            (0.82, 0.80, 0.76),
        ]
    )  # fmt: skip
    albedo = np.ascontiguousarray((table[material] ** 2).T, dtype=np.float32)
    shirt = np.flatnonzero(material == Material.SHIRT)
    if clothing.pattern != "plain":
        _print_pattern(albedo, local, part, shirt, clothing)
    face = np.flatnonzero(material == Material.FACE)
    albedo[:, face] *= _face(local[:, face], clothing)
    cell = (local * np.float32(45.0)).astype(np.int64) % len(texture.value)
    return np.asarray(albedo * (1.0 + np.float32(0.04) * texture.value[cell[0], cell[1], cell[2]]))


def _print_pattern(
    albedo: Real,
    local: Real,
    part: npt.NDArray[np.int64],
    shirt: npt.NDArray[np.intp],
    clothing: Clothing,
) -> None:
    """Stripes around trunk and sleeves, and across them for a check."""
    second = (np.array(clothing.shirt_pattern) ** 2).astype(np.float32)[:, None]
    points = local[:, shirt]
    # The chest begins at the waist, 0.10 m above the pelvis.
    along = points[1] + np.where(part[shirt] == Part.CHEST, np.float32(0.10), np.float32(0.0))
    share = (np.sin(along * np.float32(2 * np.pi / 0.075)) > 0.25).astype(np.float32)
    if clothing.pattern == "check":
        across = (np.sin(points[0] * np.float32(2 * np.pi / 0.075)) > 0.25).astype(np.float32)
        share = (share + across) * np.float32(0.45)
    albedo[:, shirt] = albedo[:, shirt] * (1 - share) + second * share


def _face(local: Real, clothing: Clothing) -> Real:
    """Factors (3, P) on the skin's linear colour that paint eyes, brows, lips, cheeks and beard."""
    x, y, z = np.abs(local[0]), local[1], local[2]
    front = z > 0.035

    def spot(cx: float, cy: float, rx: float, ry: float) -> Real:
        """1 inside an ellipse on the face, 0 outside, soft at the rim."""
        from_centre = np.hypot((x - np.float32(cx)) / np.float32(rx), (y - np.float32(cy)) / np.float32(ry))
        return np.asarray(np.clip((1 - from_centre**2) * np.float32(2.5), 0, 1) * front)

    skin = (np.array(clothing.skin) ** 2)[:, None]

    def paint(base: Real, colour: tuple[float, float, float], share: Real) -> Real:
        factor = (np.array(colour)[:, None] ** 2 / skin).astype(np.float32)
        return np.asarray(base * (1 - share) + factor * share)

    hair = clothing.hair
    tone = np.ones_like(local)
    tone *= 1 - np.array([[0.02], [0.14], [0.14]], dtype=np.float32) * spot(0.040, -0.045, 0.026, 0.022)
    tone *= 1 - np.float32(0.30) * spot(0.031, 0.004, 0.025, 0.017)
    if clothing.beard:
        around_mouth = np.clip(2 * spot(0.0, -0.095, 0.085, 0.045) - spot(0.0, -0.068, 0.03, 0.012), 0, 1)
        tone = paint(tone, hair, 0.8 * around_mouth)
    tone = paint(tone, (0.93, 0.92, 0.90), spot(0.031, 0.0, 0.0155, 0.0085))
    tone = paint(tone, (0.16, 0.11, 0.08), spot(0.031, 0.0005, 0.0078, 0.0082))
    tone = paint(tone, hair, 0.85 * spot(0.033, 0.0215, 0.021, 0.0055))
    lips = tuple(float(value) for value in np.array(clothing.skin) * np.array([0.86, 0.60, 0.60]))
    tone = paint(tone, (lips[0], lips[1], lips[2]), spot(0.0, -0.070, 0.026, 0.010))
    return np.asarray(tone * (1 - np.float32(0.45) * spot(0.0, -0.0695, 0.024, 0.002)))
