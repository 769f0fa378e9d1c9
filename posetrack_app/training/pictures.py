"""Batches drawn for the eye: people as training sees them, and where nothing is known.

Letters: B batch, K joints, H W height and width.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton
from posetrack_app.training.augmentation import CELL
from posetrack_app.training.sampling import Batch

__all__ = ["draw_batch"]

_LEFT, _RIGHT, _MIDDLE = (255, 170, 0), (0, 160, 255), (120, 255, 120)
_UNKNOWN_ALL, _UNKNOWN_SOME = (200, 0, 200), (255, 60, 60)
_GAP = 4


def draw_batch(batch: Batch, skeleton: Skeleton, *, columns: int = 4, most: int = 16) -> npt.NDArray[np.uint8]:
    """uint8 (H, W, 3) RGB: the pictures of a batch side by side, with limbs and joints.

    Left is orange, right is blue, the middle green. Where nothing is known of any joint pictures are violet; where
    nothing is known of some, red, the more the more joints.

    Args:
        batch: what to draw.
        skeleton: its joints.
        columns: pictures in a row.
        most: pictures in all; the first of the batch.
    """
    images = batch.images[:most].permute(0, 2, 3, 1).round().clamp(0, 255).byte().cpu().numpy()
    B, H, W = images.shape[:3]
    columns = max(1, min(columns, B))
    sheet = np.full((-(-B // columns) * (H + _GAP), columns * (W + _GAP), 3), 255, dtype=np.uint8)
    unknown = batch.labels.unknown[:most].cpu().numpy()
    xy = batch.labels.xy[:most].cpu().numpy()
    labelled = batch.labels.labelled[:most].cpu().numpy()
    for number in range(B):
        picture = _shaded(images[number], unknown[number])
        for places, known in zip(xy[number], labelled[number], strict=True):
            _draw_person(picture, places, known, skeleton)
        top, left = number // columns * (H + _GAP), number % columns * (W + _GAP)
        sheet[top : top + H, left : left + W] = picture
    return sheet


def _shaded(image: npt.NDArray[np.uint8], unknown: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """An image (H, W, 3) with a veil over cells of which something is unknown (K, H / 4, W / 4)."""
    share = unknown.mean(axis=0).repeat(CELL, axis=0).repeat(CELL, axis=1)[..., None]
    colour = np.where(share == 1, np.array(_UNKNOWN_ALL), np.array(_UNKNOWN_SOME))
    veil = np.where(share > 0, 0.25 + 0.25 * share, 0)
    return np.ascontiguousarray((image * (1 - veil) + colour * veil).astype(np.uint8))


def _draw_person(
    picture: npt.NDArray[np.uint8],
    xy: npt.NDArray[np.float32],
    labelled: npt.NDArray[np.bool_],
    skeleton: Skeleton,
) -> None:
    """Draw limbs and joints (K, 2), in cells, of which some are labelled."""
    colours = [_colour(name) for name in skeleton.joints]
    # OpenCV counts in sixteenths of a pixel here.
    places = np.round(((xy + 0.5) * CELL - 0.5) * 16).astype(int)
    for a, b in skeleton.limbs:
        if labelled[a] and labelled[b]:
            colour = colours[a] if colours[a] == colours[b] else _MIDDLE
            cv2.line(picture, places[a].tolist(), places[b].tolist(), colour, 1, cv2.LINE_AA, 4)
    for k in np.flatnonzero(labelled):
        cv2.circle(picture, places[k].tolist(), 2 * 16, colours[k], -1, cv2.LINE_AA, 4)


def _colour(joint: str) -> tuple[int, int, int]:
    """The colour of a joint by its name."""
    return _LEFT if joint.startswith("left_") else _RIGHT if joint.startswith("right_") else _MIDDLE
