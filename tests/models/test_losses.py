"""Losses: what a loop over cells, people and pairs makes of equations (1) to (8), in double precision."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cluster_net import ClusterNet, ClusterNetConfig, StackOutput
from models.losses import LossConfig, Losses, collapsed, loss
from models.skeleton import COCO17
from models.targets import Labels, heatmaps
from tests.models.test_targets import literal, random_labels

NETWORK = ClusterNetConfig(name="two", dense=(1, 3), sparse=(5, 17))
SPARSE_ONLY = ClusterNetConfig(name="one", sparse=(5,))


def random_outputs(labels: Labels, network: ClusterNetConfig, seed: int = 0, spread: float = 1.0) -> list[StackOutput]:
    rng = torch.Generator().manual_seed(seed)
    B, _, H, W = labels.unknown.shape

    def maps(clusters: int) -> torch.Tensor:
        return (spread * torch.randn(B, clusters, H, W, generator=rng)).requires_grad_()

    return [
        StackOutput(maps(few), maps(few), maps(network.dense[s]), maps(network.dense[s]))
        if network.dense
        else StackOutput(maps(few), maps(few), None, None)
        for s, few in enumerate(network.sparse)
    ]


def literal_widths(labels: Labels, config: LossConfig) -> npt.NDArray[np.float64]:
    sigma = np.full(labels.labelled.shape, config.sigma)
    if config.heatmap == "oks":
        for b, n, k in itertools.product(*map(range, sigma.shape)):
            size = float(labels.size[b, n])
            if size > 0:
                wide = 2 * COCO17.sigmas[k] * size
                sigma[b, n, k] = min(max(wide, config.sigma / 2), config.sigma * 2)
    return sigma


def literal_heatmap_loss(
    maps: torch.Tensor, labels: Labels, clusters: tuple[tuple[int, ...], ...], config: LossConfig
) -> float:
    sigma = literal_widths(labels, config)
    target, who = literal(labels, clusters, sigma)
    total = []
    for b, c, y, x in itertools.product(*map(range, target.shape)):
        if any(labels.unknown[b, k, y, x] for k in clusters[c]):
            total.append(0.0)
            continue
        error = abs(float(maps.detach()[b, c, y, x]) - target[b, c, y, x])
        weight = 1 + config.peak_weight * target[b, c, y, x]
        n, k = who[b, c, y, x]
        if config.heatmap == "oks" and n >= 0:
            weight *= (config.sigma / sigma[b, n, k]) ** 2
        total.append(weight * error ** (3 if config.heatmap == "focal" else 2))
    return float(np.mean(total))


def literal_tag_losses(
    tags: torch.Tensor, labels: Labels, clusters: tuple[tuple[int, ...], ...], config: LossConfig
) -> tuple[float, float]:
    pulls, pushes = [], []
    for b in range(len(tags)):
        references, apart = [], []
        for n in range(labels.xy.shape[1]):
            own = []
            for c, joints in enumerate(clusters):
                for d, k in enumerate(joints):
                    if labels.labelled[b, n, k]:
                        x, y = np.rint(labels.xy[b, n, k].numpy()).astype(int)
                        x, y = min(max(x, 0), tags.shape[3] - 1), min(max(y, 0), tags.shape[2] - 1)
                        own.append(float(tags.detach()[b, c, y, x]) - (d - (len(joints) - 1) / 2) * config.offset)
            if own:
                references.append(np.mean(own))
                apart.append(np.mean([(tag - references[-1]) ** 2 for tag in own]))
        pulls.append(np.mean(apart) if apart else 0)
        pairs = [
            np.exp(-abs(a - b)) if config.push == "laplace" else np.exp(-((a - b) ** 2) / (2 * config.margin**2))
            for a, b in itertools.permutations(references, 2)
        ]
        pushes.append(np.mean(pairs) if pairs else 0)
    return float(np.mean(pulls)), float(np.mean(pushes))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([NETWORK, SPARSE_ONLY]),
    st.sampled_from(["squared", "focal", "oks"]),
    st.sampled_from(["gaussian", "laplace"]),
)
def test_losses_of_a_loop(seed: int, network: ClusterNetConfig, heatmap: str, push: str) -> None:
    rng = np.random.default_rng(seed)
    labels = random_labels(seed)
    outputs = random_outputs(labels, network, seed % 1000)
    weights = dict(zip(("peak_weight", "heatmap_weight", "tag_weight"), rng.uniform(0, 3, 3).tolist(), strict=True))
    config = LossConfig(
        heatmap=heatmap,  # type: ignore[arg-type]
        push=push,  # type: ignore[arg-type]
        sigma=float(rng.uniform(0.5, 2)),
        margin=float(rng.uniform(0.5, 4)),
        offset=float(rng.uniform(0, 0.3)),
        **weights,
    )
    ours = loss(outputs, labels, network, config)
    total, names = 0.0, []
    for stack, output in enumerate(outputs):
        for branch, clusters, maps, tags in (
            ("sparse", network.sparse[stack], output.sparse_heatmaps, output.sparse_tags),
            ("dense", (network.dense or (0, 0))[stack], output.dense_heatmaps, output.dense_tags),
        ):
            if maps is None or tags is None:
                continue
            joints = COCO17.clusters[clusters]
            expected = (
                literal_heatmap_loss(maps, labels, joints, config),
                *literal_tag_losses(tags, labels, joints, config),
            )
            for name, value in zip(("heatmap", "pull", "push"), expected, strict=True):
                names.append(f"{branch}_{stack}_{name}")
                assert float(ours.terms[names[-1]]) == pytest.approx(value, rel=1e-4, abs=1e-6), names[-1]
            total += config.heatmap_weight * expected[0] + config.tag_weight * (expected[1] + expected[2])
    assert list(ours.terms) == names
    assert float(ours.total.detach()) == pytest.approx(total, rel=1e-4, abs=1e-6)


def part(labels: Labels, where: slice) -> Labels:
    return Labels(labels.xy[where], labels.labelled[where], labels.size[where], labels.unknown[where])


@pytest.mark.parametrize("heatmap", ["squared", "focal", "oks"])
def test_a_batch_costs_the_mean_of_its_halves(heatmap: str) -> None:
    """One half of nobody, the other with three people: what one device sees must not change what a picture counts."""
    full = random_labels(7, people=3)
    labels = Labels(*(torch.cat([value[:1]] * 4) for value in (full.xy, full.labelled, full.size, full.unknown)))
    labels.labelled[:] = torch.rand(labels.labelled.shape, generator=torch.Generator().manual_seed(0)) < 0.7
    labels.xy[:] = torch.rand(labels.xy.shape, generator=torch.Generator().manual_seed(1)) * 4
    labels.labelled[:2, 1:] = False
    labels.labelled[0] = False
    labels.unknown[2:] = True
    labels.unknown[2:, :, 2:] = False
    outputs = random_outputs(labels, NETWORK)
    config = LossConfig(heatmap=heatmap, peak_weight=10, tag_weight=0.3)  # type: ignore[arg-type]

    def of(where: slice) -> Losses:
        return loss([StackOutput(*(m[where] for m in o if m is not None)) for o in outputs],
                    part(labels, where), NETWORK, config)  # fmt: skip

    whole, halves = of(slice(None)), [of(slice(0, 2)), of(slice(2, 4))]
    assert float(halves[0].crowded) == 0
    assert float(whole.crowded) == 0.5
    mean = sum(half.total for half in halves) / 2
    torch.testing.assert_close(whole.total, mean, rtol=1e-6, atol=1e-7)
    for name, term in whole.terms.items():
        torch.testing.assert_close(term, sum(half.terms[name] for half in halves) / 2, rtol=1e-6, atol=1e-7)
    inputs = [m for output in outputs for m in output if m is not None]
    for ours, theirs in zip(torch.autograd.grad(whole.total, inputs), torch.autograd.grad(mean, inputs), strict=True):
        torch.testing.assert_close(ours, theirs)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["squared", "focal", "oks"]),
    st.sampled_from(["gaussian", "laplace"]),
    st.sampled_from([0.0, 1.0, 1e4]),
)
def test_gradients_are_finite(seed: int, heatmap: str, push: str, spread: float) -> None:
    labels = random_labels(seed)
    outputs = random_outputs(labels, NETWORK, spread=spread)
    losses = loss(outputs, labels, NETWORK, LossConfig(heatmap=heatmap, push=push))  # type: ignore[arg-type]
    losses.total.backward()
    assert losses.total.isfinite()
    for output in outputs:
        for maps in output:
            assert maps is not None
            assert maps.grad is not None
            assert maps.grad.isfinite().all()


@pytest.mark.parametrize("heatmap", ["squared", "focal", "oks"])
@pytest.mark.parametrize("push", ["gaussian", "laplace"])
def test_gradients_are_those_of_differences(heatmap: str, push: str) -> None:
    labels = random_labels(5, people=2, unknown=0.1)
    labels.labelled[:] = True
    labels.xy[:] = torch.rand(labels.xy.shape, generator=torch.Generator().manual_seed(3)) * 4
    config = LossConfig(heatmap=heatmap, push=push, margin=1, tag_weight=1, peak_weight=3)  # type: ignore[arg-type]
    (output,) = random_outputs(labels, SPARSE_ONLY)
    losses = loss([output], labels, SPARSE_ONLY, config)
    for maps in (output.sparse_heatmaps, output.sparse_tags):
        (grad,) = torch.autograd.grad(losses.total, maps, retain_graph=True)
        way = torch.randn(maps.shape, generator=torch.Generator().manual_seed(9))

        def at(step: float, moved: torch.Tensor = maps, of: StackOutput = output, way: torch.Tensor = way) -> float:
            there = StackOutput(*((m + step * way if m is moved else m) for m in of if m is not None), None, None)
            return float(loss([there], labels, SPARSE_ONLY, config).total.detach())

        slope = (at(3e-3) - at(-3e-3)) / 6e-3
        assert float((grad * way).sum()) == pytest.approx(slope, rel=5e-3, abs=1e-4)


def test_right_maps_and_tags_far_apart_cost_nothing() -> None:
    labels = random_labels(5, people=2, unknown=0.0)
    B, _, H, W = labels.unknown.shape
    assert H >= 8
    labels.labelled[:] = True
    labels.xy[:, 0] = torch.tensor([1.0, 1.0])
    labels.xy[:, 1] = torch.tensor([2.0, 6.0])
    maps = heatmaps(labels, COCO17.clusters[17], sigma=1.5)
    tags = torch.zeros(B, 17, H, W)
    tags[:, :, 4:] = 30
    network = replace(SPARSE_ONLY, sparse=(17,))
    losses = loss([StackOutput(maps, tags, None, None)], labels, network, LossConfig())
    assert float(losses.total) == pytest.approx(0, abs=1e-9)
    assert float(losses.crowded) == 1
    assert collapsed(losses.terms, losses.crowded) == []


def test_errors_where_nothing_is_known_are_free() -> None:
    labels = random_labels(11, people=0, unknown=1.0)
    outputs = random_outputs(labels, NETWORK, spread=100)
    losses = loss(outputs, labels, NETWORK, LossConfig())
    assert float(losses.total.detach()) == 0
    losses.total.backward()


def test_with_oks_a_joint_that_is_off_costs_what_it_loses_in_oks_and_one_that_misses_costs_the_same() -> None:
    """People of sizes 6 to 14: an error of half a cell in the heatmap, against 1 - OKS."""
    hip, config = COCO17.index("left_hip"), LossConfig(heatmap="oks")
    network = replace(SPARSE_ONLY, sparse=(17,))
    off, missing, oks = [], [], []
    for size in (6.0, 9.0, 14.0):
        xy = torch.full((1, 1, 17, 2), 20.0)
        labelled = torch.zeros(1, 1, 17, dtype=torch.bool)
        labelled[0, 0, hip] = True
        labels = Labels(xy, labelled, torch.tensor([[size]]), torch.zeros(1, 17, 41, 41, dtype=torch.bool))
        moved = replace(labels, xy=xy + torch.tensor([0.3, 0.4]))
        width = torch.full((1, 1, 17), 2 * COCO17.sigmas[hip] * size)
        for maps, costs in (
            (heatmaps(moved, COCO17.clusters[17], sigma=width), off),
            (torch.zeros(1, 17, 41, 41), missing),
        ):
            found = loss([StackOutput(maps, torch.zeros_like(maps), None, None)], labels, network, config)
            costs.append(float(found.terms["sparse_0_heatmap"]))
        oks.append(1 - np.exp(-(0.5**2) / (2 * float(width[0, 0, 0]) ** 2)))
    ratio = np.array(off) / np.array(oks)
    np.testing.assert_allclose(ratio / ratio[0], 1, rtol=0.03)
    np.testing.assert_allclose(np.array(missing) / missing[0], 1, rtol=0.01)


def test_focal_counts_small_errors_less_and_whole_ones_alike() -> None:
    labels = random_labels(11, people=0, unknown=0.0)
    B, _, H, W = labels.unknown.shape
    for error in (0.1, 1.0):
        maps = torch.full((B, 5, H, W), error)
        output = StackOutput(maps, torch.zeros_like(maps), None, None)
        squared, focal = (
            float(loss([output], labels, SPARSE_ONLY, LossConfig(heatmap=name)).total)  # type: ignore[arg-type]
            for name in ("squared", "focal")
        )
        assert focal == pytest.approx(error * squared, rel=1e-5)


def test_single_precision_whatever_the_network_computes_in() -> None:
    labels = random_labels(5, people=2)
    outputs = [StackOutput(*(m.detach().bfloat16() for m in o if m is not None))
               for o in random_outputs(labels, NETWORK)]  # fmt: skip
    exact = [StackOutput(*(m.float() for m in o if m is not None)) for o in outputs]
    expected = loss(exact, labels, NETWORK, LossConfig())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = loss(outputs, labels, NETWORK, LossConfig())
    assert ours.total.dtype == torch.float32
    assert float(ours.total) == float(expected.total)


def test_tags_that_are_the_same_for_everybody_are_told() -> None:
    labels = random_labels(5, people=3)
    labels.labelled[:] = True
    labels.xy[:] = 1.0
    outputs = random_outputs(labels, NETWORK, spread=1e-3)
    B = len(labels.xy)
    alone = replace(labels, labelled=labels.labelled.clone())
    alone.labelled[:, 1:] = False
    both = [loss(outputs, one, NETWORK, LossConfig()) for one in (labels, alone)]
    assert [float(one.crowded) for one in both] == [1, 0]
    every = ["sparse_0", "dense_0", "sparse_1", "dense_1"]
    assert collapsed(both[0].terms, both[0].crowded) == every
    assert collapsed(both[1].terms, both[1].crowded) == []
    # Means of a crowded batch and of one where everybody is alone.
    mean = {name: (term + both[1].terms[name]) / 2 for name, term in both[0].terms.items()}
    assert collapsed(mean, 0.5) == every
    assert collapsed({**mean, "dense_1_push": 0.3}, 0.5) == every[:3]
    assert B >= 1


@pytest.mark.parametrize("push", ["gaussian", "laplace"])
def test_descending_parts_the_tags_of_two_people(push: str) -> None:
    """From nearly equal tags; with margin 1 the Gaussian gets there too, only later."""
    labels = random_labels(5, people=2, unknown=0)
    labels.labelled[:] = True
    labels.xy[:, 0], labels.xy[:, 1] = 1.0, 3.0
    config = LossConfig(push=push, margin=1, tag_weight=1, heatmap_weight=0)  # type: ignore[arg-type]
    outputs = random_outputs(labels, SPARSE_ONLY, spread=0.05)
    optimizer = torch.optim.Adam([outputs[0].sparse_tags], lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        losses = loss(outputs, labels, SPARSE_ONLY, config)
        losses.total.backward()
        optimizer.step()
    assert float(losses.terms["sparse_0_push"]) < 0.1
    assert float(losses.terms["sparse_0_pull"]) < 0.01


def test_a_network_learns_a_picture() -> None:
    """Everything together: forward, loss and backward of a tiny network, until the loss has fallen by half."""
    torch.manual_seed(0)
    config = ClusterNetConfig(name="t", channels=8, depth=1, dense=(1,), sparse=(5,), branch_channels=8)
    network = ClusterNet(config)
    labels = random_labels(5, people=2, unknown=0)
    images = torch.rand(len(labels.xy), 3, 64, 64) * 255
    labels = replace(labels, unknown=torch.zeros(len(images), 17, 16, 16, dtype=torch.bool))
    labels.labelled[:] = True
    labels.xy[:] = torch.rand(labels.xy.shape) * 15
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    totals = []
    for _ in range(30):
        optimizer.zero_grad()
        losses = loss(network(images), labels, config, LossConfig(peak_weight=10))
        losses.total.backward()
        optimizer.step()
        totals.append(float(losses.total.detach()))
    assert totals[-1] < 0.5 * totals[0]


@pytest.mark.parametrize(
    ("name", "value"), [("sigma", 0), ("margin", -1), ("tag_weight", float("nan")), ("peak_weight", -0.1)]
)
def test_weights_that_mean_nothing(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        LossConfig(**{name: value})  # type: ignore[arg-type]
