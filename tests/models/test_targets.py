"""Targets: heatmaps and masks are what a loop over cells, people and joints makes of the labels."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.skeleton import COCO17, POSETRACK15, SKELETONS, Skeleton
from models.targets import Labels, heatmaps, known, map_of, under_peaks


def random_labels(seed: int, *, skeleton: Skeleton = COCO17, people: int | None = None, unknown: float = 0.2) -> Labels:
    """Two pictures or fewer, small maps, nobody to three people; places that are not labelled are not numbers."""
    rng = np.random.default_rng(seed)
    B, N = int(rng.integers(1, 3)), int(rng.integers(0, 4)) if people is None else people
    K, (H, W) = len(skeleton.joints), rng.integers(4, 12, 2)
    labelled = rng.random((B, N, K)) < rng.choice([0, 0.3, 1])
    xy = rng.uniform([-0.5, -0.5], [W - 0.5, H - 0.5], (B, N, K, 2))
    xy[~labelled] = np.nan
    return Labels(
        xy=torch.tensor(xy, dtype=torch.float32).reshape(B, N, K, 2),
        labelled=torch.tensor(labelled).reshape(B, N, K),
        size=torch.tensor(rng.uniform(0, 30, (B, N)) * (rng.random((B, N)) < 0.8), dtype=torch.float32).reshape(B, N),
        unknown=torch.tensor(rng.random((B, K, H, W)) < unknown),
    )


def literal(
    labels: Labels, clusters: tuple[tuple[int, ...], ...], sigma: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Heatmaps (B, C, H, W) cell by cell, and (B, C, H, W, 2) the person and joint of the highest, -1 where nobody."""
    B, _, H, W = labels.unknown.shape
    maps = np.zeros((B, len(clusters), H, W))
    who = np.full((B, len(clusters), H, W, 2), -1)
    for b, c, y, x in itertools.product(range(B), range(len(clusters)), range(H), range(W)):
        for n, k in itertools.product(range(labels.xy.shape[1]), clusters[c]):
            if labels.labelled[b, n, k]:
                jx, jy = labels.xy[b, n, k].double().numpy()
                height = np.exp(-((x - jx) ** 2 + (y - jy) ** 2) / (2 * sigma[b, n, k] ** 2))
                if max(abs(x - jx), abs(y - jy)) > 4 * sigma[b, n, k]:
                    height = 0
                if height > maps[b, c, y, x]:
                    maps[b, c, y, x], who[b, c, y, x] = height, (n, k)
    return maps, who


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 5, 17]), st.sampled_from([0.4, 1.0, 1.5, 3.0]))
def test_heatmaps_of_a_loop(seed: int, maps: int, sigma: float) -> None:
    labels = random_labels(seed)
    clusters = COCO17.clusters[maps]
    ours = heatmaps(labels, clusters, sigma=sigma)
    assert ours.dtype == torch.float32
    expected = literal(labels, clusters, np.full(labels.labelled.shape, sigma))[0]
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 17]))
def test_a_width_and_a_value_for_each_joint(seed: int, maps: int) -> None:
    labels = random_labels(seed)
    clusters = COCO17.clusters[maps]
    rng = np.random.default_rng(seed)
    sigma, values = rng.uniform(0.5, 3, labels.labelled.shape), rng.uniform(0.1, 5, labels.labelled.shape)
    expected, who = literal(labels, clusters, sigma)
    widths = torch.tensor(sigma, dtype=torch.float32)
    np.testing.assert_allclose(heatmaps(labels, clusters, sigma=widths), expected, rtol=1e-4, atol=1e-7)
    ours = under_peaks(torch.tensor(values), labels, clusters, sigma=widths, default=-1).numpy()
    near = expected > 0
    assert (ours[~near] == -1).all()
    picture = np.nonzero(near)[0]
    n, k = who[near].T
    np.testing.assert_allclose(ours[near], values[picture, n, k], rtol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 5, 17]))
def test_a_cell_is_known_where_all_joints_of_its_map_are(seed: int, maps: int) -> None:
    labels = random_labels(seed)
    ours = known(labels, COCO17.clusters[maps])
    for c, joints in enumerate(COCO17.clusters[maps]):
        for b, y, x in itertools.product(*(range(ours.shape[axis]) for axis in (0, 2, 3))):
            assert ours[b, c, y, x] == (not any(labels.unknown[b, k, y, x] for k in joints))


def test_the_top_lies_where_the_joint_is_below_the_size_of_a_cell() -> None:
    xy = torch.full((1, 1, 17, 2), torch.nan)
    xy[0, 0, 3] = torch.tensor([6.3, 4.8])
    labelled = torch.zeros(1, 1, 17, dtype=torch.bool)
    labelled[0, 0, 3] = True
    labels = Labels(xy, labelled, torch.zeros(1, 1), torch.zeros(1, 17, 10, 14, dtype=torch.bool))
    maps = heatmaps(labels, COCO17.clusters[17], sigma=1.5)[0].double()
    assert maps[3].argmax() == 5 * 14 + 6
    assert maps.sum() == maps[3].sum()
    row = maps[3, 5].log()
    assert 6 + (row[5] - row[7]) / (2 * (row[5] + row[7] - 2 * row[6])) == pytest.approx(6.3, abs=1e-4)


@pytest.mark.parametrize("kind", ["no person", "no picture", "nothing labelled"])
def test_nobody(kind: str) -> None:
    B, N = (0, 2) if kind == "no picture" else (2, 0 if kind == "no person" else 2)
    empty = Labels(
        torch.full((B, N, 17, 2), torch.nan),
        torch.zeros(B, N, 17, dtype=torch.bool),
        torch.zeros(B, N),
        torch.zeros(B, 17, 5, 6, dtype=torch.bool),
    )
    for sigma in (1.5, torch.full((B, N, 17), 1.5)):
        maps = heatmaps(empty, COCO17.clusters[5], sigma=sigma)
        assert maps.shape == (B, 5, 5, 6)
        assert not maps.any()
        values = torch.ones(B, N, 17)
        assert (under_peaks(values, empty, COCO17.clusters[5], sigma=sigma, default=2) == 2).all()
    assert known(empty, COCO17.clusters[5]).all()


def test_joints_beyond_the_border_draw_what_reaches_in() -> None:
    """Rounding may put a joint just outside; nothing may land on the other side."""
    xy = torch.tensor([-0.6, 2.0]).expand(1, 1, 17, 2)
    labels = Labels(
        xy,
        torch.ones(1, 1, 17, dtype=torch.bool),
        torch.zeros(1, 1),
        torch.zeros(1, 17, 8, 30, dtype=torch.bool),
    )
    maps = heatmaps(labels, COCO17.clusters[17], sigma=1.0)[0, 0]
    assert maps[2, 0] == pytest.approx(np.exp(-0.18), abs=1e-5)
    assert not maps[:, 10:].any()


@pytest.mark.parametrize("skeleton", [COCO17, POSETRACK15], ids=lambda skeleton: skeleton.name)
def test_every_joint_has_its_map(skeleton: Skeleton) -> None:
    assert skeleton.name in SKELETONS
    for clusters in skeleton.clusters.values():
        numbers = map_of(clusters).tolist()
        assert len(numbers) == len(skeleton.joints)
        assert all(joint in clusters[number] for joint, number in enumerate(numbers))
