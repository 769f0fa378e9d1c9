"""Smaller pictures to draw on, and people who fit them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from posetrack_app.types import Frame, Poses

__all__ = ["scaled", "scaled_size"]


def scaled_size(width: int, height: int, scale: float) -> tuple[int, int]:
    """Width and height at a share of the size, at least a pixel.

    >>> scaled_size(1279, 720, 0.5)
    (640, 360)
    """
    return max(1, round(width * scale)), max(1, round(height * scale))


def scaled(frame: Frame, poses: Poses, scale: float) -> tuple[Frame, Poses]:
    """A frame and its people at a share of the size; at 1 as they are. Pixels count from the centre of the first."""
    height, width = frame.image.shape[:2]
    size = scaled_size(width, height, scale)
    if size == (width, height) or not frame.image.size:
        return frame, poses
    image = np.asarray(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    share = np.divide(size, (width, height))
    xy = np.where(poses.joint_score[..., None] > 0, (poses.xy + 0.5) * share - 0.5, 0).astype(np.float32)
    return replace(frame, image=image), replace(poses, xy=xy)
