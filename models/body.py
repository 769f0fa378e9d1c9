"""What a body can reach: how far apart its joints may be, and which of them are too far from the rest.

Distances are compared with a *stature*: the height of a standing person, which every pair of joints tells something
about. No direction is used: people lie, climb and stand on their heads. All distances are in cells of a heatmap.

Letters: N persons, K joints, P peaks.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.sparse.csgraph import shortest_path

__all__ = ["asked_stature", "bare", "importances", "misfits", "partings", "per_reach", "reach", "statures"]

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]

_LENGTHS = {
    ("nose", "eye"): 0.032,
    ("eye", "ear"): 0.050,
    ("nose", "shoulder"): 0.157,
    ("ear", "shoulder"): 0.125,
    ("shoulder", "shoulder"): 0.202,
    ("shoulder", "elbow"): 0.169,
    ("elbow", "wrist"): 0.145,
    ("shoulder", "hip"): 0.290,
    ("hip", "hip"): 0.126,
    ("hip", "knee"): 0.239,
    ("knee", "ankle"): 0.227,
    ("head_top", "nose"): 0.110,
    ("nose", "head_bottom"): 0.100,
    ("head_bottom", "shoulder"): 0.120,
}
"""Lengths between neighbouring joints of a person of stature 1."""

SLACK = 1.0
"""Cells that a distance may be too long because peaks are not exact."""

_SMALLEST = 2.0
"""Stature below which nothing is told from distances, cells."""

_SHORT = 0.15
"""Pairs of joints that reach less far count less: a cell is much for two eyes."""

_FORESHORTENED = 1.24
"""Stature over the root mean square of what the pairs of joints ask for: limbs are bent, and seen from the front."""

# Limits that people keep whose joints were marked by hand (2,000 of COCO and Leeds sports with 5 and more joints, at a
# size of 12 cells, the root of their area):

MEAN_LIMIT = 1.3
"""Mean over the other joints of what they ask for, of the stature that these tell: kept but by 1 joint in 200."""

NEAREST_LIMIT = 1.1
"""The same of the joint that asks for least: kept but by 1 in 1000."""

PARTING_LIMIT = 1.4
"""Mean over the pairs across a cut of what they ask for, of the stature told by the pairs on its two sides: kept but by
1 person in 500."""


def bare(joint: str) -> str:
    """A joint's name without its side.

    >>> bare("left_wrist")
    'wrist'
    """
    return joint.removeprefix("left_").removeprefix("right_")


@lru_cache(maxsize=16)
def reach(joints: tuple[str, ...]) -> Array:
    """(K, K): how far apart two joints of a body of stature 1 can be: the way along the limbs; 0 on the diagonal."""
    names = [bare(name) for name in joints]
    K = len(names)
    graph = np.zeros((K, K))
    for a, b in itertools.combinations(range(K), 2):
        length = _LENGTHS.get((names[a], names[b]), _LENGTHS.get((names[b], names[a]), 0.0))
        sides = {joints[a].split("_")[0], joints[b].split("_")[0]}
        if names[a] == names[b] or sides != {"left", "right"}:
            graph[a, b] = graph[b, a] = length
    return np.asarray(shortest_path(graph, directed=False))


@lru_cache(maxsize=16)
def per_reach(joints: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """(K, K): 1 / reach, 0 on the diagonal: times a distance it is the least stature that the pair asks for."""
    ways = reach(joints)
    return np.divide(1, ways, out=np.zeros_like(ways), where=ways > 0).astype(np.float32)


@lru_cache(maxsize=16)
def importances(joints: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """(K, K): how much each pair of joints counts, 0..1."""
    return np.minimum(reach(joints) / _SHORT, 1).astype(np.float32)


def statures(asked: Floats, root: Floats, importance: Floats, *, at_first: float = 0.0) -> Floats:
    """(N,): stature in cells of people by the joints that they have.

    Args:
        asked: (N, K, K), the stature that each pair of a person's joints asks for; any number where not found.
        root: (N, K), root of each joint's score; 0 where not found. A pair counts as much as the product of the two.
        importance: (K, K), how much each pair of joints counts, of `importances`.
        at_first: As long as few joints are known, a person may be this large.
    """
    weight = (root @ importance * root).sum(axis=1)  # each pair twice, here and there
    squares = asked * asked
    squares *= importance
    told = _stature(((root[:, None] @ squares)[:, 0] * root).sum(axis=1), weight)
    if not at_first:
        return told
    return np.asarray((weight * told + 2 * np.maximum(told, at_first)) / (weight + 2))


def _told(asked: Floats, root: Floats, joints: tuple[str, ...]) -> Floats:
    """(3, N, K, K): how much each pair of joints counts, times 1, what it asks for, and the square of that."""
    told = np.empty((3, *asked.shape), dtype=np.float32)
    np.multiply(root[:, :, None], root[:, None], out=told[0])
    told[0] *= importances(joints)
    np.multiply(told[0], asked, out=told[1])
    np.multiply(told[1], asked, out=told[2])
    return told


def misfits(asked: Floats, root: Floats, joints: tuple[str, ...]) -> Array:
    """(N, K): how far each joint is from the rest of its person; above 1 it is not theirs, 0 where there is none.

    The stature is that of the other joints, so that a joint far off does not stretch the measure it is held against.
    Arguments as of `statures`.
    """
    told = _told(asked, root, joints)
    each = told @ np.ones(len(joints), dtype=np.float32)  # (3, N, K)
    weight = each[0]
    others = np.maximum(each.sum(axis=2, keepdims=True) - 2 * each, 0)
    nearest = np.where(told[0] > 0, asked, np.inf).min(axis=1)
    strain = np.maximum(each[1] / np.maximum(weight, 1e-9) / MEAN_LIMIT, nearest / NEAREST_LIMIT)
    return np.where(weight > 0, strain / _stature(others[2], others[0]), 0)


def partings(asked: Floats, root: Floats, joints: tuple[str, ...]) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Whether a part of a person is too far from the rest, as the legs of somebody else are.

    A part and the rest each tell a stature by their own joints; if the way between them asks for a much larger one,
    they are not of one person. Arguments as of `statures`.

    Returns:
        (N, G): how far each part is from the rest; above 1 it is of another person, 0 where one side has less than
        two joints. (G, K): the joints of each part.
    """
    parts = _parts(joints)
    N, K = root.shape
    told = _told(asked, root, joints).reshape(3, N, K * K)
    across = told @ _cuts(joints)  # (3, N, G)
    within = np.maximum(told.sum(axis=2, keepdims=True) - 2 * across, 0)
    own = _stature(within[2], within[0])
    found = root > 0
    inside = found @ parts.T.astype(np.float32)
    outside = found.sum(axis=1, keepdims=True) - inside
    strain = across[1] / np.maximum(across[0], 1e-9) / own
    return np.where((inside >= 2) & (outside >= 2), strain / PARTING_LIMIT, 0), parts


