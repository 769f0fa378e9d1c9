"""How alike two poses are: object keypoint similarity, and the size of a body that it stands on.

Letters: N, M persons, K joints, P pairs of persons.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Mask", "body_boxes", "body_size", "box_iou", "joint_variance", "oks"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SPREAD_TO_SIZE = 1.8
"""Root of COCO's area over the spread of the found joints: median of 413 labelled people of COCO photos."""


def body_size(xy: Array, found: Mask) -> Array:
    """Root of a person's area in pixels, (N,), from the joints alone; 0 where fewer than two are found.

    OKS wants the area of the person, and a tracker has only joints. The area of their box collapses when few are
    seen, or when somebody stands upright with the arms down. The spread (root mean square distance from the mean
    of the found joints) is steadier: COCO's root area is 1.7 to 1.8 spreads for people with 7 to 17 joints and 2.0
    for those with 3 to 6, while for the root of the box it goes from 0.92 to 1.29. One wild joint moves it little.

    Args:
        xy: (N, K, 2), pixels.
        found: (N, K).

    >>> body_size(np.array([[[0.0, 0.0], [0.0, 10.0], [5.0, 5.0]]]), np.array([[True, True, False]]))
    array([9.])
    """
    count = np.maximum(found.sum(axis=1), 1)
    weight = found / count[:, None]
    centred = xy - (xy * weight[..., None]).sum(axis=1, keepdims=True)
    variance = ((centred * centred).sum(axis=2) * weight).sum(axis=1)
    size: Array = SPREAD_TO_SIZE * np.sqrt(variance)
    return size


def joint_variance(size: Array, sigmas: Array) -> Array:
    """Variance of each joint of each person in square pixels, (N, K): `(2 * sigma)^2 * area`, as in COCO's OKS."""
    scale = size[:, None] * (2 * sigmas)
    variance: Array = scale * scale
    return variance


def oks(a: Array, b: Array, shared: Mask, variance: Array) -> tuple[Array, npt.NDArray[np.intp]]:
    """Object keypoint similarity of P pairs over the joints that both have, and how many those are.

    `exp(-d^2 / (2 * variance))`, mean over the shared joints (COCO, cocoeval.py); 0 where none is shared.

    Args:
        a: (P, K, 2), one pose of each pair.
        b: (P, K, 2), the other.
        shared: (P, K), joints that both have.
        variance: (P, K), square pixels, above 0.
    """
    apart = a - b
    distance = np.einsum("pkc,pkc->pk", apart, apart)
    count = shared.sum(axis=1)
    likeness = np.exp(distance / (-2 * variance)) * shared
    mean: Array = likeness.sum(axis=1) / np.maximum(count, 1)
    return mean, count


def body_boxes(xy: Array, found: Mask, margin: Array) -> Array:
    """Boxes (N, 4) around the found joints as left, top, right, bottom, enlarged by `margin` (N,) on each side.

    Without any joint the box is empty: right of itself.
    """
    some = found[..., None]
    box = np.empty((len(xy), 4))
    box[:, :2] = np.where(some, xy, np.inf).min(axis=1, initial=np.inf)
    box[:, 2:] = np.where(some, xy, -np.inf).max(axis=1, initial=-np.inf)
    box[:, :2] -= margin[:, None]
    box[:, 2:] += margin[:, None]
    return box


def box_iou(a: Array, b: Array) -> Array:
    """Intersection over union of P pairs of boxes that are not empty, (P, 4) each.

    >>> box_iou(np.array([[0.0, 0.0, 2.0, 1.0]]), np.array([[1.0, 0.0, 3.0, 1.0]])).round(3)
    array([0.333])
    """
    side = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    both = np.maximum(side, 0).prod(axis=1)
    union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - both
    iou: Array = both / union
    return iou
