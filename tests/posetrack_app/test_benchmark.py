"""The comparison of what can run the network: drift against a literal count, the choice, and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.count import count_macs
from models.skeleton import COCO17
from posetrack_app import benchmark
from posetrack_app.benchmark import (
    Row,
    Variant,
    bench,
    best,
    drawn_frames,
    joint_drift,
    product_rate,
    read_frames,
    variants,
)
from posetrack_app.errors import DeviceError, InputError
from posetrack_app.types import Frame, Poses
from posetrack_app.video import VideoWriter

SIGMAS = np.array(COCO17.sigmas)


def people(count: int, *, seed: int = 0) -> Poses:
    """People of about 100 pixels, 300 pixels apart, each with a joint that was not found."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform(0, 100, (count, 17, 2)) + 300 * np.arange(count)[:, None, None]
    joint_score = np.ones((count, 17))
    joint_score[np.arange(count), np.arange(count)] = 0
    xy[joint_score == 0] = 0
    return Poses.untracked(xy=xy, joint_score=joint_score, score=np.ones(count))


def moved(poses: Poses, offset: tuple[float, float]) -> Poses:
    return replace(poses, xy=np.where(poses.joint_score[..., None] > 0, poses.xy + np.float32(offset), 0))


def test_drift_is_how_far_joints_were_moved_whatever_the_order_of_people() -> None:
    ours = people(4)
    matched, apart = joint_drift(ours, moved(ours, (3, 4))[np.array([2, 0, 3, 1])], SIGMAS)
    assert matched == 4
    assert len(apart) == 4 * 16  # what was not found is nowhere
    np.testing.assert_allclose(apart, 5, rtol=1e-4)


def test_others_are_not_matched() -> None:
    ours = people(3)
    matched, apart = joint_drift(ours, ours[:2], SIGMAS)
    assert (matched, len(apart)) == (2, 32)
    assert joint_drift(ours, moved(ours, (5000, 0)), SIGMAS)[0] == 0
    for one, other in ((ours, Poses.empty(17)), (Poses.empty(17), ours), (Poses.empty(17), Poses.empty(17))):
        matched, apart = joint_drift(one, other, SIGMAS)
        assert (matched, apart.shape) == (0, (0,))


def test_a_person_of_one_joint_is_ordinary() -> None:
    alone = people(1)
    score = np.zeros((1, 17), np.float32)
    score[0, 5] = 1
    alone = replace(alone, joint_score=score)
    matched, apart = joint_drift(alone, alone, SIGMAS)
    assert (matched, apart.tolist()) == (1, [0.0])


def row(variant: Variant, frame_ms: float, *, shared: float = 1.0, drift: float = 0.1, ap: float | None = None) -> Row:
    return Row(
        variant=variant, network_ms=frame_ms, peak_share=0.5, frame_ms=frame_ms, people=9, shared=shared,
        drift_median=drift / 2, drift_95=drift, ap=ap,
    )  # fmt: skip


REFERENCE = Variant(engine="pytorch", device="cpu", precision="float32", short_side=256)
OTHER = replace(REFERENCE, engine="openvino", precision="bfloat16")


@pytest.mark.parametrize(
    ("other", "wins"),
    [
        (row(OTHER, 10), True),
        (row(OTHER, 90), False),
        (row(OTHER, 10, shared=0.5), False),
        (row(OTHER, 10, drift=9), False),
        (row(OTHER, 10, drift=9, ap=29.8), True),
        (row(OTHER, 10, ap=29.0), False),
    ],
)
def test_the_best_is_the_fastest_of_those_that_find_the_same(other: Row, wins: bool) -> None:
    (found,) = best([row(REFERENCE, 50, drift=0, ap=30.0), other], frame_side=360)
    assert (found is other) == wins


def test_each_size_has_its_best() -> None:
    rows = [row(replace(REFERENCE, short_side=side), side) for side in (256, 384)]
    assert best([*rows, row(OTHER, 10)], frame_side=360) == [row(OTHER, 10), rows[1]]
    assert OTHER.assignments() == [
        "network.engine=openvino", "network.device=cpu", "network.precision=bfloat16", "network.short_side=256",
    ]  # fmt: skip


