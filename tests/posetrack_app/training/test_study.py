"""The study of the paper's networks: fair sizes, fair time, and measures that a perfect network passes."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from models.cluster_net import ClusterNet, Prediction, StackOutput
from models.count import count_parameters
from models.losses import LossConfig
from models.skeleton import COCO17
from models.targets import Labels, heatmaps
from posetrack_app.training.loop import Trainer
from posetrack_app.training.sampling import Batch
from posetrack_app.training.study import (
    NAMES,
    Measured,
    empty_error,
    found_share,
    held_out_error,
    scaled_down,
    table,
    train_for,
)

SCRIPT = Path(__file__).parents[3] / "scripts" / "study.py"


@pytest.mark.parametrize("stacks", [2, 4])
def test_networks_are_alike_but_for_what_the_paper_changes(stacks: int) -> None:
    configs = {name: scaled_down(name, stacks=stacks, channels=32) for name in NAMES}
    shapes = {
        (config.stacks, config.channels, config.branch_channels, config.depth, config.block, config.stem)
        for config in configs.values()
    }
    assert shapes == {(stacks, 32, 34, 3, "bottleneck", "conv")}
    assert all(config.sparse[-1] == 17 for config in configs.values())
    assert all(128 % config.multiple == 0 for config in configs.values())
    assert configs["cluster1"].sparse == (5,) * (stacks - 1) + (17,)
    assert configs["cluster1"].dense[-1] == 3
    assert not configs["pose_ae"].dense
    sizes = [count_parameters(ClusterNet(config)) for config in configs.values()]
    assert max(sizes) < 1.1 * min(sizes)


def test_more_stacks_than_there_are() -> None:
    with pytest.raises(ValueError, match=r"'cluster1' has 4 stacks, not 5"):
        scaled_down("cluster1", stacks=5, channels=32)


class Clock:
    """A trainer whose steps take so many seconds, the first one much longer."""

    def __init__(self, total: int, seconds: float) -> None:
        self.step, self.total, self.now, self._seconds = 0, total, 0.0, seconds

    def take_step(self) -> None:
        self.now += self._seconds if self.step else 10 * self._seconds
        self.step += 1


@pytest.mark.parametrize(
    ("minutes", "steps"),
    [(None, 100), (10.0, 100), (1.0, 51), (0.05, 10)],
    ids=["no limit", "time enough", "some", "none"],
)
def test_training_fits_into_its_time(minutes: float | None, steps: int) -> None:
    clock = Clock(total=100, seconds=1.0)
    seconds = train_for(cast(Trainer, clock), minutes=minutes, clock=lambda: clock.now)
    assert clock.step == clock.total == steps
    assert seconds == steps + 9


class Oracle:
    """A network that says the maps it is given, batch after batch."""

    def __init__(self, maps: list[Tensor]) -> None:
        self.config = scaled_down("pose_ae", stacks=1, channels=32)
        self._maps = iter(maps)

    def infer(self, images: Tensor) -> Prediction:
        maps = next(self._maps)
        return Prediction(maps, maps, maps)

    def __call__(self, images: Tensor) -> list[StackOutput]:
        maps = next(self._maps)
        return [StackOutput(maps, maps, None, None)]


def oracle(*maps: Tensor) -> ClusterNet:
    return cast(ClusterNet, Oracle(list(maps)))


def batch_of(xy: Tensor, *, size: float = 20.0) -> Batch:
    """Pictures with people (B, N, 17, 2), all labelled, maps of 48 by 40 cells."""
    B, N = xy.shape[:2]
    labels = Labels(
        xy,
        torch.ones(B, N, 17, dtype=torch.bool),
        torch.full((B, N), size),
        torch.zeros(B, 17, 40, 48, dtype=torch.bool),
    )
    return Batch(images=torch.zeros(B, 3, 160, 192), labels=labels)


def people(count: int, *, pictures: int = 2) -> Tensor:
    """In columns that are far from each other."""
    rng = torch.Generator().manual_seed(0)
    xy = torch.rand(pictures, count, 17, 2, generator=rng) * torch.tensor([3.0, 30.0]) + 4
    return xy + 14 * torch.arange(count)[:, None, None] * torch.tensor([1.0, 0.0])


def drawn(batch: Batch) -> Tensor:
    return heatmaps(batch.labels, COCO17.clusters[17], sigma=1.5)


def test_perfect_maps_find_all_joints_and_have_no_error() -> None:
    batch = batch_of(people(3))
    assert found_share(oracle(drawn(batch)), [batch]) == 100
    perfect = oracle(drawn(batch))
    assert held_out_error(perfect, [batch], perfect.config, LossConfig(peak_weight=10)) == 0


def test_a_joint_counts_up_to_an_oks_of_one_half() -> None:
    """Noses are off by 1 cell, hips by the same, which OKS forgives of a person of this size."""
    batch = batch_of(people(2), size=8.0)
    moved = replace(batch, labels=replace(batch.labels, xy=batch.labels.xy + torch.tensor([1.0, 0.0])))
    found = found_share(oracle(drawn(moved)), [batch])
    forgiven = sum(np.exp(-1 / (2 * (2 * sigma * 8) ** 2)) >= 0.5 for sigma in COCO17.sigmas)
    assert 0 < forgiven < 17
    assert found == pytest.approx(100 * forgiven / 17)


def test_a_higher_peak_elsewhere_takes_the_place_of_a_joint() -> None:
    batch = batch_of(people(2))
    maps = drawn(batch)
    maps[0, 5, 38, 46] = 2.0
    assert found_share(oracle(maps), [batch]) == pytest.approx(100 * (1 - 1 / (2 * 17 * 2)))
    unknown = batch.labels.unknown.clone()
    unknown[0, 5, 38, 46] = True
    masked = replace(batch, labels=replace(batch.labels, unknown=unknown))
    assert found_share(oracle(maps), [masked]) == 100


def test_one_peak_is_not_two_joints() -> None:
    """Two people at one place, of whom the map shows one."""
    xy = people(1).repeat(1, 2, 1, 1)
    batch = batch_of(xy)
    assert found_share(oracle(drawn(batch)), [batch]) == 50


def test_joints_of_people_of_unknown_size_are_not_asked_for() -> None:
    batch = batch_of(people(2))
    batch.labels.size[:, 1] = 0
    assert found_share(oracle(drawn(batch)), [batch]) == 100
    batch.labels.size[:] = 0
    assert found_share(oracle(drawn(batch)), [batch]) == 0


def test_each_photo_counts_the_same_in_the_error() -> None:
    one, three = batch_of(people(1, pictures=1)), batch_of(people(2, pictures=3))
    maps = [torch.full_like(drawn(one), 0.5), torch.zeros_like(drawn(three))]
    errors = [float(((said - drawn(batch)) ** 2).mean()) for said, batch in zip(maps, (one, three), strict=True)]
    network = oracle(*maps)
    found = held_out_error(network, [one, three], network.config, LossConfig())
    assert found == pytest.approx(1000 * (errors[0] + 3 * errors[1]) / 4)


@pytest.mark.parametrize("stacks", [1, 2])
def test_empty_maps_cost_what_all_peaks_are_worth(stacks: int) -> None:
    batch = batch_of(people(2))
    target = drawn(batch)
    cost = empty_error([batch], scaled_down("cluster1", stacks=stacks, channels=32), LossConfig(peak_weight=10))
    assert cost == pytest.approx(1000 * float((target**2 * (1 + 10 * target)).mean()), rel=1e-5)


def test_nobody() -> None:
    batch = batch_of(torch.zeros(1, 0, 17, 2))
    assert found_share(oracle(torch.ones(1, 17, 40, 48)), [batch]) == 0
    assert found_share(oracle(), []) == 0
    assert empty_error([], oracle().config, LossConfig()) == 0


def test_the_table() -> None:
    row = Measured(
        name="a",
        seed=0,
        parameters=1_230_000,
        steps=100,
        seconds=61.4,
        heatmap_error=2,
        empty_error=9,
        found=50,
        ap=1.0,
    )
    rows = [row, replace(row, name="b", ap=None), replace(row, seed=1, heatmap_error=4, found=52, ap=3.0)]
    assert table(rows).splitlines() == [
        "| network | parameters | steps | seconds | heatmap loss x 1000 | joints found, % | AP, % |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| a | 1.23 M | 100 | 61 | 3.000 ± 1.414 | 51.0 ± 1.4 | 2.00 ± 1.41 |",
        "| b | 1.23 M | 100 | 61 | 2.000 | 50.0 | - |",
        "| empty maps | - | - | - | 9.000 | 0.0 | - |",
    ]


def write_photos(folder: Path) -> Path:
    """Three photos of noise with a person each."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, (80, 100, 3), dtype=np.uint8))
        images.append({"id": number, "file_name": f"{number}.png", "width": 100, "height": 80})
        places = rng.uniform(10, 70, (17, 2))
        annotations.append({
            "id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "area": 2000.0, "num_keypoints": 17,
            "bbox": [5, 5, 70, 70], "keypoints": [value for x, y in places for value in (x, y, 2)],
        })  # fmt: skip
    path = folder / "photos.json"
    categories = [{"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def test_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    photos, figures = write_photos(tmp_path), tmp_path / "figures.json"
    spec = importlib.util.spec_from_file_location("study", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    options = "--networks pose_ae in_cross_branch --steps 2 --side 64 --batch 2 --stacks 2 --channels 8 --device cpu"
    arguments = [str(photos), str(tmp_path), "--dev", str(photos), "--no-ap", "--json", str(figures), *options.split()]
    monkeypatch.setattr(sys, "argv", ["study.py", *arguments])
    script.main()
    rows = [Measured(**row) for row in json.loads(figures.read_text())]
    assert [row.name for row in rows] == ["pose_ae", "in_cross_branch"]
    assert all(row.steps == 2 and np.isfinite(row.heatmap_error) for row in rows)
    assert capsys.readouterr().out == table(rows) + "\n"
    settings = script.settings_of(SimpleNamespace(steps=5, batch=2, set=["loss.peak_weight=0"]), seed=3)
    assert (settings.loss.peak_weight, settings.run.seed, settings.run.steps) == (0, 3, 5)
