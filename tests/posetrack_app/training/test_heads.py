"""Heads for another skeleton: what both have stays exactly as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from models.cluster_net import ClusterNet, ClusterNetConfig
from models.skeleton import COCO17, POSETRACK15
from posetrack_app.training.heads import remap

SMALL = ClusterNetConfig(
    name="before",
    channels=8,
    depth=1,
    block="plain",
    dense=(1, 3, 1),
    sparse=(17, 17, 17),
    branch_channels=24,
    in_branch=True,
    cross_branch=True,
)


def both(before: ClusterNetConfig, after: ClusterNetConfig) -> tuple[ClusterNet, ClusterNet]:
    """A network of random weights, and the same for another skeleton; in float64 and evaluation mode."""
    torch.manual_seed(0)
    old, new = ClusterNet(before).eval(), ClusterNet(after).eval()
    new.load_state_dict(remap(old.state_dict(), before, after))
    return old.double(), new.double()


@pytest.mark.parametrize(
    "before",
    [
        SMALL,
        replace(SMALL, cross_branch=False),
        replace(SMALL, in_branch=False),
        replace(SMALL, in_branch=False, cross_branch=False, dense=()),
    ],
)
@torch.no_grad()
def test_joints_that_both_have_keep_their_maps(before: ClusterNetConfig) -> None:
    after = replace(before, name="after", skeleton="posetrack15", sparse=(15, 15, 15))
    old, new = both(before, after)
    images = 255 * torch.rand(2, 3, 32, 32, dtype=torch.float64)
    shared = [name for name in POSETRACK15.joints if name in COCO17.joints]
    assert len(shared) == 13
    here, there = ([skeleton.index(name) for name in shared] for skeleton in (COCO17, POSETRACK15))
    for was, now in zip(old(images), new(images), strict=True):
        # Weights of float32: the maps agree to its rounding.
        torch.testing.assert_close(now.sparse_heatmaps[:, there], was.sparse_heatmaps[:, here], atol=2e-5, rtol=2e-5)
        torch.testing.assert_close(now.sparse_tags[:, there], was.sparse_tags[:, here], atol=2e-5, rtol=2e-5)
        if was.dense_heatmaps is not None:
            assert now.dense_heatmaps is not None
            torch.testing.assert_close(now.dense_heatmaps, was.dense_heatmaps, atol=2e-5, rtol=2e-5)


@torch.no_grad()
def test_the_heads_ends_begin_as_eyes_and_ears() -> None:
    old, new = both(SMALL, replace(SMALL, name="after", skeleton="posetrack15", sparse=(15, 15, 15)))
    images = 255 * torch.rand(1, 3, 32, 32, dtype=torch.float64)
    was, now = old(images)[-1].sparse_heatmaps, new(images)[-1].sparse_heatmaps
    top, bottom = POSETRACK15.index("head_top"), POSETRACK15.index("head_bottom")
    eyes, ears = [COCO17.index(f"{side}_eye") for side in ("left", "right")], [3, 4]
    torch.testing.assert_close(now[:, top], was[:, eyes].mean(dim=1), atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(now[:, bottom], was[:, ears].mean(dim=1), atol=2e-5, rtol=2e-5)


@torch.no_grad()
def test_clusters_of_several_joints_stay() -> None:
    before = replace(SMALL, sparse=(5, 5, 3))
    old, new = both(before, replace(before, name="after", skeleton="posetrack15"))
    images = 255 * torch.rand(1, 3, 32, 32, dtype=torch.float64)
    for was, now in zip(old(images), new(images), strict=True):
        torch.testing.assert_close(now.sparse_heatmaps, was.sparse_heatmaps, atol=2e-5, rtol=2e-5)


@torch.no_grad()
def test_the_same_skeleton_changes_nothing() -> None:
    old, new = both(SMALL, replace(SMALL, name="after"))
    for name, value in old.state_dict().items():
        # What `cross_predictions` masks anyway becomes 0.
        if "cross_predictions" not in name:
            torch.testing.assert_close(new.state_dict()[name], value)


def test_another_way_round_the_shared_maps_of_the_first_stack_stay() -> None:
    """Two maps come to be in the place of general features, so that later stacks see less than before."""
    before = replace(SMALL, skeleton="posetrack15", sparse=(15, 15, 15))
    old, new = both(before, replace(SMALL, name="after"))
    images = 255 * torch.rand(1, 3, 32, 32, dtype=torch.float64)
    was, now = old(images)[0].sparse_heatmaps, new(images)[0].sparse_heatmaps
    torch.testing.assert_close(now[:, COCO17.index("nose")], was[:, POSETRACK15.index("nose")], atol=2e-5, rtol=2e-5)


def test_networks_of_other_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="weights of 'before' do not fit 'after': channels is 8 there, 16 here"):
        remap({}, SMALL, replace(SMALL, name="after", channels=16))