def test_what_is_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    some = variants(engines=("pytorch",), short_sides=(256, 384))
    assert len(some) == len(set(some))
    assert [one.short_side for one in some if one.is_reference] == [256, 384]
    assert {one.batch for one in some if one.device == "cuda"} == {1, 8, 32}
    assert {one.device for one in variants(engines=("pytorch",), device="cuda")} == {"cpu", "cuda"}
    on_processor = variants(engines=("openvino",), device="cpu")
    assert on_processor[0] == REFERENCE
    assert {one.engine for one in on_processor[1:]} == {"openvino"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="cuda"):
        variants(device="cuda")


@pytest.fixture(scope="module")
def drawn() -> list[Frame]:
    return drawn_frames(6)


def test_a_product_of_matrices_takes_work_and_time() -> None:
    # No processor of these years multiplies less than 10^8 or more than 10^14 numbers a second.
    assert 1e8 < product_rate("cpu", "float32") < 1e14


def test_each_frame_counts_once_and_the_reference_does_not_drift(
    drawn: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "_LEAST_ROUNDS", 2)
    monkeypatch.setattr(benchmark, "product_rate", lambda device, precision: 1e11)
    frames = drawn[:3]
    assert [frame.image.shape for frame in drawn] == [(360, 640, 3)] * 6
    some = [replace(REFERENCE, short_side=96, batch=2), replace(REFERENCE, short_side=96, batch=1)]
    alone, again = bench(frames, some)
    assert alone.people == again.people > 0
    assert alone.shared == again.shared == 1
    # 640x360 becomes 192x96 of 256x256 pixels, and the work of a fully convolutional network is as its pixels.
    work = count_macs(benchmark._estimator(some[0], "small").engine.config, height=256, width=256) * 192 * 96 / 256**2
    assert alone.peak_share == pytest.approx(work / (alone.network_ms / 1000) / 1e11)
    assert (alone.drift_median, alone.drift_95) == (0, 0)
    assert again.drift_95 == pytest.approx(0, abs=0.01)
    assert 0 < alone.network_ms <= alone.frame_ms


def test_nobody_in_the_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "_LEAST_ROUNDS", 1)
    grey = Frame(index=0, pts=0.0, image=np.full((64, 96, 3), 90, np.uint8))
    rows = bench([grey], [replace(REFERENCE, short_side=64)])
    assert (rows[0].people, rows[0].shared, rows[0].drift_median) == (0, 1.0, None)
    assert best(rows, frame_side=64) == rows


@pytest.fixture(scope="module")
def clip(drawn: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of walking people."""
    path = tmp_path_factory.mktemp("clips") / "walk.mp4"
    with VideoWriter(path, width=640, height=360, rate=None) as writer:
        for index, frame in enumerate(drawn):
            writer.write(frame.image, index / 25)
    return path


def test_frames_of_a_clip(clip: Path, tmp_path: Path) -> None:
    assert [frame.index for frame in read_frames(str(clip), 4)] == [0, 1, 2, 3]
    assert len(read_frames(str(clip), 100)) == 6
    with pytest.raises(InputError, match=r"missing\.mp4"):
        read_frames(str(tmp_path / "missing.mp4"), 4)


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "posetrack_app", *map(str, arguments)],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip


def test_the_command(clip: Path, tmp_path: Path) -> None:
    figures = tmp_path / "bench.json"
    done = call("bench", clip, "--frames", "6", "--short-sides", "64,96", "--device", "cpu", "--json", figures)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert "6 frames, 640x360" in lines[0]
    assert [line.startswith("best here: --set network.engine=") for line in lines[-3:]] == [False, True, True]
    content = json.loads(figures.read_text())
    assert content["frames"] == 6
    assert len(content["rows"]) == len(lines) - 4
    for one in content["rows"]:
        assert set(one) == {
            "variant", "network_ms", "peak_share", "frame_ms", "people", "shared", "drift_median", "drift_95", "ap",
        }  # fmt: skip
        assert one["network_ms"] > 0
    assert [setting[-1] for setting in content["best"]] == ["network.short_side=64", "network.short_side=96"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("bench", "--engines", "openvin"), "did you mean 'openvino'?"),
        (("bench", "--short-sides", "256,x"), "--short-sides is '256,x'"),
        (("bench", "--coco", "dev.json"), "--coco and --images belong together"),
        (("export-model", "a.onnx", "--size", "256"), "--size is '256'"),
    ],
)
def test_wrong_calls(arguments: tuple[str, ...], said: str) -> None:
    done = call(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
