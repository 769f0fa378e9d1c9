"""Weights of a network of one skeleton for a network of another: heads are remapped by the names of joints.

Between its heads and the next hourglass the network is linear. So heads can be given other channels, and what reads
them be given the inverse, without any change to what the network does: every joint that both skeletons have keeps its
maps exactly, in every stack.

Letters: C clusters, H channels of a half of a branch (its detection half, or its tag half).
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor

from models.cluster_net import ClusterNetConfig
from models.skeleton import Skeleton

__all__ = ["remap"]

_STAND_INS = {"head_top": ("left_eye", "right_eye"), "head_bottom": ("left_ear", "right_ear")}
"""Joints whose mean a new map begins with. Eyes and ears are the marks of the head that PoseTrack lacks: the eyes are
the higher ones, and the ears lie nearer to the neck. They have one peak a person within half a head of where the new
one belongs, and its person's tags. (Shoulders would leave two peaks beside the neck, to be unlearned.)"""

_FREE = ("name", "skeleton", "dense", "sparse")
"""What may differ between the two networks."""


def remap(state: dict[str, Tensor], before: ClusterNetConfig, after: ClusterNetConfig) -> dict[str, Tensor]:
    """The weights of a network `before` as weights of a network `after`.

    Args:
        state: State of the network before; it stays as it is.
        before: Its configuration.
        after: The other's: equal but for the skeleton, and the numbers of clusters that go with it.

    Raises:
        ValueError: the networks differ in more than their skeletons.
    """
    old, new = asdict(before), asdict(after)
    for key in old:
        if key not in _FREE and old[key] != new[key]:
            raise ValueError(
                f"weights of '{before.name}' do not fit '{after.name}': {key} is {old[key]!r} there, {new[key]!r} here"
            )
    if (len(before.sparse), len(before.dense)) != (len(after.sparse), len(after.dense)):
        raise ValueError(f"weights of '{before.name}' do not fit '{after.name}': they have other stacks or branches")
    exact = {name: value.double() if value.is_floating_point() else value for name, value in state.items()}
    for stack in range(before.stacks):
        _remap_stack(exact, before, after, stack)
    return {name: value.to(state[name].dtype) for name, value in exact.items()}


def _remap_stack(state: dict[str, Tensor], before: ClusterNetConfig, after: ClusterNetConfig, stack: int) -> None:
    """Change one stack's heads, and what reads them, in place."""
    H = before.branch_channels
    changes = {"sparse": _change(before, after, before.sparse[stack], after.sparse[stack])}
    if before.dense:
        changes["dense"] = _change(before, after, before.dense[stack], after.dense[stack])
    back = {branch: torch.linalg.pinv(change) for branch, change in changes.items()}
    for branch, change in changes.items():
        _apply(state, f"{branch}.{stack}", rows=_twice(change))
    if stack + 1 == before.stacks:
        return
    for branch, change in changes.items():
        if before.in_branch:
            _apply(state, f"in_branch_{branch}.{stack}", rows=change, columns=_twice(back[branch]))
        _apply(state, f"to_next_{branch}.{stack}", columns=back[branch])
    if before.cross_branch:
        predictions, general = f"cross_predictions.{stack}", f"cross_general.{stack}"
        # What the sparse detection half (H) adds to the dense one (H), with the sparse and dense channels changed.
        added = torch.zeros(H, H, dtype=torch.float64)
        dense, sparse = before.dense[stack], before.sparse[stack]
        added[:dense, :sparse] = state[f"{predictions}.weight"][..., 0, 0] * _shared(before, stack)
        added[dense:] = state[f"{general}.weight"][..., 0, 0]
        bias = changes["dense"] @ torch.cat([state[f"{predictions}.bias"], state[f"{general}.bias"]])
        added = changes["dense"] @ added @ back["sparse"]
        dense, sparse = after.dense[stack], after.sparse[stack]
        seen = added[:dense, :sparse] * _shared(after, stack)
        state[f"{predictions}.weight"], state[f"{predictions}.bias"] = seen[..., None, None], bias[:dense]
        state[f"{general}.weight"], state[f"{general}.bias"] = added[dense:, :, None, None], bias[dense:]
        # Dense maps see fewer sparse channels now; what they no longer see goes to the next stack directly.
        unseen = added[:dense].clone()
        unseen[:, :sparse] -= seen
        onward = state[f"to_next_dense.{stack}.weight"][:, :dense, 0, 0] @ unseen
        state[f"to_next_sparse.{stack}.weight"] = state[f"to_next_sparse.{stack}.weight"] + onward[..., None, None]


def _twice(change: Tensor) -> Tensor:
    """A change of both halves of a branch."""
    return torch.kron(torch.eye(2, dtype=change.dtype), change)


def _apply(state: dict[str, Tensor], name: str, *, rows: Tensor | None = None, columns: Tensor | None = None) -> None:
    """Multiply a 1x1 convolution by a change of its outputs, and by one of its inputs."""
    weight, bias = state[f"{name}.weight"][..., 0, 0], state[f"{name}.bias"]
    if columns is not None:
        weight = weight @ columns
    if rows is not None:
        weight, bias = rows @ weight, rows @ bias
    state[f"{name}.weight"], state[f"{name}.bias"] = weight[..., None, None], bias


def _change(before: ClusterNetConfig, after: ClusterNetConfig, clusters_before: int, clusters_after: int) -> Tensor:
    """float64 (H, H): the channels of a half after, made of those before.

    First the maps, then the general features as they are, then what was in the old maps besides: nothing is lost
    where there are not more maps than before.
    """
    H = before.branch_channels
    maps = _maps(before.joints, clusters_before, after.joints, clusters_after)
    rows = np.zeros((clusters_after, H))
    rows[:, :clusters_before] = maps
    general = np.eye(H)[clusters_before:][: H - clusters_after]
    missing = H - clusters_after - len(general)
    # A basis of what the rows of `maps` do not reach: the right singular vectors beyond its rank.
    _, sizes, vectors = np.linalg.svd(maps)
    rest = vectors[np.sum(sizes > 1e-9) :][:missing]
    others = np.zeros((missing, H))
    others[: len(rest), :clusters_before] = rest
    return torch.from_numpy(np.concatenate([rows, general, others]))


def _maps(before: Skeleton, clusters_before: int, after: Skeleton, clusters_after: int) -> np.ndarray:
    """(C after, C before): each map after as a mean of maps before."""
    old = [{before.joints[joint] for joint in cluster} for cluster in before.clusters[clusters_before]]
    new = [{after.joints[joint] for joint in cluster} for cluster in after.clusters[clusters_after]]
    maps = np.zeros((len(new), len(old)))
    for row, names in zip(maps, new, strict=True):
        alike = np.array([len(names & others) for others in old])
        if not alike.any():
            wanted = {stand_in for name in names for stand_in in _STAND_INS.get(name, ())}
            alike = np.array([len(wanted & others) for others in old])
            row[:] = alike / max(1, alike.sum())
        else:
            row[int(alike.argmax())] = 1.0
    return maps


def _shared(config: ClusterNetConfig, stack: int) -> Tensor:
    """float64 (C dense, C sparse): 1 where two clusters share a joint, as `cross_predictions` sees them."""
    clusters = config.joints.clusters
    sparse, dense = clusters[config.sparse[stack]], clusters[config.dense[stack]]
    return torch.tensor([[float(bool(set(few) & set(many))) for few in sparse] for many in dense], dtype=torch.float64)
