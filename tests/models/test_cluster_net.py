"""The network against the formulas of the paper, in every configuration that ships, shrunk."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.cluster_net import ClusterNet, ClusterNetConfig
from models.skeleton import COCO17

FOLDER = Path(__file__).resolve().parents[2] / "configs" / "models"
CONFIGS = {
    path.stem: ClusterNetConfig.from_values(tomllib.loads(path.read_text())) for path in sorted(FOLDER.glob("*.toml"))
}
H, W = 64, 96


def shrunk(config: ClusterNetConfig) -> ClusterNetConfig:
    """The same branches, with few channels."""
    return replace(config, channels=16, growth=4, depth=2, branch_channels=20)


SHRUNK = {name: shrunk(config) for name, config in CONFIGS.items()}


@pytest.fixture(params=SHRUNK)
def network(request: pytest.FixtureRequest) -> ClusterNet:
    torch.manual_seed(0)
    return ClusterNet(SHRUNK[request.param]).eval()


def images(count: int = 1) -> Tensor:
    return torch.rand(count, 3, H, W, generator=torch.Generator().manual_seed(1)) * 255


def leaves(network: nn.Module) -> dict[str, nn.Module]:
    """Modules that compute: those without modules in them."""
    return {
        name: module
        for name, module in network.named_modules()
        if not list(module.children()) and not isinstance(module, nn.ModuleList)
    }


def test_the_papers_networks_and_ours_are_there() -> None:
    four_dense, four_sparse = (1, 1, 1, 1), (17, 17, 17, 17)
    expected = {
        "pose_ae": ((), four_sparse, False, False),
        "cluster1": ((1, 1, 1, 3), (5, 5, 5, 17), False, False),
        "cluster2": (four_dense, four_sparse, False, False),
        "in_branch": (four_dense, four_sparse, True, False),
        "cross_branch": (four_dense, four_sparse, False, True),
        "in_cross_branch": (four_dense, four_sparse, True, True),
    }
    for name, (dense, sparse, in_branch, cross_branch) in expected.items():
        config = CONFIGS[name]
        assert (config.dense, config.sparse, config.in_branch, config.cross_branch) == (
            dense, sparse, in_branch, cross_branch,
        )  # fmt: skip
        assert (config.channels, config.depth, config.stem, config.block) == (256, 4, "conv", "bottleneck")
    assert CONFIGS.keys() == {*expected, "small", "tiny"}
    assert all(config.name == name for name, config in CONFIGS.items())


def test_shapes(network: ClusterNet) -> None:
    config = network.config
    outputs = network(images(2))
    assert len(outputs) == config.stacks
    for stack, output in enumerate(outputs):
        sparse = (2, config.sparse[stack], H // 4, W // 4)
        assert output.sparse_heatmaps.shape == output.sparse_tags.shape == sparse
        if not config.dense:
            assert output.dense_heatmaps is None
            assert output.dense_tags is None
        else:
            assert output.dense_heatmaps is not None
            assert output.dense_tags is not None
            dense = (2, config.dense[stack], H // 4, W // 4)
            assert output.dense_heatmaps.shape == output.dense_tags.shape == dense


def test_infer_is_the_last_sparse_branch(network: ClusterNet) -> None:
    with torch.no_grad():
        last, prediction = network(images(2))[-1], network.infer(images(2))
    assert torch.equal(prediction.heatmaps, last.sparse_heatmaps)
    assert torch.equal(prediction.tags, last.sparse_tags)
    assert prediction.features.shape == (2, 16, H // 4, W // 4)


def test_infer_computes_only_what_it_needs(network: ClusterNet) -> None:
    """Each module is used once, all but the last dense branch; and whatever is used has an influence."""
    calls: Counter[str] = Counter()
    for name, module in leaves(network).items():
        module.register_forward_hook(lambda *_, name=name: calls.update([name]))
    prediction = network.infer(images())
    stacks = network.config.stacks
    unused = {f"dense.{stacks - 1}"} if network.config.dense else set()
    assert calls == Counter(leaves(network).keys() - unused)
    torch.autograd.backward(prediction.heatmaps.sum() + prediction.tags.sum())
    for name, parameter in network.named_parameters():
        if name.rpartition(".")[0] in unused:
            assert parameter.grad is None
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name


def test_training_reaches_every_parameter(network: ClusterNet) -> None:
    network.train()
    maps = [maps for output in network(images(2)) for maps in output if maps is not None]
    generator = torch.Generator().manual_seed(2)
    weighted = [(m * torch.randn(m.shape, generator=generator)).sum() for m in maps]
    torch.autograd.backward(torch.stack(weighted).sum())
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        if parameter.ndim > 1:  # a bias before a batch norm has no slope
            assert parameter.grad.any(), name


def test_supervised_maps_come_first_in_each_half(network: ClusterNet) -> None:
    kept: dict[str, Tensor] = {}
    for kind in ("sparse", "dense"):
        for stack, module in enumerate(getattr(network, kind)):
            module.register_forward_hook(lambda _, __, y, key=f"{kind}{stack}": kept.update({key: y}))
    half = network.config.branch_channels
    for stack, output in enumerate(network(images())):
        for kind, heatmaps, tags in (
            ("sparse", output.sparse_heatmaps, output.sparse_tags),
            ("dense", output.dense_heatmaps, output.dense_tags),
        ):
            if heatmaps is None or tags is None:
                continue
            branch, clusters = kept[f"{kind}{stack}"], heatmaps.shape[1]
            assert branch.shape[1] == 2 * half
            assert torch.equal(heatmaps, branch[:, :clusters])
            assert torch.equal(tags, branch[:, half : half + clusters])


def _one_by_one(x: np.ndarray, conv: nn.Module) -> np.ndarray:
    """A 1x1 convolution of (C, H, W) by its definition."""
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    weight, bias = conv.weight.detach().double().numpy()[:, :, 0, 0], conv.bias.detach().double().numpy()
    return np.stack([sum(weight[o, i] * x[i] for i in range(len(x))) + bias[o] for o in range(len(weight))])


def _grouped(x: np.ndarray, conv: nn.Module, sparse: int, dense: int) -> np.ndarray:
    """Figure 4b: a dense cluster sums over the sparse clusters with which it shares a joint."""
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    weight, bias = conv.weight.detach().double().numpy()[:, :, 0, 0], conv.bias.detach().double().numpy()
    maps = []
    for d, many in enumerate(COCO17.clusters[dense]):
        total = np.full(x.shape[1:], bias[d])
        for s, few in enumerate(COCO17.clusters[sparse]):
            if any(joint in many for joint in few):
                total += weight[d, s] * x[s]
        maps.append(total)
    return np.stack(maps)


def test_the_way_to_the_next_stack_is_the_papers(network: ClusterNet) -> None:
    """DESIGN: x + conv(m_sparse) + conv(m_dense) + conv(f), with the aggregations of figure 4, worked out literally."""
    config, half = network.config, network.config.branch_channels
    seen: dict[str, np.ndarray] = {}

    def keep(name: str, x: Tensor) -> None:
        seen[name] = x[0].detach().double().numpy()

    for stack in range(config.stacks):
        network.hourglass[stack].register_forward_pre_hook(lambda _, x, s=stack: keep(f"x{s}", x[0]))
        for kind in ("features", "sparse", "dense")[: 3 if config.dense else 2]:
            getattr(network, kind)[stack].register_forward_hook(lambda _, __, y, k=f"{kind}{stack}": keep(k, y))
    with torch.no_grad():
        network(images())
    for i in range(config.stacks - 1):
        sparse = seen[f"sparse{i}"]
        m_sparse = sparse[:half]
        if config.in_branch:
            m_sparse = m_sparse + _one_by_one(sparse, network.in_branch_sparse[i])
        y = seen[f"x{i}"] + _one_by_one(m_sparse, network.to_next_sparse[i])
        y = y + _one_by_one(seen[f"features{i}"], network.to_next_features[i])
        if config.dense:
            dense = seen[f"dense{i}"]
            m_dense = dense[:half]
            if config.in_branch:
                m_dense = m_dense + _one_by_one(dense, network.in_branch_dense[i])
            if config.cross_branch:
                c, d = config.sparse[i], config.dense[i]
                supervised = _grouped(m_sparse[:c], network.cross_predictions[i], c, d)
                m_dense = m_dense + np.concatenate([supervised, _one_by_one(m_sparse, network.cross_general[i])])
            y = y + _one_by_one(m_dense, network.to_next_dense[i])
        np.testing.assert_allclose(seen[f"x{i + 1}"], y, atol=1e-4, rtol=1e-4)


def test_a_dense_cluster_sees_only_sparse_ones_that_share_a_joint() -> None:
    torch.manual_seed(0)
    config = ClusterNetConfig(
        name="cross", channels=8, depth=1, sparse=(5, 17), dense=(3, 1), branch_channels=17, cross_branch=True
    )
    conv = ClusterNet(config).cross_predictions[0]
    x = torch.zeros(5, 5, 1, 1)
    x[range(5), range(5)] = 1  # picture s: sparse cluster s alone
    with torch.no_grad():
        seen = (conv(x) != conv(torch.zeros(1, 5, 1, 1)))[:, :, 0, 0]
    # head; arms; legs. The clusters of the legs hold an ear each: 1 nose and eyes, 2 arms, 2 legs with ears.
    assert seen.T.tolist() == [
        [True, False, False, True, True],
        [False, True, True, False, False],
        [False, False, False, True, True],
    ]


def test_results_do_not_depend_on_the_batch(network: ClusterNet) -> None:
    with torch.no_grad():
        together = network.infer(images(3))
        for number in range(3):
            alone = network.infer(images(3)[number : number + 1])
            torch.testing.assert_close(alone.heatmaps[0], together.heatmaps[number], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("stem", "depth", "multiple"), [("conv", 2, 16), ("conv", 4, 64), ("mobilenet_fpn", 2, 32)])
def test_the_multiple_of_sides_is_enough(stem: str, depth: int, multiple: int) -> None:
    config = replace(SHRUNK["pose_ae"], stem=stem, depth=depth)  # type: ignore[arg-type]  # of parametrize
    assert config.multiple == multiple
    prediction = ClusterNet(config).eval().infer(torch.zeros(1, 3, multiple, 2 * multiple))
    assert prediction.heatmaps.shape[2:] == (multiple // 4, multiple // 2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"skeleton": "coco"}, "unknown skeleton 'coco', known: .*coco17"),
        ({"sparse": []}, "sparse needs one number a stack"),
        ({"dense": [1]}, "got 4 and 1"),
        ({"sparse": [4]}, r"coco17 has no division into 4 clusters, only into \[1, 3, 5, 17\]"),
        ({"branch_channels": 16}, "branch_channels = 16 is less than 17 clusters"),
        ({"cross_branch": True}, "cross_branch needs a dense branch"),
        ({"chanels": 1}, "unknown key 'chanels', known is: channels"),
    ],
)
def test_what_cannot_be_built_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        ClusterNetConfig.from_values({"name": "x", **values})
    assert "\n" not in str(error.value)


def test_a_configuration_needs_a_name() -> None:
    with pytest.raises(ValueError, match="it has no 'name'"):
        ClusterNetConfig.from_values({})
