"""The network in OpenVINO: the same maps as in PyTorch, whatever the size; what is kept between runs."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from models.cluster_net import ClusterNet, ClusterNetConfig
from posetrack_app.engines import OpenVINOEngine, TorchEngine, make_engine, maps_of
from posetrack_app.errors import DeviceError, WeightsError

openvino_network = pytest.importorskip("posetrack_app.openvino_network", reason="OpenVINO is not installed")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A cache of its own for these tests."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setattr(openvino_network, "cache_folder", lambda: folder)
        yield folder


@pytest.fixture(scope="module")
def engine(cache: Path) -> OpenVINOEngine:
    return OpenVINOEngine("small", precision="float32")


@pytest.fixture(scope="module")
def torch_engine() -> TorchEngine:
    return TorchEngine("small", device="cpu", precision="float32")


def tiny() -> ClusterNet:
    """A network that is converted in a moment, with in-branch and cross-branch aggregation."""
    torch.manual_seed(0)
    config = ClusterNetConfig(
        name="tiny", stem="conv", channels=16, growth=8, depth=2, block="bottleneck", dense=(1, 3), sparse=(5, 17),
        branch_channels=20, in_branch=True, cross_branch=True,
    )  # fmt: skip
    return ClusterNet(config).eval()


def pictures(height: int, width: int, count: int = 1) -> np.ndarray:
    """Soft stains, which excite the network more than noise does."""
    rng = np.random.default_rng(height + width)
    coarse = rng.integers(0, 255, (count, height // 32, width // 32, 3), dtype=np.uint8)
    return coarse.repeat(32, axis=1).repeat(32, axis=2)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (256, 448), (192, 64)])
def test_maps_are_those_of_pytorch(
    engine: OpenVINOEngine, torch_engine: TorchEngine, height: int, width: int, mirror: bool
) -> None:
    images = pictures(height, width, 2)
    for ours, theirs in zip(
        maps_of(engine, images, mirror=mirror), maps_of(torch_engine, images, mirror=mirror), strict=True
    ):
        assert ours.dtype == theirs.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-4)


def test_a_batch_changes_nothing(engine: OpenVINOEngine) -> None:
    images = pictures(64, 96, 3)
    together = maps_of(engine, images, mirror=False)
    for number in range(3):
        alone = maps_of(engine, images[number : number + 1], mirror=False)
        for one, all_ in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], all_[number], atol=0, rtol=0)


def test_maps_stay_when_the_next_pictures_come(engine: OpenVINOEngine) -> None:
    heatmaps, tags = maps_of(engine, pictures(64, 96), mirror=False)
    before = heatmaps.clone(), tags.clone()
    maps_of(engine, 255 - pictures(64, 96), mirror=False)
    torch.testing.assert_close((heatmaps, tags), before, atol=0, rtol=0)


def test_few_sizes_stay_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_network, "_SIZES", 2)
    network = openvino_network.OpenVINONetwork(tiny(), precision="float32", cache=tmp_path)
    sizes = [(64, 64), (64, 96), (64, 64), (96, 64), (64, 64)]
    first, *_, last = [network.infer(pictures(*size))[0] for size in sizes]
    assert torch.equal(first, last)
    assert list(network._requests) == [(96, 64), (64, 64)], "the last used ones"


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
def test_signals_keep_their_stack_when_networks_come_and_go(tmp_path: Path) -> None:
    def stack() -> bytes:
        """`stack_t` of this thread."""
        known = ctypes.create_string_buffer(32)
        assert ctypes.CDLL(None).sigaltstack(None, known) == 0
        return known.raw[:8] + known.raw[16:24]

    def make() -> object:
        network = openvino_network.OpenVINONetwork(tiny(), precision="float32", cache=tmp_path)
        network.infer(pictures(64, 64))
        return network

    first = make()
    before = stack()
    others = [make(), make()]
    while others:
        others.pop(0)
        gc.collect()
    assert stack() == before
    del first


def test_what_was_converted_is_kept_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny()
    first = openvino_network.OpenVINONetwork(network, precision="float32", cache=tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.rsplit(".", 1)[1] for name in names] == ["bin", "xml"]

    with monkeypatch.context() as patch:
        patch.setattr(openvino_network, "_convert", lambda network: pytest.fail("it was there already"))
        second = openvino_network.OpenVINONetwork(network, precision="float32", cache=tmp_path)
    image = pictures(64, 96)
    torch.testing.assert_close(second.infer(image), first.infer(image), atol=0, rtol=0)

    (tmp_path / names[1]).write_text("<net")
    mended = openvino_network.OpenVINONetwork(network, precision="float32", cache=tmp_path)
    torch.testing.assert_close(mended.infer(image), first.infer(image), atol=0, rtol=0)


def test_other_weights_are_another_network(tmp_path: Path) -> None:
    network = tiny()
    before = openvino_network._fingerprint(network)
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] += 1
    assert openvino_network._fingerprint(network) != before


def test_a_cache_that_cannot_be_written_costs_no_results(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    network = tiny()
    ours = openvino_network.OpenVINONetwork(network, precision="float32", cache=tmp_path / "file" / "cache")
    assert ours.infer(pictures(64, 96))[0].shape == (1, 17, 16, 24)


def test_auto_takes_it_on_a_processor() -> None:
    assert isinstance(make_engine("auto", "small", device="cpu", precision="float32"), OpenVINOEngine)
    assert isinstance(make_engine("pytorch", "small", device="cpu", precision="float32"), TorchEngine)


def test_unknown_weights_are_told() -> None:
    with pytest.raises(WeightsError, match="smal"):
        make_engine("openvino", "smal", device="cpu", precision="float32")


def test_it_needs_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(DeviceError, match="runs on a processor, not on 'cuda'"):
        make_engine("openvino", "small", device="cuda", precision="float32")
