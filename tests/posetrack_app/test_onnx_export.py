"""The exported network: what ONNX Runtime makes of it, compared with PyTorch and with the peaks of `find_peaks`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models import weights as weight_files
from models.cluster_net import ClusterNet, ClusterNetConfig
from models.peaks import find_peaks
from posetrack_app import onnx_export
from posetrack_app.errors import OutputError, UsageError, UserError, WeightsError
from posetrack_app.onnx_export import OutputsName, compare, export_onnx

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

SIZES = ((64, 96), (128, 64))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network whose last maps show several joints each, with aggregation in and across branches."""
    torch.manual_seed(0)
    config = ClusterNetConfig(
        name="tiny", stem="conv", channels=16, growth=8, depth=2, block="plain", dense=(1, 3), sparse=(5, 3),
        branch_channels=20, in_branch=True, cross_branch=True,
    )  # fmt: skip
    network = ClusterNet(config).eval()
    with torch.no_grad():  # higher maps, so that there are peaks to find
        network.sparse[-1].bias[:3] += 0.4
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    weight_files.save(network, path)
    return path


def pictures(height: int, width: int, count: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 255, (count, height, width, 3), dtype=np.uint8)


def maps_of(network: ClusterNet, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        prediction = network.infer(torch.from_numpy(images).permute(0, 3, 1, 2).float())
    return prediction.heatmaps, prediction.tags


def session_of(path: Path) -> object:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def test_maps_of_any_size_and_number_are_those_of_pytorch(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "maps.onnx"
    told = export_onnx(weights, path, outputs="maps")
    assert set(told.outputs) == set(told.differences) == {"heatmaps", "tags"}
    network, session = weight_files.load(weights), session_of(path)
    for count, (height, width) in enumerate(SIZES, start=1):
        images = pictures(height, width, count)
        for ours, theirs in zip(session.run(None, {"pictures": images}), maps_of(network, images), strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_peaks_are_those_that_are_found_in_the_maps(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "peaks.onnx"
    export_onnx(weights, path, outputs="peaks")
    network, session = weight_files.load(weights), session_of(path)
    limits = tuple(30 * len(cluster) for cluster in network.config.joints.clusters[3])
    for count, (height, width) in ((1, (64, 96)), (3, (128, 192))):
        images = pictures(height, width, count)
        heatmaps, tags = maps_of(network, images)
        expected = find_peaks(heatmaps, tags[:, None], max_peaks=limits)
        xy, score, tag = session.run(None, {"pictures": images})
        assert xy.shape == (count, 3, max(limits), 2)
        found = expected.score.shape[2]
        assert found > 20
        assert (score[:, :, found:] == 0).all()
        np.testing.assert_allclose(score[:, :, :found], expected.score, atol=1e-4)
        seen = expected.score > 0
        apart = np.abs((xy[:, :, :found] - 1.5) / 4 - expected.xy)[seen].max(axis=1)
        # Peaks of nearly one height may change places: nearly all stand in the same order, to the hundredth of a cell.
        assert (apart < 0.01).mean() > 0.99
        assert (np.abs(tag[:, :, :found] - expected.tags[..., 0])[seen] < 1e-3).mean() > 0.99


def test_the_shipped_network_with_fixed_shapes(tmp_path: Path) -> None:
    path = tmp_path / "small.onnx"
    told = export_onnx("small", path, size=(256, 320), batch=1)
    assert told.pictures == [(256, 320)]
    assert told.differences["xy"] < 0.01
    (picture,) = session_of(path).get_inputs()
    assert picture.shape == [1, 256, 320, 3]


def test_half_precision_keeps_inputs_and_outputs(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    export_onnx(weights, path, outputs="maps", size=SIZES[0], half=True)
    model = onnx.load(path)
    kinds = {onnx.TensorProto.DataType.Name(tensor.data_type) for tensor in model.graph.initializer}
    assert "FLOAT16" in kinds
    session = session_of(path)
    assert session.get_inputs()[0].type == "tensor(uint8)"
    assert {output.type for output in session.get_outputs()} == {"tensor(float)"}


@pytest.mark.parametrize("outputs", ["maps", "peaks"])
def test_the_file_says_what_it_is_and_nothing_of_this_machine(
    weights: Path, tmp_path: Path, outputs: OutputsName
) -> None:
    path = tmp_path / "net.onnx"
    export_onnx(weights, path, outputs=outputs, size=SIZES[0])
    model = onnx.load(path)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["network"])["name"] == "tiny"
    assert [len(cluster) for cluster in json.loads(facts["joints of each map"])] == [5, 6, 6]
    for part in (*model.graph.input, *model.graph.output):
        assert part.doc_string == facts[part.name]
    assert str(Path(onnx_export.__file__).parent).encode() not in path.read_bytes()
    assert str(Path(torch.__file__).parent).encode() not in path.read_bytes()


def test_what_is_not_equal_is_not_written(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped = onnx_export._wrapped

    def other(network: ClusterNet, outputs: OutputsName, *, half: bool) -> nn.Module:
        with torch.no_grad():
            network.sparse[-1].bias += torch.rand(network.sparse[-1].bias.shape)
        return wrapped(network, outputs, half=half)

    monkeypatch.setattr(onnx_export, "_wrapped", other)
    with pytest.raises(UserError, match=r"differ from PyTorch's by up to .*net\.onnx was not written"):
        export_onnx(weights, tmp_path / "net.onnx", outputs="maps", size=SIZES[0])
    assert not list(tmp_path.iterdir())


def test_a_value_that_is_none_is_a_difference() -> None:
    zero = np.zeros((1, 1, 2, 2), np.float32)
    difference = compare(("heatmaps", "tags"), (zero, zero), (zero * np.nan, zero))
    assert not difference["heatmaps"] <= 1


def test_peaks_are_compared_with_the_nearest() -> None:
    xy = np.array([[10.0, 10], [50, 50], [0, 0]], np.float32)[None, None]
    score, tags = np.array([[[0.9, 0.8, 0]]], np.float32), np.array([[[1.0, 2, 3]]], np.float32)
    order = [1, 0, 2]
    same = compare(("xy", "score", "tags"), (xy, score, tags), (xy[:, :, order], score, tags[:, :, order]))
    assert same == {"xy": 0, "score": 0, "tags": 0}
    gone = compare(("xy", "score", "tags"), (xy, score, tags), (xy, score * [1, 0, 1], tags))
    assert gone["xy"] > 50
    assert gone["score"] == pytest.approx(0.8)


@pytest.mark.parametrize("size", [(100, 96), (32, 96), (96, 8192)])
def test_sizes_that_do_not_fit(weights: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"--size has a side of \d+ pixels: sides are multiples of 16 from 64 to 4096"):
        export_onnx(weights, tmp_path / "net.onnx", size=size)


def test_what_a_user_can_get_wrong(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WeightsError, match="smal"):
        export_onnx("smal", tmp_path / "net.onnx")
    with pytest.raises(OutputError, match="cannot write"):
        export_onnx(weights, tmp_path / "missing" / "net.onnx", outputs="maps", size=(64, 64), batch=1)
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None if name == "onnx" else object())
    with pytest.raises(UserError, match=r"export-model needs onnx: pip install 'posetrack-app\[export\]'"):
        export_onnx("small", tmp_path / "net.onnx")
