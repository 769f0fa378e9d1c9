"""The place where people walk: a paved square with lawn, trees, houses and sky, and the pillar."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

from posetrack_app.sample.pillar import paint_pillar, pillar_cones
from posetrack_app.sample.shadow import cast_shadows
from posetrack_app.sample.space import Array, Camera, Real

__all__ = ["Backdrop", "paint_backdrop"]

_Colour = tuple[float, float, float]

_LAWN = 14.5  # metres from the camera, as all that follow
_HOUSES = 27.0
_TILE = 0.75

_FRONTS: tuple[_Colour, ...] = (
    (0.66, 0.42, 0.34), (0.80, 0.74, 0.62), (0.58, 0.60, 0.62), (0.73, 0.62, 0.48), (0.62, 0.66, 0.58),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Backdrop:
    """What lies behind the people, wider than the picture so that the camera can turn."""

    image: Real
    """float32 (h, w, 3): linear colours 0..1."""

    pillar: Real
    """float32 (h, w, 4): the pillar alone, linear colours multiplied by the cover, and the cover."""

    camera: Camera
    """The camera at rest that saw it."""

    def seen_by(self, camera: Camera) -> tuple[Real, Real]:
        """float32 (H, W, 3) and (H, W, 4): backdrop and pillar as the camera sees them once turned.

        A camera that turns and stays in its place sees the same picture warped, whatever the distances.
        """
        to_rest = _intrinsics(self.camera) @ self.camera.rotation
        turn = _intrinsics(camera) @ camera.rotation @ np.linalg.inv(to_rest)
        size = (camera.width, camera.height)
        image, column = (
            np.asarray(cv2.warpPerspective(layer, turn, size, borderMode=border), dtype=np.float32)
            for layer, border in ((self.image, cv2.BORDER_REPLICATE), (self.pillar, cv2.BORDER_CONSTANT))
        )
        return image, column


def _intrinsics(camera: Camera) -> Array:
    return np.array([[camera.focal, 0, camera.centre[0]], [0, camera.focal, camera.centre[1]], [0, 0, 1]])


def _cloud(rng: np.random.Generator, size: int = 512) -> Real:
    """(size, size) noise of many scales that repeats, mean 0, about unit variance."""
    spectrum = np.fft.rfft2(rng.standard_normal((size, size)))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(spectrum / frequency**1.1, s=(size, size))
    return np.asarray(noise / noise.std(), dtype=np.float32)


def _sample(noise: Real, x: Array, y: Array) -> Array:
    """Noise at places (x, y) counted in its cells; it repeats."""
    return np.asarray(map_coordinates(noise, [y, x], order=1, mode="grid-wrap", output=np.float64))


def paint_backdrop(camera: Camera, *, widest_turn: float, rng: np.random.Generator) -> Backdrop:
    """The backdrop for a camera that turns at most `widest_turn` radians to either side."""
    fine = 2
    margin = int(np.ceil(np.tan(widest_turn) * camera.focal * 1.5)) + 4
    wide = replace(camera, width=camera.width + 2 * margin, yaw=0.0)
    columns = ((np.arange(wide.width * fine) + 0.5) / fine - 0.5 - wide.centre[0]) / wide.focal
    rows = ((np.arange(wide.height * fine) + 0.5) / fine - 0.5 - wide.centre[1]) / wide.focal
    x, y = np.meshgrid(columns, rows)
    # Rays of a camera at yaw 0: only the downward tilt turns them.
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ wide.rotation
    noise = _cloud(rng)
    screen = _sky(rays, noise)
    _paint_houses(screen, rays, wide, noise, rng)
    _paint_ground(screen, rays, wide, noise, rng)
    _paint_trees(screen, rays, wide, noise, rng)
    linear = np.square(np.clip(screen, 0, 1))
    size = (wide.width, wide.height)
    image = np.asarray(cv2.resize(linear, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    cast_shadows(image, [pillar_cones()], wide)
    return Backdrop(image=image, pillar=paint_pillar(wide), camera=wide)


def _sky(rays: Array, noise: Real) -> Array:
    height = np.clip(rays[..., 1] / rays[..., 2] / 0.5, 0, 1)[..., None]
    blue = np.array([0.80, 0.87, 0.95]) * (1 - height) + np.array([0.42, 0.62, 0.88]) * height
    clouds = _sample(noise, rays[..., 0] / rays[..., 2] * 300, rays[..., 1] / rays[..., 2] * 700)
    return blue + (np.array([0.97, 0.97, 0.98]) - blue) * np.clip(clouds * 0.4, 0, 0.8)[..., None]


def _paint_houses(screen: Array, rays: Array, camera: Camera, noise: Real, rng: np.random.Generator) -> None:
    """A row of fronts with windows, in the plane z = `_HOUSES`."""
    x = rays[..., 0] / rays[..., 2] * _HOUSES
    y = rays[..., 1] / rays[..., 2] * _HOUSES + camera.elevation
    edge = -32.0
    while edge < 32.0:
        width, storeys = float(rng.uniform(6.5, 10.0)), int(rng.integers(3, 5))
        front = np.array(_FRONTS[int(rng.integers(len(_FRONTS)))])
        top = 3.1 * storeys + 0.8
        inside = (x >= edge) & (x < edge + width) & (y < top)
        stain = _sample(noise, x[inside] * 9, y[inside] * 9) * 0.03
        colour = front * (1 + stain[:, None])
        u, v = (x[inside] - edge) / width * round(width / 2.2) % 1.0, y[inside] / 3.1 % 1.0
        window = (np.abs(u - 0.5) < 0.25) & (np.abs(v - 0.5) < 0.28)
        frame = (np.abs(u - 0.5) < 0.30) & (np.abs(v - 0.5) < 0.32) & ~window
        colour[frame] = front * 0.4 + 0.55
        colour[window] = np.array([0.24, 0.29, 0.34]) + 0.25 * np.clip(v[window] - 0.4, 0, 1)[:, None]
        colour[window & (np.abs(u - 0.5) < 0.02)] = 0.85
        colour[y[inside] > top - 0.45] *= 0.75
        screen[inside] = colour
        edge += width


def _paint_ground(screen: Array, rays: Array, camera: Camera, noise: Real, rng: np.random.Generator) -> None:
    """Paving in front, lawn behind, a hedge before the houses."""
    below = rays[..., 1] < -1e-6
    distance = np.where(below, camera.elevation / np.where(below, -rays[..., 1], 1.0), np.inf)
    x, z = rays[..., 0] * distance, rays[..., 2] * distance
    ground = z < _HOUSES
    hedge = (z >= _HOUSES - 3) & ground
    y_hedge = rays[..., 1] / rays[..., 2] * (_HOUSES - 3) + camera.elevation
    top = 1.05 + 0.06 * _sample(noise, rays[..., 0] * 900, np.zeros_like(x))
    hedge |= (y_hedge < top) & (y_hedge > 0)
    paved, lawn = ground & (z < _LAWN), ground & (z >= _LAWN)

    px, pz = x[paved], z[paved]
    shade = rng.uniform(-0.05, 0.05, (64, 64))
    row = np.floor(pz / _TILE).astype(int)
    shifted = px / _TILE + 0.5 * (row % 2)
    tile = shade[row % 64, np.floor(shifted).astype(int) % 64]
    grout = np.minimum(np.abs(shifted % 1 - 0.5), 2.0), np.abs(pz / _TILE % 1 - 0.5)
    # The joints between stones thin out with distance, or they would flicker.
    line = ((grout[0] > 0.485) | (grout[1] > 0.485)) * np.clip(1.3 - pz / 14, 0, 1)
    rough = 0.03 * _sample(noise, px * 40, pz * 40)
    tone = (0.60 + tile + rough) * (1 - 0.25 * line)
    screen[paved] = tone[:, None] * np.array([1.0, 0.97, 0.92])
    gx, gz = x[lawn], z[lawn]
    blades = 0.06 * _sample(noise, gx * 60, gz * 60)
    screen[lawn] = np.array([0.40, 0.53, 0.26]) * (1 + blades[:, None])
    screen[lawn & (z < _LAWN + 0.25)] = (0.72, 0.71, 0.68)
    leaves = 0.5 + 0.13 * _sample(noise, rays[..., 0][hedge] * 900, y_hedge[hedge] * 45)
    screen[hedge] = np.array([0.34, 0.46, 0.24]) * (leaves + 0.35)[:, None]


def _paint_trees(screen: Array, rays: Array, camera: Camera, noise: Real, rng: np.random.Generator) -> None:
    """Trees on the lawn, nearest last."""
    for place in np.sort(rng.uniform(17.0, 23.0, 4))[::-1]:
        centre = float(rng.uniform(-11, 11))
        x = rays[..., 0] / rays[..., 2] * place - centre
        y = rays[..., 1] / rays[..., 2] * place + camera.elevation
        trunk = (np.abs(x) < 0.17 - 0.012 * y) & (y > 0) & (y < 4.0)
        bark = 0.42 + 0.05 * _sample(noise, x[trunk] * 120, y[trunk] * 15) - 0.5 * x[trunk]
        screen[trunk] = bark[:, None] * np.array([1.0, 0.82, 0.66])
        ragged = _sample(noise, x * 25 + 100 * place, y * 25)
        crown = ((x / 2.3) ** 2 + ((y - 5.0) / 2.4) ** 2) < 1 + 0.22 * ragged
        light = 0.62 + 0.10 * (y[crown] - 5.0) - 0.07 * x[crown] + 0.12 * ragged[crown]
        screen[crown] = np.array([0.48, 0.62, 0.30]) * light[:, None]
