"""What is drawn by chance for the photos of a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrack_app.training.augmentation import CELL, AugmentationConfig, Views, draw_views

CENTRES = np.array([[30.0, 40.0], [250.0, 60.0], [5.0, 5.0]])


def _draw(config: AugmentationConfig, *, seed: int = 0, size: tuple[int, int] = (128, 96), B: int = 40) -> Views:
    """Views of three photos, of two people, none and one."""
    rng = np.random.default_rng(seed)
    return draw_views(
        rng,
        config,
        photos=np.arange(B) % 3,
        seconds=np.arange(B)[::-1] % 3,
        photo_size=np.array([[300, 200], [50, 400], [64, 64]]),
        centres=CENTRES,
        first_centre=np.array([0, 2, 2, 3]),
        size=size,
    )


@given(seed=st.integers(0, 2**32), width=st.integers(2, 60), height=st.integers(2, 60))
def test_windows_tile_the_pictures(seed: int, width: int, height: int) -> None:
    size = (width * CELL, height * CELL)
    views = _draw(AugmentationConfig(mosaic=0.5), seed=seed, size=size)
    times = np.zeros((40, height, width), dtype=int)
    for picture, window in zip(views.picture, views.window, strict=True):
        assert not (window % CELL).any()
        left, top, right, bottom = window // CELL
        times[picture, top:bottom, left:right] += 1
    assert (times == 1).all()
    assert views.picture[:40].tolist() == list(range(40))


@given(seed=st.integers(0, 2**32))
def test_there_and_back(seed: int) -> None:
    """The maps are each other's inverse, turn and scale as they say, and mirror where they say."""
    config = AugmentationConfig(rotation_degrees=30)
    views = _draw(config, seed=seed)
    there = np.einsum("vij,nj->vni", views.forward[..., :2], CENTRES) + views.forward[:, None, :, 2]
    back = np.einsum("vij,vnj->vni", views.backward[..., :2], there) + views.backward[:, None, :, 2]
    np.testing.assert_allclose(back, np.broadcast_to(CENTRES, back.shape), atol=1e-8)
    linear = views.forward[..., :2]
    sign = np.where(views.mirrored, -1, 1)
    np.testing.assert_allclose(np.linalg.det(linear), sign * views.scale**2)
    np.testing.assert_allclose(
        linear @ linear.transpose(0, 2, 1), views.scale[:, None, None] ** 2 * np.eye(2), atol=1e-9
    )
    upright = linear[:, 1, 1] / views.scale  # cosine of the angle
    assert (upright >= np.cos(np.radians(30)) - 1e-9).all()
    areas = np.array([300 * 200, 50 * 400, 64 * 64])[views.photo] * views.scale**2 / (128 * 96)
    assert (areas >= config.min_zoom**2 - 1e-9).all()
    assert (areas <= config.max_zoom**2 + 1e-9).all()


def test_people_are_near_the_middle() -> None:
    """Nearer than `shift`, one or the other."""
    config = AugmentationConfig(rotation_degrees=0, person_centred=1, shift=0.1, mosaic=0, min_zoom=8, max_zoom=8)
    views = _draw(config, B=300)
    of_first = views.photo == 0
    places = np.einsum("vij,nj->vni", views.forward[of_first, :, :2], CENTRES[:2]) + views.forward[of_first, None, :, 2]
    away = np.abs(places - np.array([127, 95]) / 2) / np.array([128, 96])
    near = (away <= 0.1 + 1e-9).all(axis=2)
    assert near.any(axis=1).all()
    assert near.any(axis=0).all()  # each of both now and then


@pytest.mark.parametrize("changed", [{"min_zoom": 0}, {"min_zoom": 3.0}, {"mosaic": 1.1}, {"mirror": -0.1}])
def test_settings_that_make_no_sense(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed))):
        replace(AugmentationConfig(), **changed)