@lru_cache(maxsize=16)
def _cuts(joints: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """(K * K, G): 1 for the pairs of a joint of each part and one of the rest."""
    parts = _parts(joints)
    return (parts[:, :, None] & ~parts[:, None]).reshape(len(parts), -1).T.astype(np.float32)


@lru_cache(maxsize=16)
def _parts(joints: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """(G, K): parts of a body that may turn out to be of somebody else."""
    names = np.array([bare(name) for name in joints])
    sides = np.array([name.split("_")[0] for name in joints])
    parts = [
        ~np.isin(names, ["shoulder", "elbow", "wrist", "hip", "knee", "ankle"]),
        np.isin(names, ["shoulder", "elbow", "wrist"]),
        np.isin(names, ["hip", "knee", "ankle"]),
        np.isin(names, ["knee", "ankle"]),
    ]
    for limb in (["elbow", "wrist"], ["knee", "ankle"]):
        parts += [np.isin(names, limb) & (sides == side) for side in ("left", "right")]
    return np.array(parts)


def asked_stature(xy: Floats, other: Floats, inverse: Floats) -> Floats:
    """(...): the stature that joints ask for that lie at xy (2, ...) and other (2, ...); `inverse` of their reach.

    In place: at these sizes new arrays are what takes the time.
    """
    gap = xy - other
    gap *= gap
    asked: Floats = gap[0]
    asked += gap[1]
    np.sqrt(asked, out=asked)
    asked -= SLACK
    np.maximum(asked, 0, out=asked)
    asked *= inverse
    return asked


def _stature(squares: Floats, weights: Floats) -> Floats:
    """Stature from sums over pairs."""
    mean = np.sqrt(squares / np.maximum(weights, 1e-9)) * _FORESHORTENED
    return np.maximum(mean, _SMALLEST)
