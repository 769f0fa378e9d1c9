"""What runs the network: mirrors, devices, precisions, and the errors about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models import weights
from models.cluster_net import ClusterNet, ClusterNetConfig
from models.skeleton import SKELETONS
from posetrack_app import engines
from posetrack_app.engines import TorchEngine, maps_of, resolve_device, resolve_precision
from posetrack_app.errors import DeviceError, WeightsError


@pytest.fixture(scope="module")
def engine() -> TorchEngine:
    return TorchEngine("small", device="cpu", precision="float32")


@pytest.fixture
def pictures() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 255, (2, 64, 96, 3), dtype=np.uint8)


def test_maps_are_a_quarter_of_the_picture(engine: TorchEngine, pictures: np.ndarray) -> None:
    heatmaps, tags = maps_of(engine, pictures, mirror=False)
    assert heatmaps.shape == (2, 17, 16, 24)
    assert tags.shape == (2, 1, 17, 16, 24)
    assert heatmaps.dtype == tags.dtype == torch.float32
    heatmaps, tags = maps_of(engine, pictures, mirror=True)
    assert heatmaps.shape == (2, 17, 16, 24)
    assert tags.shape == (2, 2, 17, 16, 24)


def test_the_mirror_of_the_mirrored_picture_is_the_same(engine: TorchEngine, pictures: np.ndarray) -> None:
    left_right = torch.as_tensor(SKELETONS["coco17"].mirror)
    heatmaps, tags = maps_of(engine, pictures, mirror=True)
    mirrored_heatmaps, mirrored_tags = maps_of(engine, np.ascontiguousarray(pictures[:, :, ::-1]), mirror=True)
    torch.testing.assert_close(mirrored_heatmaps.flip(-1)[:, left_right], heatmaps, atol=1e-4, rtol=1e-4)
    # What was the mirrored view is now the straight one.
    torch.testing.assert_close(mirrored_tags.flip(-1)[:, :, left_right].flip(1), tags, atol=1e-4, rtol=1e-4)


def test_the_straight_view_is_the_first(engine: TorchEngine, pictures: np.ndarray) -> None:
    straight = maps_of(engine, pictures, mirror=False)[1]
    torch.testing.assert_close(maps_of(engine, pictures, mirror=True)[1][:, :1], straight, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("skeleton", "clusters"), [(s.name, c) for s in SKELETONS.values() for c in s.clusters])
def test_maps_change_places_in_the_mirror_as_their_joints_do(skeleton: str, clusters: int) -> None:
    config = ClusterNetConfig(name="x", skeleton=skeleton, sparse=(clusters,))
    places = engines._mirrored_maps(config)
    joints = SKELETONS[skeleton]
    for number, cluster in enumerate(joints.clusters[clusters]):
        assert {joints.mirror[joint] for joint in cluster} == set(joints.clusters[clusters][places[number]])


def test_bfloat16_is_near_float32(engine: TorchEngine, pictures: np.ndarray) -> None:
    half = TorchEngine("small", device="cpu", precision="bfloat16")
    heatmaps, _ = maps_of(half, pictures, mirror=False)
    assert heatmaps.dtype == torch.float32
    torch.testing.assert_close(heatmaps, maps_of(engine, pictures, mirror=False)[0], atol=0.05, rtol=0.05)
    assert half.describe()["precision"] == "bfloat16"
    assert half.describe()["device"] == "cpu"


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == "cpu"
    assert resolve_device("cpu") == "cpu"


@pytest.mark.parametrize(("device", "needs"), [("cuda", "NVIDIA"), ("mps", "Apple")])
def test_a_device_that_is_not_here(monkeypatch: pytest.MonkeyPatch, device: str, needs: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=f"(?s)'{device}'.*{needs}.*--device cpu"):
        resolve_device(device)  # type: ignore[arg-type]


def test_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_precision("auto", "cuda") == "float16"
    assert resolve_precision("auto", "mps") == "float32"
    monkeypatch.setattr(engines, "_processor_has_bfloat16", lambda: True)
    assert resolve_precision("auto", "cpu") == "bfloat16"
    monkeypatch.setattr(engines, "_processor_has_bfloat16", lambda: False)
    assert resolve_precision("auto", "cpu") == "float32"
    assert resolve_precision("bfloat16", "cpu") == "bfloat16"
    with pytest.raises(DeviceError, match="float16' needs a GPU"):
        resolve_precision("float16", "cpu")


def test_weights_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="shipped are"):
        TorchEngine("smal", device="cpu", precision="float32")
    path = tmp_path / "text.safetensors"
    path.write_text("no weights")
    with pytest.raises(WeightsError, match="text.safetensors"):
        TorchEngine(path, device="cpu", precision="float32")


def test_weights_from_a_file(tmp_path: Path) -> None:
    config = ClusterNetConfig(name="least", channels=8, depth=1, block="plain", sparse=(5,), branch_channels=8)
    path = tmp_path / "least.safetensors"
    weights.save(ClusterNet(config), path)
    heatmaps, tags = maps_of(
        TorchEngine(path, device="cpu", precision="float32"), np.zeros((1, 16, 24, 3), dtype=np.uint8), mirror=True
    )
    assert heatmaps.shape == (1, 5, 4, 6)
    assert tags.shape == (1, 2, 5, 4, 6)
