"""Where heads are, from whichever joints are found, and how they are made unrecognisable.

Letters: N persons, K joints, Q pairs of joints.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from models.skeleton import Skeleton

__all__ = ["HeadModel", "obscure"]

Floats = npt.NDArray[np.float64]

# Radius of a ball around head and hair, as a multiple of the distance of two joints of an upright adult who faces
# the camera. Turning away only shortens a distance: the largest of all radii counts.
_RATIOS: dict[tuple[str, str], float] = {
    ("left_ear", "right_ear"): 1.05,
    ("left_eye", "right_eye"): 2.3,
    ("nose", "left_ear"): 1.15,
    ("nose", "right_ear"): 1.15,
    ("nose", "left_eye"): 2.2,
    ("nose", "right_eye"): 2.2,
    ("left_eye", "left_ear"): 1.5,
    ("right_eye", "right_ear"): 1.5,
    ("head_bottom", "head_top"): 0.62,
    ("nose", "head_top"): 1.0,
    ("left_shoulder", "right_shoulder"): 0.4,
    ("left_shoulder", "left_hip"): 0.28,
    ("right_shoulder", "right_hip"): 0.28,
}
_OF_SCALE = 0.33
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "head_bottom", "head_top")
_ABOVE_SHOULDERS = 1.75
"""From the middle of the shoulders to the middle of the head, in radii."""
_SMALLEST = 4.0
"""Pixels: the places of joints are not better known than this."""


class HeadModel:
    """Estimates heads from the joints of a skeleton."""

    def __init__(self, skeleton: Skeleton) -> None:
        def known(*names: str) -> npt.NDArray[np.intp]:
            return np.array([skeleton.index(name) for name in names if name in skeleton.joints], dtype=np.intp)

        pairs = {pair: ratio for pair, ratio in _RATIOS.items() if len(known(*pair)) == 2}
        self._pairs = np.array([known(*pair) for pair in pairs], dtype=np.intp).reshape(-1, 2)  # (Q, 2)
        self._ratios = np.array(list(pairs.values()))  # (Q,)
        self._face = known(*_FACE)
        self._shoulders = known("left_shoulder", "right_shoulder")
        self._hips = known("left_hip", "right_hip")

    def locate(self, xy: Floats, joint_score: Floats, scale: Floats, *, limit: Floats) -> Floats:
        """(N, 3): x, y and radius of a circle around each head, in pixels; radius 0 where nothing tells.

        Args:
            xy: (N, K, 2) in pixels.
            joint_score: (N, K), 0 = not found.
            scale: (N,): about the length of a thigh in pixels.
            limit: (N,): the largest radius, in pixels.
        """
        face, faces = _middle(xy, joint_score, self._face)
        shoulders, n_shoulders = _middle(xy, joint_score, self._shoulders)
        hips, n_hips = _middle(xy, joint_score, self._hips)
        found = joint_score > 0
        one, other = self._pairs.T
        apart = np.hypot(*np.moveaxis(xy[:, one] - xy[:, other], -1, 0))  # (N, Q)
        radius = np.where(found[:, one] & found[:, other], apart * self._ratios, 0.0).max(axis=1, initial=0.0)
        radius = np.maximum(np.maximum(radius, _OF_SCALE * scale), _SMALLEST)
        # One mark alone may lie anywhere on the head; shoulders alone leave its place open.
        doubt = np.where(faces == 1, 1.25, np.where(faces > 1, 1.0, np.where(n_shoulders == 1, 2.0, 1.3)))
        up = np.where(((n_hips > 0) & (n_shoulders > 0))[:, None], shoulders - hips, [0.0, -1.0])
        length = np.hypot(up[:, 0], up[:, 1])[:, None]
        up = np.where(length > 0, up / np.where(length > 0, length, 1.0), [0.0, -1.0])
        above = shoulders + _ABOVE_SHOULDERS * radius[:, None] * up
        centre = np.where(faces[:, None] > 0, face, above)
        known = (faces > 0) | (n_shoulders > 0)
        radius = np.minimum(radius * doubt, limit)
        return np.where(known[:, None], np.concatenate([centre, radius[:, None]], axis=1), 0.0)


def _middle(xy: Floats, score: Floats, joints: npt.NDArray[np.intp]) -> tuple[Floats, npt.NDArray[np.intp]]:
    """(N, 2): mean place of some joints, weighted by their scores, and (N,): how many of them are found."""
    weight = score[:, joints]
    total = weight.sum(axis=1)[:, None]
    place = (xy[:, joints] * weight[..., None]).sum(axis=1) / np.where(total > 0, total, 1.0)
    return place, (weight > 0).sum(axis=1)


_CELLS = 6
"""Cells across a head, before they are mixed with their neighbours."""


def obscure(image: npt.NDArray[np.uint8], x: float, y: float, radius: float) -> None:
    """Make a disc of the picture unrecognisable, in place.

    The disc is averaged over cells of a sixth of its width (at least 3 pixels), and cells are mixed 1 : 2 : 1
    with their neighbours, which takes away what alternates from cell to cell.
    """
    height, width = image.shape[:2]
    x0, y0 = max(int(np.floor(x - radius)), 0), max(int(np.floor(y - radius)), 0)
    x1, y1 = min(int(np.ceil(x + radius)) + 1, width), min(int(np.ceil(y + radius)) + 1, height)
    if x0 >= x1 or y0 >= y1:
        return
    region = image[y0:y1, x0:x1]
    cell = max(2 * radius / _CELLS, 3.0)
    cells = max(round((x1 - x0) / cell), 1), max(round((y1 - y0) / cell), 1)
    small = cv2.resize(region, cells, interpolation=cv2.INTER_AREA)
    kernel = np.array([0.25, 0.5, 0.25])
    small = cv2.sepFilter2D(small, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
    smooth = cv2.resize(small, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
    rows, columns = np.ogrid[y0:y1, x0:x1]
    inside = (columns - x) ** 2 + (rows - y) ** 2 <= radius**2
    np.copyto(region, smooth, where=inside[..., None])
