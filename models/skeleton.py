"""Skeletons: joints, limbs, mirror pairs, sigmas of OKS, and the clusters of the paper."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["COCO17", "POSETRACK15", "SKELETONS", "Skeleton"]


@dataclass(frozen=True)
class Skeleton:
    """What is known of a body: K joints and how they hang together."""

    name: str
    """Short name, as used in configurations."""

    joints: tuple[str, ...]
    """K joint names in the order of every array."""

    limbs: tuple[tuple[int, int], ...]
    """Pairs of joints that are drawn as one limb and limit each other's distance."""

    mirror_pairs: tuple[tuple[int, int], ...]
    """Pairs (left, right) that a mirror exchanges."""

    sigmas: tuple[float, ...]
    """K standard deviations of labellers, relative to the root of the person's area (COCO's `sigma`)."""

    clusters: dict[int, tuple[tuple[int, ...], ...]]
    """By number of clusters: the joints of each cluster, in the order of their tag offsets."""

    @cached_property
    def mirror(self) -> npt.NDArray[np.intp]:
        """(K,): the joint that takes joint k's place in a mirrored picture."""
        order = np.arange(len(self.joints))
        for left, right in self.mirror_pairs:
            order[[left, right]] = right, left
        return order

    def index(self, joint: str) -> int:
        """Position of a joint by name."""
        return self.joints.index(joint)


_COCO_HEAD = (0, 1, 2, 3, 4)
_COCO_ARMS = (5, 6, 7, 8, 9, 10)
_COCO_LEGS = (11, 12, 13, 14, 15, 16)

COCO17 = Skeleton(
    name="coco17",
    joints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    limbs=(
        (0, 1), (0, 2), (1, 3), (2, 4),
        (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
        (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
    ),
    mirror_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    # cocodataset/cocoapi, cocoeval.py, kpt_oks_sigmas.
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062,
        0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
    # Zhao et al. 2020, section 3.2: 5 clusters have 3, 3, 3, 4 and 4 joints.
    clusters={
        1: (tuple(range(17)),),
        3: (_COCO_HEAD, _COCO_ARMS, _COCO_LEGS),
        5: ((0, 1, 2), (5, 7, 9), (6, 8, 10), (11, 13, 15, 3), (12, 14, 16, 4)),
        17: tuple((joint,) for joint in range(17)),
    },
)  # fmt: skip
"""The 17 joints of COCO."""

POSETRACK15 = Skeleton(
    name="posetrack15",
    joints=(
        "nose", "head_bottom", "head_top",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    limbs=(
        (2, 0), (0, 1), (1, 3), (1, 4),
        (3, 5), (5, 7), (4, 6), (6, 8),
        (3, 9), (4, 10), (9, 10), (9, 11), (11, 13), (10, 12), (12, 14),
    ),
    mirror_pairs=((3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14)),
    # COCO's for the joints that both have; the ears' 0.035 widened to 0.08 for neck and head top,
    # which are points inside the body and on hair rather than marks on the skin.
    sigmas=(
        0.026, 0.08, 0.08, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062,
        0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
    clusters={
        1: (tuple(range(15)),),
        3: ((0, 1, 2), (3, 4, 5, 6, 7, 8), (9, 10, 11, 12, 13, 14)),
        5: ((0, 1, 2), (3, 5, 7), (4, 6, 8), (9, 11, 13), (10, 12, 14)),
        15: tuple((joint,) for joint in range(15)),
    },
)  # fmt: skip
"""The 15 joints that PoseTrack evaluates, in the order of its 2018 files without the ears."""

SKELETONS = {skeleton.name: skeleton for skeleton in (COCO17, POSETRACK15)}
"""All skeletons by name."""
